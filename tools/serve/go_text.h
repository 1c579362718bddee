/* SPDX-License-Identifier: MIT */
/* A heap as the text that Go gives for ?debug=1, which pprof reads, too: for each stack the counts, the addresses, and
 * a line for each frame.
 *
 * Readers take the counts for samples and scale them up (heap/legacy_estimate.h). Ours are estimates already, so they
 * are scaled down before, by the same rule; what is left after rounding is one sample at least.
 */
#ifndef HEAPPROF_GO_TEXT_H
#define HEAPPROF_GO_TEXT_H

#include "tools/heap/heap.h"

/* Of a heap with the four usual types. */
GString *go_text(const struct heap *heap);

#endif
