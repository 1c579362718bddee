/* SPDX-License-Identifier: MIT */
/* When to try again: after a second at first, then twice as long each time, up to a minute, and each time a part of
 * that by chance: many who lost one server must not come back to it at one moment.
 */
#ifndef HEAPPROF_PATIENCE_H
#define HEAPPROF_PATIENCE_H

#include <glib.h>

enum { PATIENCE_SECONDS_MAX = 60, PATIENCE_ASKED_SECONDS_MAX = 600 };

struct patience {
  unsigned failures; /* since the last success */
  gint64 until_us;   /* of the monotonic clock */
};

void patience_end(struct patience *patience);

/* `asked_seconds`: what the server says; 0: nothing. */
void patience_lose(struct patience *patience, gint64 now_us, guint64 asked_seconds);

#endif
