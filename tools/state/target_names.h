/* SPDX-License-Identifier: MIT */
/* Profiled processes by their number or the name of their program: as the process calls itself, or the file that was
 * started, without its folder.
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

bool target_names_is_pid(const char *operand, int *pid);

/* The same operands, where each number of a process that there is means that process alone, not one that gets its
 * number later: "PID@START". The functions below take them so, or as they were given. To be freed, g_strfreev. */
char **target_names_pin(char *const *operands);

/* As target_names_is_pid, of one that may be pinned. */
bool target_names_is_number(const char *operand, int *pid);

/* Whose number another process has by now: char *, a line for each. */
GPtrArray *target_names_reused(char *const *operands);

/* Do these operands mean it: numbers, names, and NULL; none: all? */
bool target_names_mean(char *const *operands, const struct target *target);

/* Those that are meant, as targets_scan returns them. For numbers alone no other process is looked at, and only living
 * ones are found. */
GPtrArray *target_names_scan(char *const *operands);

/* Who is meant and does not live: char *, a line for each, which begins with "no profiled process". */
GPtrArray *target_names_missing(char *const *operands, const GPtrArray *targets);

/* All of that name, as targets_scan returns them. */
GPtrArray *target_names_all(const char *name);

/* The living one; where none lives, the latest that left its state. NULL: there is none of that name, or, with *error,
 * more than one lives. */
struct target *target_names_find(const char *name, GError **error);

#endif
