/* SPDX-License-Identifier: MIT */
/* A process that puts a seccomp filter over itself (hazard P8): sandboxes of servers, browsers, decoders. A filter may kill at any
 * call that its author did not foresee, ours among them. So we notice that one is about to be installed and from then on make
 * none but mmap (sys.h): places seen before are sampled as before, stacks from others follow frame pointers, there is no profile
 * at exit, and the state file stays behind for `heapprof recover`. A process that has not sampled yet leaves none.
 *
 * A filter that was there before exec needs no care: what a dynamic program does to start, opening and mapping files, it lets pass.
 *
 * Threads, signals, fork: safe everywhere. A vfork child that confines itself does not confine its parent.
 */
#ifndef HEAPPROF_CONFINEMENT_H
#define HEAPPROF_CONFINEMENT_H

void confinement_begin(void);

#endif
