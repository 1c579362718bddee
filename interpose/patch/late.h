/* SPDX-License-Identifier: MIT */
/* The library in a process that has been running: `heapprof attach` opened it, and the constructor did nothing but
 * find the allocator. The hooks are put at the entries of the allocator's functions, and of those of libc that must be
 * noticed (patch.h); who writes them is the command, from outside, with all threads stopped (core/attachment.h).
 *
 * All is made ready, and sampling is off, before the first entry changes; entries of functions that free change
 * first, and go back last. So whatever part of the changes is made, the program is as it was but for some calls that
 * come through us.
 *
 * Of a process that was started with the library only its sampling is turned on and off.
 *
 * Threads: any one, others run on; a second call meanwhile is refused. Not for handlers. Memory: rooms for the
 * moved instructions, as long as the process lives; they serve again. Fork: a child has its parent's hooks. Failure: a
 * reason, in the attachment.
 */
#ifndef HEAPPROF_LATE_H
#define HEAPPROF_LATE_H

#include "core/attachment.h"

__attribute__((visibility("default"))) int ATTACHMENT_FUNCTION(struct attachment *attachment, int step);

#endif
