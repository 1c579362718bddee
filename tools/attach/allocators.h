/* SPDX-License-Identifier: MIT */
/* Which of the loaded objects are part of an allocator: what gives malloc and free to others, and what that needs in
 * turn. Its lock may be there: libtbbmalloc_proxy.so only passes calls on to libtbbmalloc.so, by jumps that leave no
 * frame, and tcmalloc asks libunwind, which has a lock of its own, for stacks.
 */
#ifndef HEAPPROF_ATTACH_ALLOCATORS_H
#define HEAPPROF_ATTACH_ALLOCATORS_H

#include "tools/attach/image.h"

bool allocators_is_one(const struct image *image);

/* Those among `objects` (struct image *), which must live as long. */
GPtrArray *allocators_among(const GPtrArray *objects);

#endif
