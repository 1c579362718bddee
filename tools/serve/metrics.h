/* SPDX-License-Identifier: MIT */
/* What is known of all processes, as OpenMetrics 1.0 has it, or (not `is_open`) as version 0.0.4 of Prometheus's text.
 *
 * `sites`: how many of the largest owners of each process come with it; 0: none, and nothing but summaries are read.
 */
#ifndef HEAPPROF_METRICS_H
#define HEAPPROF_METRICS_H

#include "tools/serve/sites.h"

#include <stdbool.h>

GString *metrics_of(const GPtrArray *targets, bool is_open, uint32_t sites, struct sites_shown *shown);

#endif
