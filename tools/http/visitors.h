/* SPDX-License-Identifier: MIT */
/* Connections, and how long each may still take: one that sends or takes its bytes one by one would otherwise be kept
 * for ever. A connection whose time is over is shut down, which libmicrohttpd takes for the end of its client; so is
 * one whose client has gone in the middle of a request, which it would keep until then.
 *
 * With VISITORS_MAX one more costs the place of another, which is shut down: of those that do nothing between two
 * requests the one that has done so for longest, else of those that are sending a request, else of those that take an
 * answer. None has to go that waits for us, or has done something within a second.
 *
 * Threads: that of the default main context.
 */
#ifndef HEAPPROF_VISITORS_H
#define HEAPPROF_VISITORS_H

#include <glib.h>
#include <stdint.h>

enum { VISITORS_MAX = 224 };

struct visitors {
  GQueue all; /* struct visitor * */
  guint shut; /* so many of them are shut down, and about to go */
  guint timer;
};

/* In the order in which they have to go. */
enum visitor_state { VISITOR_IDLE, VISITOR_ASKS, VISITOR_TAKES, VISITOR_WAITS, VISITOR_SHUT };

struct visitor {
  GList link;
  int fd;
  enum visitor_state state;
  gint64 since_us;    /* it has been in it */
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
