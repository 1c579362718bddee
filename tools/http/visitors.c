/* SPDX-License-Identifier: MIT */
#include "tools/http/visitors.h"

#include <sys/socket.h>

enum {
  ASK_SECONDS = 15,   /* for a whole request */
  IDLE_SECONDS = 120, /* for the next one to be there; scrapers keep connections */
  TAKE_SECONDS = 30,  /* for an answer, and a second more for as many bytes as this: */
  BYTES_A_SECOND = 64 << 10,
};

static gint64 in_seconds(uint64_t seconds)
{
  return g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
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

static gboolean shut_late_ones(gpointer data)
{
  struct visitors *visitors = data;
  gint64 now_us = g_get_monotonic_time();
  for (GList *at = visitors->all.head; at != NULL; at = at->next) {
    struct visitor *visitor = at->data;
    if (visitor->deadline_us == 0 || visitor->deadline_us > now_us)
      continue;
    (void)shutdown(visitor->fd, SHUT_RDWR);
    visitor->deadline_us = 0;
  }
  return G_SOURCE_CONTINUE;
}

struct visitor *visitor_came(struct visitors *visitors, int fd)
{
  struct visitor *visitor = g_new0(struct visitor, 1);
  visitor->link.data = visitor;
  visitor->fd = fd;
  visitor_asks(visitor);
  g_queue_push_tail_link(&visitors->all, &visitor->link);
  if (visitors->timer == 0)
    visitors->timer = g_timeout_add_seconds(1, shut_late_ones, visitors);
  return visitor;
}

void visitor_goes(struct visitors *visitors, struct visitor *visitor)
{
  g_queue_unlink(&visitors->all, &visitor->link);
  g_free(visitor);
  if (visitors->all.length == 0)
    g_clear_handle_id(&visitors->timer, g_source_remove);
}

void visitor_asks(struct visitor *visitor)
{
  visitor->deadline_us = in_seconds(ASK_SECONDS);
}

void visitor_waits(struct visitor *visitor)
{
  visitor->deadline_us = 0;
}

void visitor_takes(struct visitor *visitor, uint64_t bytes)
{
  visitor->deadline_us = in_seconds(TAKE_SECONDS + bytes / BYTES_A_SECOND);
}

void visitor_may_ask(struct visitor *visitor)
{
  visitor->deadline_us = in_seconds(IDLE_SECONDS);
}
