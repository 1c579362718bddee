/* SPDX-License-Identifier: MIT */
/* A request as far as it has come: what was asked, what was ordered for it, and what is answered.
 *
 * Memory: libmicrohttpd says when it ends; exchange.c makes and frees it.
 */
#ifndef HEAPPROF_REQUEST_H
#define HEAPPROF_REQUEST_H

#include "tools/http/answer.h"
#include "tools/http/service.h"
#include "tools/serve/route.h"

struct request {
  struct service *service;
  struct MHD_Connection *connection;
  struct visitor *visitor;
  char *uri;
  struct route route;
  GByteArray *body;
  bool has_headers, is_head, has_body_in_answer, wants_text, wants_open_metrics;
  unsigned sites;
  char *at;               /* of a recording: the moment that was asked for; NULL: the last */
  int64_t from_ms, to_ms; /* the same, of the page: order.h */
  struct order order;
  struct answer answer;
  guint hang_up, timer; /* sources, while it sleeps */
  guint seconds;        /* of a delta that has not begun; else 0 */
  enum order_kind then; /* what to order when they are over */
  struct parcel *marks; /* of its begin; of delta_heap: of this time */
  char *client;         /* whose marks they will be; NULL: nobody's */
};

#endif
