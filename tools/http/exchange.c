/* SPDX-License-Identifier: MIT */
#include "tools/http/exchange.h"

#include "tools/http/answer.h"
#include "tools/http/refusal.h"
#include "tools/serve/numbers.h"
#include "tools/serve/route.h"
#include "tools/serve/uri.h"

#include <glib-unix.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

enum {
  DELTA_SECONDS_MAX = 3600,
  HELD_BYTES_MAX = 32 << 20, /* of answers that wait for their readers; whatever the size, one may */
};

static const char html[] = "text/html; charset=utf-8", plain_text[] = "text/plain; charset=utf-8",
                  any_bytes[] = "application/octet-stream";

struct exchange {
  struct service *service;
  struct MHD_Connection *connection;
  struct visitor *visitor;
  char *uri;
  struct route route;
  GByteArray *body;
  bool has_headers, is_head, has_body_in_answer, wants_text;
  unsigned sites;
  struct order order;
  struct answer answer;
  guint hang_up, timer; /* sources, while it sleeps */
  guint seconds;        /* of a delta that has not begun; else 0 */
  enum order_kind then; /* what to order when they are over */
  struct parcel *marks; /* of its begin; of delta_heap: of this time */
  char *client;         /* whose marks they will be; NULL: nobody's */
};

static struct visitor *visitor_of(struct MHD_Connection *connection)
{
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static int descriptor_of(struct MHD_Connection *connection)
{
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

void exchange_connection(void *service, struct MHD_Connection *connection, void **socket_context,
                         enum MHD_ConnectionNotificationCode what)
{
  struct service *ours = service;
  if (what == MHD_CONNECTION_NOTIFY_STARTED)
    *socket_context = visitor_came(&ours->visitors, descriptor_of(connection));
  else
    visitor_goes(&ours->visitors, *socket_context);
}

void *exchange_begin(void *service, const char *uri, struct MHD_Connection *connection)
{
  struct exchange *exchange = g_new0(struct exchange, 1);
  exchange->service = service;
  exchange->connection = connection;
  exchange->visitor = visitor_of(connection);
  visitor_asks(exchange->visitor);
  exchange->uri = g_strdup(uri);
  exchange->body = g_byte_array_new();
  return exchange;
}

/* Sleeping. */

/* Nobody waits for its order any more. */
static void stop_waiting(struct exchange *exchange)
{
  g_clear_handle_id(&exchange->hang_up, g_source_remove);
  g_clear_handle_id(&exchange->timer, g_source_remove);
  g_hash_table_remove(exchange->service->sleeping, exchange);
  workers_cancel(exchange->service->workers, exchange);
}

static void wake_with(struct exchange *exchange, struct answer answer)
{
  stop_waiting(exchange);
  exchange->answer = answer;
  exchange->service->has_woken = true;
  MHD_resume_connection(exchange->connection);
}

static gboolean take_hang_up(gint fd, GIOCondition condition, gpointer data)
{
  struct exchange *exchange = data;
  (void)fd;
  (void)condition;
  exchange->hang_up = 0;
  wake_with(exchange, answer_problem(MHD_HTTP_SERVICE_UNAVAILABLE, "nobody waits for it")); /* nor will read this */
  return G_SOURCE_REMOVE;
}

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
};

/* Whoever knows it says so; the text is the same. */
static bool takes_open_metrics(const struct exchange *exchange)
{
  const char *accept = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
  return accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
}

static struct answer answer_of(const struct exchange *exchange, struct parcel *body)
{
  enum order_kind kind = exchange->order.kind;
  if (exchange->wants_text)
    return answer_parcel(body, plain_text, NULL);
  if (exchange->client != NULL)
    return answer_parcel(body, any_bytes, "delta_heap");
  if (kind == ORDER_METRICS && takes_open_metrics(exchange))
    return answer_parcel(body, "application/openmetrics-text; version=1.0.0; charset=utf-8", NULL);
  struct answer answer = answer_parcel(body, bodies[kind].type, bodies[kind].file_name);
  if (kind == ORDER_LIST)
    answer_add_header(&answer, "Content-Security-Policy",
                      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
  return answer;
}

static void take_outcome(const struct outcome *outcome, void *context);

/* The end of a delta. */
static gboolean order_delta(gpointer data)
{
  struct exchange *exchange = data;
  exchange->timer = 0;
  exchange->order.kind = exchange->then;
  workers_order(exchange->service->workers, &exchange->order, exchange->marks, take_outcome, exchange);
  return G_SOURCE_REMOVE;
}

/* It sleeps on. */
static void begin_delta(struct exchange *exchange, struct parcel *marks)
{
  exchange->marks = parcel_hold(marks);
  exchange->timer = g_timeout_add(exchange->seconds * 1000, order_delta, exchange);
  exchange->seconds = 0;
}

static void keep_shown(struct service *service, struct parcel *shown)
{
  parcel_release(service->shown);
  service->shown = parcel_hold(shown);
}

static void finish(struct exchange *exchange, const struct outcome *outcome)
{
  if (exchange->order.kind == ORDER_METRICS)
    keep_shown(exchange->service, outcome->marks);
  if (exchange->client != NULL) {
    parcel_release(exchange->marks);
    exchange->marks = parcel_hold(outcome->marks);
  }
  wake_with(exchange, answer_of(exchange, outcome->body));
}

static void take_outcome(const struct outcome *outcome, void *context)
{
  struct exchange *exchange = context;
  if (outcome->status != MHD_HTTP_OK)
    wake_with(exchange, answer_problem(outcome->status, outcome->problem));
  else if (exchange->seconds > 0)
    begin_delta(exchange, outcome->body);
  else
    finish(exchange, outcome);
}

static void sleep_until_done(struct exchange *exchange, struct parcel *input)
{
  struct service *service = exchange->service;
  visitor_waits(exchange->visitor);
  g_hash_table_add(service->sleeping, exchange);
  MHD_suspend_connection(exchange->connection);
  exchange->hang_up = g_unix_fd_add(descriptor_of(exchange->connection),
                                    (GIOCondition)(POLLRDHUP | G_IO_HUP | G_IO_ERR), take_hang_up, exchange);
  workers_order(service->workers, &exchange->order, input, take_outcome, exchange);
}

void exchange_wake_all(struct service *service)
{
  GHashTableIter iterator;
  gpointer exchange;
  for (;;) {
    g_hash_table_iter_init(&iterator, service->sleeping);
    if (!g_hash_table_iter_next(&iterator, &exchange, NULL))
      break;
    wake_with(exchange, answer_problem(MHD_HTTP_SERVICE_UNAVAILABLE, "the server ends"));
  }
}

/* What is asked. */

static struct answer no_answer(void)
{
  return (struct answer){.response = NULL};
}

static struct answer place_order(struct exchange *exchange, enum order_kind kind, struct parcel *input)
{
  if (!order_init(&exchange->order, kind, exchange->route.process))
    return answer_problem(MHD_HTTP_NOT_FOUND, "no process has such a long name");
  if (parcel_bytes_held() > HELD_BYTES_MAX) {
    struct answer answer = answer_problem(MHD_HTTP_SERVICE_UNAVAILABLE, "too many readers are slow; ask again later");
    answer_add_header(&answer, MHD_HTTP_HEADER_RETRY_AFTER, "5");
    return answer;
  }
  exchange->order.wants_text = exchange->wants_text;
  exchange->order.sites = exchange->sites;
  sleep_until_done(exchange, input);
  return no_answer();
}

static struct answer place_symbol_order(struct exchange *exchange)
{
  const char *query = uri_query(exchange->uri);
  bool is_posted = exchange->body->len > 0;
  struct parcel *input =
      is_posted ? parcel_of_bytes(exchange->body->data, exchange->body->len) : parcel_of_bytes(query, strlen(query));
  struct answer answer = place_order(exchange, ORDER_SYMBOL, input);
  parcel_release(input);
  return answer;
}

/* What a profile is asked for, in the order in which Go looks at it: `delta` is ORDER_MARKS where there is none. */
static struct answer place_profile_order(struct exchange *exchange, enum order_kind kind, enum order_kind delta)
{
  const char *query = uri_query(exchange->uri);
  g_autofree char *text = uri_value(query, "seconds");
  int64_t seconds;
  exchange->wants_text = uri_number(query, "debug") != 0;
  if (text == NULL || text[0] == '\0')
    return place_order(exchange, kind, NULL);
  if (numbers_signed(text, strlen(text), &seconds) != NUMBER_OK || seconds <= 0)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "invalid value for \"seconds\" - must be a positive integer");
  if (delta == ORDER_MARKS)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "\"seconds\" parameter is not supported for this profile type");
  if (seconds > DELTA_SECONDS_MAX)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "profile duration exceeds server's WriteTimeout");
  if (exchange->wants_text)
    return answer_problem(MHD_HTTP_BAD_REQUEST, "seconds and debug params are incompatible");
  exchange->seconds = (guint)seconds;
  exchange->then = delta;
  return place_order(exchange, ORDER_MARKS, NULL);
}

