/* SPDX-License-Identifier: MIT */
/* The heap of a region, by the rules of the shim's own dumps (core/profile.c, core/dump.c), without names. */
#ifndef HEAPPROF_REGION_HEAP_H
#define HEAPPROF_REGION_HEAP_H

#include "tools/state/region_file.h"
#include "tools/state/region_log.h"

/* Walks the log to its end. Never fails: what is not sound in the log is left out. */
struct heap *region_heap_of_log(struct region_log *log, const struct region_summary *summary, enum region_moment moment,
                                const char *reason, const char *name);

#endif
