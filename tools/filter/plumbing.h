/* SPDX-License-Identifier: MIT */
/* Whose memory it is: the owner of a stack is its innermost function that is not allocation plumbing (plumbing.def: the
 * standard libraries, wrappers of allocators), so not std::vector, but who fills it. What starts a program or a thread
 * owns nothing, nor do unnamed code that an allocator calls (views/places.c), the C++ library and unnamed code of the C
 * library that run a thread; where there is nobody else, the outermost plumbing does: std::thread's, into which the
 * thread's function was inlined (symbols/runners.h).
 */
#ifndef HEAPPROF_PLUMBING_H
#define HEAPPROF_PLUMBING_H

#include "tools/heap/heap.h"

/* Gives every function of the heap its role. `more` (NULL: none): names in which it matches are plumbing as well. */
void plumbing_mark(struct heap *heap, const GRegex *more);

#endif
