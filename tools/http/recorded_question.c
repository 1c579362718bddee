/* SPDX-License-Identifier: MIT */
#include "tools/http/recorded_question.h"

#include "tools/http/ordering.h"
#include "tools/live/live_page.h"
#include "tools/serve/uri.h"

static struct answer answer_profile(struct request *request, enum order_kind kind)
{
  const char *query = uri_query(request->uri);
  g_autofree char *seconds = uri_value(query, "seconds");
  request->wants_text = uri_number(query, "debug") != 0;
  request->at = kind == ORDER_PEAK ? NULL : uri_value(query, "at");
  if (seconds != NULL && seconds[0] != '\0')
    return answer_problem(MHD_HTTP_BAD_REQUEST,
                          "in a recording no seconds pass: ?at= names a moment, and pprof -diff_base compares two");
  return ordering_place(request, kind, NULL);
}

static struct answer answer_page(struct request *request)
{
  if (live_page_exists())
    return ordering_place(request, ORDER_PAGE, NULL);
  return answer_redirect(request->route.location, request->has_body_in_answer);
}

/* A time that is given must be one. */
static bool take_time(struct request *request, const char *key, int64_t *time_ms)
{
  g_autofree char *text = uri_value(uri_query(request->uri), key);
  return text == NULL || ordering_time(request, key, time_ms);
}

static struct answer answer_heap(struct request *request)
{
  return take_time(request, "at", &request->to_ms)
             ? ordering_place(request, ORDER_LIVE_HEAP, NULL)
             : answer_problem(MHD_HTTP_BAD_REQUEST, "at must be a time, in milliseconds since 1970");
}

static struct answer answer_timeline(struct request *request)
{
  return take_time(request, "after", &request->from_ms)
             ? ordering_place(request, ORDER_LIVE_TIMELINE, NULL)
             : answer_problem(MHD_HTTP_BAD_REQUEST, "after must be a time, in milliseconds since 1970");
}

static struct answer answer_change(struct request *request)
{
  return ordering_time(request, "from", &request->from_ms) && ordering_time(request, "to", &request->to_ms)
             ? ordering_place(request, ORDER_LIVE_CHANGE, NULL)
             : answer_problem(MHD_HTTP_BAD_REQUEST, "from and to must be times, in milliseconds since 1970");
}

struct answer recorded_question_answer(struct request *request)
{
  switch (request->route.end) {
  case ROUTE_REDIRECT: return ordering_redirect(request);
  case ROUTE_LIST: return ordering_place(request, ORDER_LIST, NULL);
  case ROUTE_PAGE: return answer_page(request);
  case ROUTE_LIVE_HEAP: return answer_heap(request);
  case ROUTE_LIVE_TIMELINE: return answer_timeline(request);
  case ROUTE_LIVE_CHANGE: return answer_change(request);
  case ROUTE_HEALTH: return answer_text(MHD_HTTP_OK, "ok");
  case ROUTE_INDEX: return ordering_place(request, ORDER_INDEX, NULL);
  case ROUTE_HEAP: return answer_profile(request, ORDER_HEAP);
  case ROUTE_ALLOCS: return answer_profile(request, ORDER_ALLOCS);
  case ROUTE_PEAK: return answer_profile(request, ORDER_PEAK);
  case ROUTE_CMDLINE: return ordering_place(request, ORDER_CMDLINE, NULL);
  case ROUTE_METRICS:
  case ROUTE_DELTA_HEAP:
  case ROUTE_SYMBOL:
    return answer_problem(MHD_HTTP_NOT_FOUND, "this is asked of processes that run, not of a recording");
  case ROUTE_UNKNOWN_PROFILE: return answer_problem(MHD_HTTP_NOT_FOUND, "Unknown profile");
  default: return answer_text(MHD_HTTP_NOT_FOUND, "404 page not found");
  }
}
