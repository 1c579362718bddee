/* SPDX-License-Identifier: MIT */
#include "tools/http/ordering.h"

#include "tools/http/sleep.h"
#include "tools/live/pulse.h"
#include "tools/serve/uri.h"

enum {
  HELD_BYTES_MAX = 32 << 20, /* of answers that wait for their readers; whatever the size, one may */
};

struct answer ordering_place(struct request *request, enum order_kind kind, struct parcel *input)
{
  struct order *order = &request->order;
  if (!order_init(order, kind, request->route.process))
    return answer_problem(MHD_HTTP_NOT_FOUND, "no process has such a long name");
  if (request->at != NULL && g_strlcpy(order->at, request->at, sizeof order->at) >= sizeof order->at)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "no time is that long");
  if (parcel_bytes_held() > HELD_BYTES_MAX)
    return answer_busy("too many readers are slow; ask again later");
  order->wants_text = request->wants_text;
  order->wants_open_metrics = request->wants_open_metrics;
  order->sites = request->sites;
  order->interval_seconds = pulse_clock_interval(request->service->clock);
  order->from_ms = request->from_ms;
  order->to_ms = request->to_ms;
  sleep_until_done(request, input);
  return (struct answer){.response = NULL};
}

struct answer ordering_redirect(struct request *request)
{
  if (request->route.process[0] != '\0')
    return ordering_place(request, ORDER_FIND, NULL);
  return answer_redirect(request->route.location, request->has_body_in_answer);
}

bool ordering_time(const struct request *request, const char *key, int64_t *time_ms)
{
  enum { NS_OF_MS = 1000000 };
  g_autofree char *text = uri_value(uri_query(request->uri), key);
  guint64 number;
  if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 0, PULSE_TIME_MAX / NS_OF_MS, &number, NULL))
    return false;
  *time_ms = (int64_t)number;
  return true;
}
