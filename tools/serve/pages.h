/* SPDX-License-Identifier: MIT */
/* Pages for people: the processes there are, and what there is of one. Names are escaped.
 *
 * Failure: none.
 */
#ifndef HEAPPROF_PAGES_H
#define HEAPPROF_PAGES_H

#include "tools/state/targets.h"

/* `past`: points of all (live/history.h). */
GString *pages_list(const GPtrArray *targets, GBytes *past);
GString *pages_index(const struct target *target);

#endif
