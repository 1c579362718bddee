/* SPDX-License-Identifier: MIT */
/* A process that puts a seccomp filter over itself (hazard P8): sandboxes of servers, browsers, decoders. A filter may
 * kill at any call that its author did not foresee, ours among them. So we notice when one is about to be installed,
 * and make no call but mmap from then on (sys.h): stacks are followed through the objects that the program started with
 * and those known by then, as far as the stack was found readable, there is no profile at exit, and the state file
 * stays behind for `heapprof recover`. A process that has not sampled yet leaves none.
 *
 * The call must be noted before it is made, for the filter may kill right after it. Programs also ask in this way
 * whether there are filters at all: what the kernel refused is taken back.
 *
 * A filter from before exec needs no care: it must let a dynamic program start, which opens and maps files.
 *
 * Threads, signals: safe everywhere; filters are counted, so that one thread's refusal does not undo another's. Fork: a
 * child inherits what was under way, too. A vfork child that confines itself does not confine its parent.
 */
#ifndef HEAPPROF_CONFINEMENT_H
#define HEAPPROF_CONFINEMENT_H

#include <stdbool.h>

/* Before the call. False: nothing was noted, so there is nothing to end. */
bool confinement_begin(void);

/* After a call that the kernel refused. */
void confinement_end(void);

/* The same for prctl(PR_SET_TSC): reading the processor's clock is a fault from now on, and nothing is timed any more.
 * (ld.so reads it, so no program is started so, but one that has been running may be.) */
void confinement_begin_clockless(void);
void confinement_end_clockless(void);

/* Besides, for strict seccomp: no clock either, and no mmap. */
void confinement_begin_strict(void);
void confinement_end_strict(void);

#endif
