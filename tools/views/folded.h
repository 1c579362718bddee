/* SPDX-License-Identifier: MIT */
/* Folded stacks, what flame graph programs read: "main;f;g 123", outermost first and down to the owner (places.h), one
 * line for each different stack. */
#ifndef HEAPPROF_FOLDED_H
#define HEAPPROF_FOLDED_H

#include "tools/heap/heap.h"
#include "tools/views/places.h"

#include <stdio.h>

/* The values of `type`, sorted by stack. In names `;` becomes `:`, and what is not printable `?`. Memory does not grow
 * with the length of the output. */
void folded_print(FILE *stream, const struct heap *heap, int type, enum places_by by);

#endif
