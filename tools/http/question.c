/* SPDX-License-Identifier: MIT */
#include "tools/http/question.h"

#include "tools/http/sleep.h"
#include "tools/serve/numbers.h"
#include "tools/serve/uri.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

enum {
  DELTA_SECONDS_MAX = 3600,
  HELD_BYTES_MAX = 32 << 20, /* of answers that wait for their readers; whatever the size, one may */
};

static struct answer no_answer(void)
{
  return (struct answer){.response = NULL};
}

static struct answer place_order(struct request *request, enum order_kind kind, struct parcel *input)
{
  if (!order_init(&request->order, kind, request->route.process))
    return answer_problem(MHD_HTTP_NOT_FOUND, "no process has such a long name");
  if (parcel_bytes_held() > HELD_BYTES_MAX) {
    struct answer answer = answer_problem(MHD_HTTP_SERVICE_UNAVAILABLE, "too many readers are slow; ask again later");
    answer_add_header(&answer, MHD_HTTP_HEADER_RETRY_AFTER, "5");
    return answer;
  }
  request->order.wants_text = request->wants_text;
  request->order.sites = request->sites;
  sleep_until_done(request, input);
  return no_answer();
}

static struct answer place_symbol_order(struct request *request)
{
  const char *query = uri_query(request->uri);
  bool is_posted = request->body->len > 0;
  struct parcel *input =
      is_posted ? parcel_of_bytes(request->body->data, request->body->len) : parcel_of_bytes(query, strlen(query));
  struct answer answer = place_order(request, ORDER_SYMBOL, input);
  parcel_release(input);
  return answer;
}

/* What a profile is asked for, in the order in which Go looks at it: `delta` is ORDER_MARKS where there is none. */
static struct answer place_profile_order(struct request *request, enum order_kind kind, enum order_kind delta)
{
  const char *query = uri_query(request->uri);
  g_autofree char *text = uri_value(query, "seconds");
  int64_t seconds;
  request->wants_text = uri_number(query, "debug") != 0;
  if (text == NULL || text[0] == '\0')
    return place_order(request, kind, NULL);
  if (numbers_signed(text, strlen(text), &seconds) != NUMBER_OK || seconds <= 0)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "invalid value for \"seconds\" - must be a positive integer");
  if (delta == ORDER_MARKS)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "\"seconds\" parameter is not supported for this profile type");
  if (seconds > DELTA_SECONDS_MAX)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "profile duration exceeds server's WriteTimeout");
  if (request->wants_text)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "seconds and debug params are incompatible");
  request->seconds = (guint)seconds;
  request->then = delta;
  return place_order(request, ORDER_MARKS, NULL);
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
  return place_order(request, ORDER_HEAP_DELTA, clients_get(request->service->clients, request->client));
}

static struct answer place_metrics_order(struct request *request)
{
  struct service *service = request->service;
  request->sites = service->sites;
  return place_order(request, ORDER_METRICS, service->sites > 0 ? service->shown : NULL);
}

struct answer question_answer(struct request *request)
{
  switch (request->route.end) {
  case ROUTE_REDIRECT: return answer_redirect(request->route.location, request->has_body_in_answer);
  case ROUTE_LIST: return place_order(request, ORDER_LIST, NULL);
  case ROUTE_HEALTH: return answer_text(MHD_HTTP_OK, "ok");
  case ROUTE_METRICS: return place_metrics_order(request);
  case ROUTE_INDEX: return place_order(request, ORDER_INDEX, NULL);
  case ROUTE_HEAP: return place_profile_order(request, ORDER_HEAP, ORDER_HEAP_DELTA);
  case ROUTE_ALLOCS: return place_profile_order(request, ORDER_ALLOCS, ORDER_ALLOCS_DELTA);
  case ROUTE_PEAK: return place_profile_order(request, ORDER_PEAK, ORDER_MARKS);
  case ROUTE_DELTA_HEAP: return place_client_order(request);
  case ROUTE_CMDLINE: return place_order(request, ORDER_CMDLINE, NULL);
  case ROUTE_SYMBOL: return place_symbol_order(request);
  case ROUTE_UNKNOWN_PROFILE: return answer_problem(MHD_HTTP_NOT_FOUND, "Unknown profile");
  default: return answer_text(MHD_HTTP_NOT_FOUND, "404 page not found");
  }
}
