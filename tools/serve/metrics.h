/* SPDX-License-Identifier: MIT */
/* What is known of all processes, as OpenMetrics 1.0 has it. Readers of Prometheus's older text read it, too.
 *
 * `sites`: how many of the largest owners of each process come with it; 0: none, and nothing but summaries are read.
 */
#ifndef HEAPPROF_METRICS_H
#define HEAPPROF_METRICS_H

#include "tools/serve/sites.h"

GString *metrics_of(const GPtrArray *targets, uint32_t sites, struct sites_shown *shown);

#endif
