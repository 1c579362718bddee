/* SPDX-License-Identifier: MIT */
/* What files root may open for somebody else: those that he could open himself. The paths in a state file and in debug
 * information are what their owner likes, and names that are in a file tell what it is.
 *
 * Threads: this one alone. Signals: that of the parent's death is to be asked for again. Failure: false; then nothing
 * may be opened.
 */
#ifndef HEAPPROF_OWNER_RIGHTS_H
#define HEAPPROF_OWNER_RIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

/* From now on files are opened as `owner`, with the groups that he has by the system's list; other rights stay. Nothing
 * changes where we are not root, or it is root's. */
bool owner_rights_take(uid_t owner);

#endif
