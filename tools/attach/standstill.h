/* SPDX-License-Identifier: MIT */
/* All threads of a process stand still, but for one that does already, so that its code can be changed.
 *
 * None may be within the bytes that change: neither where it stands, nor where a handler of a signal will return to.
 * Return addresses never lie there. So every stack is looked through for such an address, from where the thread is to
 * where the mapping ends.
 */
#ifndef HEAPPROF_STANDSTILL_H
#define HEAPPROF_STANDSTILL_H

#include "core/attachment.h"
#include "tools/attach/borrowed.h"

/* Makes the changes while everything stands still; tries again where somebody is in the way. False and *error: nothing
 * was changed. `stood_ns`: how long, all in all. */
bool standstill_change(const struct borrowed *borrowed, const struct attachment_change *changes, unsigned count,
                       uint64_t *stood_ns, GError **error);

#endif
