/* SPDX-License-Identifier: MIT */
/* Profiled processes as a table for people and as JSON for programs. */
#ifndef HEAPPROF_TARGET_TABLE_H
#define HEAPPROF_TARGET_TABLE_H

#include "tools/state/targets.h"

/* On standard output; `targets` are struct target *. */
void target_table_print(const GPtrArray *targets);
void target_table_print_json(const GPtrArray *targets);

#endif
