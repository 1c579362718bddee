/* SPDX-License-Identifier: MIT */
/* The library in a process that has been running: `heapprof attach` opened it, and the constructor did nothing but
 * find the allocator. Calls come to the hooks by the pointers that the loader has set, in the objects that are
 * loaded (rebind.h) and in those that come; where the executable has an allocator, by the entries of its functions
 * (running.h). When the last hook goes, calls that are in one just return.
 *
 *  * All is made ready, and sampling is off, before the first pointer or entry changes. Of a process that was started
 * with the library only its sampling is turned on and off.
 *
 *  * Threads: any one, others run on; a second call meanwhile is refused. Not for handlers. Memory: what sampling
 * needs, as long as the process lives. Fork: a child has its parent's hooks. Failure: a reason, in the attachment.
 */
#ifndef HEAPPROF_LATE_H
#define HEAPPROF_LATE_H

#include "core/attachment.h"

__attribute__((visibility("default"))) int ATTACHMENT_FUNCTION(struct attachment *attachment);

#endif