/* Who asks: as it calls itself, else by where it asks from and with what. */
static char *client_of(const struct exchange *exchange)
{
  g_autofree char *name = uri_value(uri_query(exchange->uri), "client");
  if (name != NULL && name[0] != '\0')
    return g_strdup_printf("%s\nclient %s", exchange->route.process, name);
  char address[NI_MAXHOST] = "";
  const struct sockaddr *from =
      MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
  socklen_t size = from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  if (from->sa_family == AF_INET || from->sa_family == AF_INET6)
    (void)getnameinfo(from, size, address, sizeof address, NULL, 0, NI_NUMERICHOST);
  const char *agent = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_USER_AGENT);
  return g_strdup_printf("%s\nfrom %s %s", exchange->route.process, address, agent != NULL ? agent : "");
}

static struct answer place_client_order(struct exchange *exchange)
{
  exchange->client = client_of(exchange);
  return place_order(exchange, ORDER_HEAP_DELTA, clients_get(exchange->service->clients, exchange->client));
}

static struct answer place_metrics_order(struct exchange *exchange)
{
  struct service *service = exchange->service;
  exchange->sites = service->sites;
  return place_order(exchange, ORDER_METRICS, service->sites > 0 ? service->shown : NULL);
}

static struct answer answer_request(struct exchange *exchange)
{
  switch (exchange->route.end) {
  case ROUTE_REDIRECT: return answer_redirect(exchange->route.location, exchange->has_body_in_answer);
  case ROUTE_LIST: return place_order(exchange, ORDER_LIST, NULL);
  case ROUTE_HEALTH: return answer_text(MHD_HTTP_OK, "ok");
  case ROUTE_METRICS: return place_metrics_order(exchange);
  case ROUTE_INDEX: return place_order(exchange, ORDER_INDEX, NULL);
  case ROUTE_HEAP: return place_profile_order(exchange, ORDER_HEAP, ORDER_HEAP_DELTA);
  case ROUTE_ALLOCS: return place_profile_order(exchange, ORDER_ALLOCS, ORDER_ALLOCS_DELTA);
  case ROUTE_PEAK: return place_profile_order(exchange, ORDER_PEAK, ORDER_MARKS);
  case ROUTE_DELTA_HEAP: return place_client_order(exchange);
  case ROUTE_CMDLINE: return place_order(exchange, ORDER_CMDLINE, NULL);
  case ROUTE_SYMBOL: return place_symbol_order(exchange);
  case ROUTE_UNKNOWN_PROFILE: return answer_problem(MHD_HTTP_NOT_FOUND, "Unknown profile");
  default: return answer_text(MHD_HTTP_NOT_FOUND, "404 page not found");
  }
}

