/* SPDX-License-Identifier: MIT */
#include "tools/serve/exchange.h"

#include "tools/serve/answer.h"
#include "tools/serve/route.h"
#include "tools/serve/uri.h"

#include <glib-unix.h>
#include <poll.h>
#include <string.h>

enum {
  BODY_BYTES_MAX = 64 << 10,
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
  bool has_headers, is_head, has_body_in_answer;
  struct order order;
  struct answer answer;
  guint hang_up; /* source, while it sleeps */
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

static struct answer answer_of(const struct order *order, struct parcel *body)
{
  static const struct {
    const char *type, *file_name;
  } kinds[] = {
      [ORDER_LIST] = {html, NULL},         [ORDER_INDEX] = {html, NULL},
      [ORDER_HEAP] = {any_bytes, "heap"},  [ORDER_ALLOCS] = {any_bytes, "allocs"},
      [ORDER_PEAK] = {any_bytes, "peak"},  [ORDER_CMDLINE] = {plain_text, NULL},
      [ORDER_SYMBOL] = {plain_text, NULL},
  };
  if (order->wants_text)
    return answer_parcel(body, plain_text, NULL);
  struct answer answer = answer_parcel(body, kinds[order->kind].type, kinds[order->kind].file_name);
  if (order->kind == ORDER_LIST)
    answer_add_header(&answer, "Content-Security-Policy",
                      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
  return answer;
}

static void take_outcome(const struct outcome *outcome, void *context)
{
  struct exchange *exchange = context;
  if (outcome->status == MHD_HTTP_OK)
    wake_with(exchange, answer_of(&exchange->order, outcome->body));
  else
    wake_with(exchange, answer_problem(outcome->status, outcome->problem));
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

static struct answer place_order(struct exchange *exchange, enum order_kind kind)
{
  bool is_profile = kind == ORDER_HEAP || kind == ORDER_ALLOCS || kind == ORDER_PEAK;
  if (!order_init(&exchange->order, kind, exchange->route.process))
    return answer_problem(MHD_HTTP_NOT_FOUND, "no process has such a long name");
  if (parcel_bytes_held() > HELD_BYTES_MAX) {
    struct answer answer = answer_problem(MHD_HTTP_SERVICE_UNAVAILABLE, "too many readers are slow; ask again later");
    answer_add_header(&answer, MHD_HTTP_HEADER_RETRY_AFTER, "5");
    return answer;
  }
  struct parcel *input = NULL;
  if (kind == ORDER_SYMBOL) {
    const char *query = uri_query(exchange->uri);
    bool is_posted = exchange->body->len > 0;
    input = parcel_of_bytes(is_posted ? (const char *)exchange->body->data : query,
                            is_posted ? exchange->body->len : strlen(query));
  }
  exchange->order.wants_text = is_profile && uri_number(uri_query(exchange->uri), "debug") != 0;
  sleep_until_done(exchange, input);
  parcel_release(input);
  return no_answer();
}

static struct answer answer_request(struct exchange *exchange)
{
  switch (exchange->route.end) {
  case ROUTE_REDIRECT: return answer_redirect(exchange->route.location, exchange->has_body_in_answer);
  case ROUTE_LIST: return place_order(exchange, ORDER_LIST);
  case ROUTE_HEALTH: return answer_text(MHD_HTTP_OK, "ok");
  case ROUTE_INDEX: return place_order(exchange, ORDER_INDEX);
  case ROUTE_HEAP: return place_order(exchange, ORDER_HEAP);
  case ROUTE_ALLOCS: return place_order(exchange, ORDER_ALLOCS);
  case ROUTE_PEAK: return place_order(exchange, ORDER_PEAK);
  case ROUTE_CMDLINE: return place_order(exchange, ORDER_CMDLINE);
  case ROUTE_SYMBOL: return place_order(exchange, ORDER_SYMBOL);
  case ROUTE_UNKNOWN_PROFILE: return answer_problem(MHD_HTTP_NOT_FOUND, "Unknown profile");
  default: return answer_text(MHD_HTTP_NOT_FOUND, "404 page not found");
  }
}

/* Whether it may be asked: by its headers alone. */

static const char *header(const struct exchange *exchange, const char *name)
{
  return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

static struct answer refuse_without_token(void)
{
  struct answer answer = answer_text(MHD_HTTP_UNAUTHORIZED, "this needs the token that the server was started with");
  answer_add_header(&answer, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"heapprof\", charset=\"UTF-8\"");
  return answer;
}

static bool is_method_known(const char *method)
{
  return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "POST") == 0;
}

static struct answer refuse_method(void)
{
  struct answer answer = answer_text(MHD_HTTP_METHOD_NOT_ALLOWED, "405 method not allowed");
  answer_add_header(&answer, MHD_HTTP_HEADER_ALLOW, "GET, HEAD, POST");
  return answer;
}

static bool is_too_long(const char *content_length)
{
  guint64 bytes;
  return content_length != NULL && !g_ascii_string_to_unsigned(content_length, 10, 0, BODY_BYTES_MAX, &bytes, NULL);
}

/* The answer is none if it may. */
static struct answer refuse(struct exchange *exchange, const char *method)
{
  const char *authorization = header(exchange, MHD_HTTP_HEADER_AUTHORIZATION);
  enum access_verdict verdict =
      access_check(&exchange->service->access, header(exchange, MHD_HTTP_HEADER_HOST), authorization);
  if (verdict == ACCESS_NO_TOKEN && exchange->route.end != ROUTE_HEALTH)
    return refuse_without_token();
  if (verdict == ACCESS_FOREIGN_HOST)
    return answer_text(MHD_HTTP_FORBIDDEN, "this is not served by that name; heapprof serve --host NAME does");
  if (!is_method_known(method))
    return refuse_method();
  if (is_too_long(header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH)))
    return answer_text(MHD_HTTP_CONTENT_TOO_LARGE, "413 request too large");
  return no_answer();
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
  exchange->answer = refuse(exchange, method);
  return exchange->answer.response != NULL ? send_answer(exchange) : MHD_YES;
}

/* Of a body without a length, too: it ends the connection. */
static enum MHD_Result take_body(struct exchange *exchange, const char *bytes, size_t *size)
{
  if (exchange->body->len + *size > BODY_BYTES_MAX)
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
  (void)service;
  (void)connection;
  (void)how;
  if (exchange == NULL)
    return;
  stop_waiting(exchange);
  visitor_may_ask(exchange->visitor);
  answer_clear(&exchange->answer);
  route_clear(&exchange->route);
  g_byte_array_unref(exchange->body);
  g_free(exchange->uri);
  g_free(exchange);
  *context = NULL;
}
