/* SPDX-License-Identifier: MIT */
/* What allocates past the hooks, as far as it shows when an object is loaded: its name goes into the state file, and
 * from there into profiles. An object that comes again under the same name is the same one.
 *
 * Threads, signals: safe. Fork: a child inherits what its parent knew. Memory: the region's; where it has no place for
 * a name left, the object is only counted. Failure: it is not noted.
 */
#ifndef HEAPPROF_UNCOVERED_H
#define HEAPPROF_UNCOVERED_H

/* `why` is a word or two for people. */
void uncovered_note(const char *path, const char *why);

#endif
