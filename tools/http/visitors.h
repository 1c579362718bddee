/* SPDX-License-Identifier: MIT */
/* Connections, and how long each may still take: one that sends or takes its bytes one by one would otherwise be kept
 * for ever. A connection whose time is over is shut down, which libmicrohttpd takes for the end of its client.
 *
 * Threads: that of the default main context.
 */
#ifndef HEAPPROF_VISITORS_H
#define HEAPPROF_VISITORS_H

#include <glib.h>
#include <stdint.h>

struct visitors {
  GQueue all; /* struct visitor * */
  guint timer;
};

struct visitor {
  GList link;
  int fd;
  gint64 deadline_us; /* of the monotonic clock; 0: none */
};

void visitors_init(struct visitors *visitors);
void visitors_clear(struct visitors *visitors); /* when all have gone */

/* It has to ask at once. */
struct visitor *visitor_came(struct visitors *visitors, int fd);
void visitor_goes(struct visitors *visitors, struct visitor *visitor);

/* It has begun to ask; it waits for us; it takes an answer of that size; it may ask again. */
void visitor_asks(struct visitor *visitor);
void visitor_waits(struct visitor *visitor);
void visitor_takes(struct visitor *visitor, uint64_t bytes);
void visitor_may_ask(struct visitor *visitor);

#endif
