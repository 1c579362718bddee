/* SPDX-License-Identifier: MIT */
/* Pages for people: the processes there are, and what there is of one. Names are escaped.
 *
 * Failure: none.
 */
#ifndef HEAPPROF_PAGES_H
#define HEAPPROF_PAGES_H

#include "tools/serve/recorded_list.h"
#include "tools/state/targets.h"

/* `past`: points of all (live/history.h). */
GString *pages_list(const GPtrArray *targets, GBytes *past);
GString *pages_index(const struct target *target);

/* The same of a recording. */
GString *pages_recorded_list(const struct recorded_list *list);
GString *pages_recorded_index(const struct recorded_process *process);

#endif
