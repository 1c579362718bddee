/* SPDX-License-Identifier: MIT */
/* Profiled processes by the name of their program: as the process calls itself, or the file that was started, without
 * its folder.
 *
 * Failure: NULL and *error.
 */
#ifndef HEAPPROF_TARGET_NAMES_H
#define HEAPPROF_TARGET_NAMES_H

#include "tools/state/targets.h"

/* May it be the name of a program rather than of a file? Not with a slash; not where there is a file of that name that
 * is no program itself. */
bool target_names_may_be(const char *text);

/* Is it its name? */
bool target_names_is(const struct target *target, const char *name);

/* All of that name, as targets_scan returns them. */
GPtrArray *target_names_all(const char *name);

/* The living one; where none lives, the latest that left its state. NULL: there is none of that name, or, with *error,
 * more than one lives. */
struct target *target_names_find(const char *name, GError **error);

#endif
