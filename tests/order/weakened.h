/* SPDX-License-Identifier: MIT */
/* Whether every memory order of the code under test is needed: weakens one at a time, and looks for a scenario that notices.
 *
 * Each exploration runs in a child. Failure: said on standard error.
 */
#ifndef HEAPPROF_WEAKENED_H
#define HEAPPROF_WEAKENED_H

#include "tests/order/explorer.h"

/* What comes out of it, in a child: a violation says so if it did not come to its end. */
struct explorer_outcome weakened_explore(const struct explorer_scenario *scenario);

/* Does the scenario hold in all executions? */
bool weakened_holds(const struct explorer_scenario *scenario);

/* Do all of them? */
bool weakened_hold_all(const struct explorer_scenario *const *scenarios, size_t count);

/* Is each order of core/ and interpose/ noticed when it is weakened, but for those of `exempt`: "function", "function: operation"
 * or "core/file.c", ended by NULL? */
bool weakened_is_noticed(const struct explorer_scenario *const *scenarios, size_t count, const char *const *exempt);

#endif
