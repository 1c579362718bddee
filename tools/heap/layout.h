/* SPDX-License-Identifier: MIT */
/* The address space of a heap that is made of several: where one file lies no other does, and memory without a file
 * only lies over its own kind. Mappings that are in the way move up to where nothing real lies.
 *
 * Memory: owned by the layout. Failure: none; what is too large to be moved stays.
 */
#ifndef HEAPPROF_LAYOUT_H
#define HEAPPROF_LAYOUT_H

#include "tools/heap/heap.h"

/* No file of code is larger. What says that it is, is believed to be none. */
#define LAYOUT_FILE_BYTES_MAX ((uint64_t)4 << 30)

struct layout;

struct layout *layout_new(void);
void layout_free(struct layout *layout);

/* Gives the mapping its place: it stays if it can, else start and limit change. One that is too large to be moved
 * stays, whatever it lies over; one that is empty stands for no memory. */
void layout_place(struct layout *layout, struct heap_mapping *mapping);

/* The path of memory with code that a runtime generated. Readers leave what is in brackets alone. */
#define LAYOUT_GENERATED "[jit]"

/* Memory without a file, known by its address alone. */
bool layout_is_anonymous(const struct heap_mapping *mapping);

#endif
