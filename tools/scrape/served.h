/* SPDX-License-Identifier: MIT */
/* scrape/: living processes that are read again and again for others: which, their heaps as scrapers get them, and what
 * was allocated since the last time. One thread; failures are NULL or false and *error.
 *
 * Which processes are served: those that were named when the server was started, else all that its user may read.
 *
 * A process that is asked for by its number is looked for at once; names, and the list of all, are of at most a second
 * ago.
 *
 * Memory: targets that are returned are the caller's. Failure: NULL and *error, whose code is the status of an answer.
 */
#ifndef HEAPPROF_SERVED_H
#define HEAPPROF_SERVED_H

#include "tools/state/targets.h"

#define SERVED_ERROR g_quark_from_static_string("heapprof-served")

struct served;

/* target_names_pin. */
char **served_pin(char *const *operands);

/* Each number among the operands is that of a profiled process that we may read; a name may come later. False and
 * *error. */
bool served_check(char *const *operands, GError **error);

/* `operands`: numbers and names, pinned (target_names_pin), and NULL; none: all. They must live as long. */
struct served *served_new(char *const *operands);
void served_free(struct served *served);

/* By number or name; "": the one there is, or the one that was named first. */
struct target *served_find(struct served *served, const char *process, GError **error);

/* Who is meant and does not live (target_names_missing). */
GPtrArray *served_missing(struct served *served);

/* struct target *, the living ones, by number. They are the served's, until the next call. */
GPtrArray *served_all(struct served *served);

#endif