/* Steps. */

static enum MHD_Result send_answer(struct exchange *exchange)
{
  visitor_takes(exchange->visitor, exchange->is_head ? 0 : exchange->answer.size);
  return MHD_queue_response(exchange->connection, exchange->answer.status, exchange->answer.response);
}

static enum MHD_Result take_headers(struct exchange *exchange, const char *method)
{
  exchange->has_headers = true;
  exchange->is_head = strcmp(method, "HEAD") == 0;
  exchange->has_body_in_answer = strcmp(method, "POST") != 0;
  exchange->route = route_of(exchange->uri);
  exchange->answer =
      refusal_of(exchange->connection, &exchange->service->access, method, exchange->route.end == ROUTE_HEALTH);
  return exchange->answer.response != NULL ? send_answer(exchange) : MHD_YES;
}

/* Of a body without a length, too: it ends the connection. */
static enum MHD_Result take_body(struct exchange *exchange, const char *bytes, size_t *size)
{
  if (exchange->body->len + *size > REFUSAL_BODY_BYTES_MAX)
    return MHD_NO;
  g_byte_array_append(exchange->body, (const guint8 *)bytes, (guint)*size);
  *size = 0;
  return MHD_YES;
}

enum MHD_Result exchange_step(void *service, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **context)
{
  struct exchange *exchange = *context;
  (void)service;
  (void)connection;
  (void)url;
  (void)version;
  if (exchange == NULL) /* there was no request line to speak of */
    return MHD_NO;
  if (exchange->answer.response != NULL)
    return send_answer(exchange);
  if (!exchange->has_headers)
    return take_headers(exchange, method);
  if (*upload_size > 0)
    return take_body(exchange, upload, upload_size);
  struct answer answer = answer_request(exchange);
  if (answer.response == NULL) /* it sleeps, or is awake again already */
    return MHD_YES;
  exchange->answer = answer;
  return send_answer(exchange);
}

void exchange_end(void *service, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode how)
{
  struct exchange *exchange = *context;
  struct service *ours = service;
  (void)connection;
  if (exchange == NULL)
    return;
  bool has_got_it =
      how == MHD_REQUEST_TERMINATED_COMPLETED_OK && exchange->answer.status == MHD_HTTP_OK && !exchange->is_head;
  if (has_got_it && exchange->client != NULL && exchange->marks != NULL)
    clients_put(ours->clients, exchange->client, exchange->marks);
  stop_waiting(exchange);
  parcel_release(exchange->marks);
  g_free(exchange->client);
  visitor_may_ask(exchange->visitor);
  answer_clear(&exchange->answer);
  route_clear(&exchange->route);
  g_byte_array_unref(exchange->body);
  g_free(exchange->uri);
  g_free(exchange);
  *context = NULL;
}
