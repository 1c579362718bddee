/* SPDX-License-Identifier: MIT */
/* Perf maps, /tmp/perf-PID.map: a line "START SIZE NAME" for each piece of code, in hexadecimal, appended as the
 * runtime generates it. Where two are of one place, the later one counts. Lines that are none are passed over. */
#ifndef HEAPPROF_PERF_MAP_H
#define HEAPPROF_PERF_MAP_H

#include "tools/symbols/code_names.h"

/* `text` may be the end of a map alone, from within a line. */
void perf_map_read(const char *text, size_t size, struct code_names *names);

#endif
