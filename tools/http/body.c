/* SPDX-License-Identifier: MIT */
#include "tools/http/body.h"

#include <string.h>

static const char html[] = "text/html; charset=utf-8", plain_text[] = "text/plain; charset=utf-8",
                  any_bytes[] = "application/octet-stream", json[] = "application/json";

static const struct {
  const char *type, *file_name;
} bodies[] = {
    [ORDER_LIST] = {html, NULL},
    [ORDER_METRICS] = {"text/plain; version=0.0.4; charset=utf-8", NULL},
    [ORDER_INDEX] = {html, NULL},
    [ORDER_HEAP] = {any_bytes, "heap"},
    [ORDER_ALLOCS] = {any_bytes, "allocs"},
    [ORDER_PEAK] = {any_bytes, "peak"},
    [ORDER_CMDLINE] = {plain_text, NULL},
    [ORDER_SYMBOL] = {plain_text, NULL},
    [ORDER_HEAP_DELTA] = {any_bytes, "heap-delta"},
    [ORDER_ALLOCS_DELTA] = {any_bytes, "allocs-delta"},
    [ORDER_PAGE] = {html, NULL},
    [ORDER_LIVE_HEAP] = {json, NULL},
    [ORDER_LIVE_TIMELINE] = {json, NULL},
    [ORDER_LIVE_CHANGE] = {json, NULL},
};

struct answer body_of(const struct request *request, struct parcel *parcel)
{
  enum order_kind kind = request->order.kind;
  if (kind == ORDER_FIND)
    return answer_redirect(request->route.location, request->has_body_in_answer);
  if (request->wants_text)
    return answer_parcel(parcel, plain_text, NULL);
  if (request->client != NULL)
    return answer_parcel(parcel, any_bytes, "delta_heap");
  if (kind == ORDER_METRICS && request->wants_open_metrics)
    return answer_parcel(parcel, "application/openmetrics-text; version=1.0.0; charset=utf-8", NULL);
  struct answer answer = answer_parcel(parcel, bodies[kind].type, bodies[kind].file_name);
  if (kind == ORDER_LIST)
    answer_add_header(&answer, "Content-Security-Policy",
                      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
  if (kind == ORDER_PAGE) /* it has a policy of its own, but for this, which is for headers only */
    answer_add_header(&answer, "Content-Security-Policy", "frame-ancestors 'none'");
  return answer;
}
