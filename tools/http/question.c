/* SPDX-License-Identifier: MIT */
#include "tools/http/question.h"

#include "tools/http/ordering.h"
#include "tools/http/recorded_question.h"
#include "tools/live/live_page.h"
#include "tools/serve/numbers.h"
#include "tools/serve/uri.h"

#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

enum {
  DELTA_SECONDS_MAX = 3600,
  DELTA_SLEEPERS_MAX = 128, /* with so many that wait no delta is begun: what is asked for at once finds room */
};

/* Takes the parcel. */
static struct answer place_order_with(struct request *request, enum order_kind kind, struct parcel *input)
{
  struct answer answer = ordering_place(request, kind, input);
  parcel_release(input);
  return answer;
}

static struct answer place_symbol_order(struct request *request)
{
  const char *query = uri_query(request->uri);
  bool is_posted = request->body->len > 0;
  struct parcel *input =
      is_posted ? parcel_of_bytes(request->body->data, request->body->len) : parcel_of_bytes(query, strlen(query));
  return place_order_with(request, ORDER_SYMBOL, input);
}

/* What a profile is asked for, in the order in which Go looks at it: `delta` is ORDER_MARKS where there is none. */
static struct answer place_profile_order(struct request *request, enum order_kind kind, enum order_kind delta)
{
  const char *query = uri_query(request->uri);
  g_autofree char *text = uri_value(query, "seconds");
  int64_t seconds;
  request->wants_text = uri_number(query, "debug") != 0;
  if (text == NULL || text[0] == '\0')
    return ordering_place(request, kind, NULL);
  if (numbers_signed(text, strlen(text), &seconds) != NUMBER_OK || seconds <= 0)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "invalid value for \"seconds\" - must be a positive integer");
  if (delta == ORDER_MARKS)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "\"seconds\" parameter is not supported for this profile type");
  if (seconds > DELTA_SECONDS_MAX)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "profile duration exceeds server's WriteTimeout");
  if (request->wants_text)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "seconds and debug params are incompatible");
  if (g_hash_table_size(request->service->sleeping) >= DELTA_SLEEPERS_MAX)
    return answer_busy("too many wait for a difference; ask again later");
  request->seconds = (guint)seconds;
  request->then = delta;
  return ordering_place(request, ORDER_MARKS, NULL);
}

/* Who asks: as it calls itself, else by where it asks from and with what. */
static char *client_of(const struct request *request)
{
  g_autofree char *name = uri_value(uri_query(request->uri), "client");
  if (name != NULL && name[0] != '\0')
    return g_strdup_printf("%s\nclient %s", request->route.process, name);
  char address[NI_MAXHOST] = "";
  const struct sockaddr *from =
      MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
  socklen_t size = from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  if (from->sa_family == AF_INET || from->sa_family == AF_INET6)
    (void)getnameinfo(from, size, address, sizeof address, NULL, 0, NI_NUMERICHOST);
  const char *agent = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_USER_AGENT);
  return g_strdup_printf("%s\nfrom %s %s", request->route.process, address, agent != NULL ? agent : "");
}

static struct answer place_client_order(struct request *request)
{
  request->client = client_of(request);
  return ordering_place(request, ORDER_HEAP_DELTA, clients_get(request->service->clients, request->client));
}

/* Whoever knows it says so. */
static bool takes_open_metrics(const struct request *request)
{
  const char *accept = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
  return accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
}

static struct answer place_metrics_order(struct request *request)
{
  struct service *service = request->service;
  request->sites = service->sites;
  request->wants_open_metrics = takes_open_metrics(request);
  return ordering_place(request, ORDER_METRICS, service->sites > 0 ? service->shown : NULL);
}

/* Pages, and what they ask for. */

static struct answer answer_page(struct request *request)
{
  if (live_page_exists())
    return ordering_place(request, ORDER_PAGE, NULL);
  return answer_redirect(request->route.location, request->has_body_in_answer);
}

/* 0: it was asked for by name, and pages do not. */
static int number_of(const char *process)
{
  guint64 number;
  return g_ascii_string_to_unsigned(process, 10, 1, INT_MAX, &number, NULL) ? (int)number : 0;
}

static struct answer answer_timeline(struct request *request)
{
  struct parcel *past = pulse_clock_past(request->service->clock, number_of(request->route.process));
  return place_order_with(request, ORDER_LIVE_TIMELINE, past);
}

static struct answer answer_change(struct request *request)
{
  enum { NS_OF_MS = 1000000 };
  int64_t from_ms, to_ms;
  if (!ordering_time(request, "from", &from_ms) || !ordering_time(request, "to", &to_ms))
    return answer_problem(MHD_HTTP_BAD_REQUEST, "from and to must be times, in milliseconds since 1970");
  struct parcel *pair = pulse_clock_pair(request->service->clock, number_of(request->route.process), from_ms * NS_OF_MS,
                                         to_ms * NS_OF_MS);
  if (pair == NULL)
    return answer_problem(MHD_HTTP_NOT_FOUND, "no two moments of it are remembered");
  return place_order_with(request, ORDER_LIVE_CHANGE, pair);
}

static struct answer answer_list(struct request *request)
{
  return place_order_with(request, ORDER_LIST, pulse_clock_past_of_all(request->service->clock));
}

/* A moment that is asked for, and not given, would be taken for the one that is. */
static bool asks_for_moment(const struct request *request)
{
  g_autofree char *at = uri_value(uri_query(request->uri), "at");
  return at != NULL && (request->route.end == ROUTE_LIVE_HEAP ||
                        (request->route.end >= ROUTE_HEAP && request->route.end <= ROUTE_DELTA_HEAP));
}

struct answer question_answer(struct request *request)
{
  if (request->service->is_recorded)
    return recorded_question_answer(request);
  if (asks_for_moment(request))
    return answer_problem(MHD_HTTP_BAD_REQUEST, "?at= names a moment of a recording; of a process there is now alone");
  switch (request->route.end) {
  case ROUTE_REDIRECT: return ordering_redirect(request);
  case ROUTE_LIST: return answer_list(request);
  case ROUTE_PAGE: return answer_page(request);
  case ROUTE_LIVE_HEAP: return ordering_place(request, ORDER_LIVE_HEAP, NULL);
  case ROUTE_LIVE_TIMELINE: return answer_timeline(request);
  case ROUTE_LIVE_CHANGE: return answer_change(request);
  case ROUTE_HEALTH: return answer_text(MHD_HTTP_OK, "ok");
  case ROUTE_METRICS: return place_metrics_order(request);
  case ROUTE_INDEX: return ordering_place(request, ORDER_INDEX, NULL);
  case ROUTE_HEAP: return place_profile_order(request, ORDER_HEAP, ORDER_HEAP_DELTA);
  case ROUTE_ALLOCS: return place_profile_order(request, ORDER_ALLOCS, ORDER_ALLOCS_DELTA);
  case ROUTE_PEAK: return place_profile_order(request, ORDER_PEAK, ORDER_MARKS);
  case ROUTE_DELTA_HEAP: return place_client_order(request);
  case ROUTE_CMDLINE: return ordering_place(request, ORDER_CMDLINE, NULL);
  case ROUTE_SYMBOL: return place_symbol_order(request);
  case ROUTE_UNKNOWN_PROFILE: return answer_problem(MHD_HTTP_NOT_FOUND, "Unknown profile");
  default: return answer_text(MHD_HTTP_NOT_FOUND, "404 page not found");
  }
}
