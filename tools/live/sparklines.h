/* SPDX-License-Identifier: MIT */
/* A small picture of what each process had in use in the last hour, as SVG inside of HTML: no script is needed to
 * see it.
 *
 * Memory: owned by its user. Failure: who has no two points has no picture.
 */
#ifndef HEAPPROF_SPARKLINES_H
#define HEAPPROF_SPARKLINES_H

#include <glib.h>
#include <stdint.h>

struct sparklines;

/* Of the points of all processes (history.h); they are not copied. */
struct sparklines *sparklines_new(GBytes *pulses);
void sparklines_free(struct sparklines *sparklines);

void sparklines_append(GString *page, const struct sparklines *sparklines, int pid, uint64_t created_unix_ns);

#endif
