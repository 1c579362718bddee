/* SPDX-License-Identifier: MIT */
/* HEAPPROF_FOLLOW=no: programs that this one executes are not profiled.
 *
 * Every entry of LD_PRELOAD with the library's file name is taken out of the environment given, in place: the strings
 * get shorter, nothing is allocated or moved. Other entries, their order and what separates them stay. From the
 * constructor only.
 *
 * Threads: none may run yet. Failure: none; an environment without LD_PRELOAD stays as it is.
 */
#ifndef HEAPPROF_FOLLOW_H
#define HEAPPROF_FOLLOW_H

void follow_end(char **environment);

#endif
