/* SPDX-License-Identifier: MIT */
#include "tools/http/visitors.h"

#include <stdbool.h>
#include <sys/socket.h>

enum {
  ASK_SECONDS = 15,   /* for a whole request */
  IDLE_SECONDS = 120, /* for the next one to be there; scrapers keep connections */
  TAKE_SECONDS = 30,  /* for an answer, and a second more for as many bytes as this: */
  BYTES_A_SECOND = 64 << 10,
  BUSY_SECONDS = 1, /* who has done something since has not done it for nothing */
  ROOM = 64,
};

static void enter(struct visitor *visitor, enum visitor_state state, uint64_t seconds_left)
{
  if (visitor->state == VISITOR_SHUT)
    return;
  visitor->state = state;
  visitor->since_us = g_get_monotonic_time();
  visitor->deadline_us = seconds_left > 0 ? visitor->since_us + (gint64)seconds_left * G_USEC_PER_SEC : 0;
}

void visitors_init(struct visitors *visitors)
{
  *visitors = (struct visitors){.timer = 0};
  g_queue_init(&visitors->all);
}

void visitors_clear(struct visitors *visitors)
{
  g_clear_handle_id(&visitors->timer, g_source_remove);
}

static void shut(struct visitors *visitors, struct visitor *visitor)
{
  (void)shutdown(visitor->fd, SHUT_RDWR);
  visitor->state = VISITOR_SHUT;
  visitor->deadline_us = 0;
  visitors->shut++;
}

/* Room. */

static guint open_ones(const struct visitors *visitors)
{
  return visitors->all.length - visitors->shut;
}

/* What is there that libmicrohttpd has not read yet: 1, something; 0, the end; -1, nothing. */
static ssize_t peek(const struct visitor *visitor)
{
  char byte;
  return recv(visitor->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
}

/* libmicrohttpd does not see the end that comes right behind a part of a request. */
static bool has_gone(const struct visitor *visitor)
{
  return (visitor->state == VISITOR_IDLE || visitor->state == VISITOR_ASKS) && peek(visitor) == 0;
}

static bool is_late(const struct visitor *visitor, gint64 now_us)
{
  return visitor->deadline_us != 0 && visitor->deadline_us <= now_us;
}

static void shut_gone_and_late_ones(struct visitors *visitors)
{
  gint64 now_us = g_get_monotonic_time();
  for (GList *at = visitors->all.head; at != NULL; at = at->next)
    if (is_late(at->data, now_us) || has_gone(at->data))
      shut(visitors, at->data);
}

static bool may_have_to_go(const struct visitor *visitor, gint64 now_us)
{
  return visitor->state < VISITOR_WAITS && now_us - visitor->since_us >= BUSY_SECONDS * G_USEC_PER_SEC &&
         (visitor->state == VISITOR_TAKES || peek(visitor) < 0);
}

static bool has_to_go_before(const struct visitor *one, const struct visitor *other)
{
  return one->state != other->state ? one->state < other->state : one->since_us < other->since_us;
}

/* False: nobody has to go. */
static bool make_room(struct visitors *visitors)
{
  struct visitor *first = NULL;
  gint64 now_us = g_get_monotonic_time();
  for (GList *at = visitors->all.head; at != NULL; at = at->next)
    if ((first == NULL || has_to_go_before(at->data, first)) && may_have_to_go(at->data, now_us))
      first = at->data;
  if (first != NULL)
    shut(visitors, first);
  return first != NULL;
}

/* Each second. So many may have come at once that none of them had to go then. */
static gboolean tidy(gpointer data)
{
  struct visitors *visitors = data;
  shut_gone_and_late_ones(visitors);
  if (open_ones(visitors) >= VISITORS_MAX)
    while (open_ones(visitors) > VISITORS_MAX - ROOM && make_room(visitors))
      continue;
  return G_SOURCE_CONTINUE;
}

struct visitor *visitor_came(struct visitors *visitors, int fd)
{
  if (open_ones(visitors) >= VISITORS_MAX)
    shut_gone_and_late_ones(visitors);
  if (open_ones(visitors) >= VISITORS_MAX)
    (void)make_room(visitors);
  struct visitor *visitor = g_new0(struct visitor, 1);
  visitor->link.data = visitor;
  visitor->fd = fd;
  visitor_asks(visitor);
  g_queue_push_tail_link(&visitors->all, &visitor->link);
  if (visitors->timer == 0)
    visitors->timer = g_timeout_add_seconds(1, tidy, visitors);
  return visitor;
}

void visitor_goes(struct visitors *visitors, struct visitor *visitor)
{
  g_queue_unlink(&visitors->all, &visitor->link);
  visitors->shut -= visitor->state == VISITOR_SHUT;
  g_free(visitor);
  if (visitors->all.length == 0)
    g_clear_handle_id(&visitors->timer, g_source_remove);
}

void visitor_asks(struct visitor *visitor)
{
  enter(visitor, VISITOR_ASKS, ASK_SECONDS);
}

void visitor_waits(struct visitor *visitor)
{
  enter(visitor, VISITOR_WAITS, 0);
}

void visitor_takes(struct visitor *visitor, uint64_t bytes)
{
  enter(visitor, VISITOR_TAKES, TAKE_SECONDS + bytes / BYTES_A_SECOND);
}

void visitor_may_ask(struct visitor *visitor)
{
  enter(visitor, VISITOR_IDLE, IDLE_SECONDS);
}
