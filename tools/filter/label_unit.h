/* SPDX-License-Identifier: MIT */
/* What the numbers of labels are counted in. */
#ifndef HEAPPROF_LABEL_UNIT_H
#define HEAPPROF_LABEL_UNIT_H

#include "tools/heap/heap.h"

/* The unit of a label that is a number. As pprof takes it, where the profile does not tell: "alignment" and "request"
 * are bytes, others are in the unit that they are called. */
const char *label_unit(const struct heap_label *label);

/* "kilobytes", "KB", "hr": "bytes" or "nanoseconds", always the same pointers, and *value is how many. NULL: nobody
 * knows that unit, and *value is the number. */
const char *label_unit_base(const char *name, double number, double *value);

#endif
