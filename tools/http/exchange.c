/* SPDX-License-Identifier: MIT */
#include "tools/http/exchange.h"

#include "tools/http/question.h"
#include "tools/http/refusal.h"
#include "tools/http/sleep.h"

#include <string.h>

static struct visitor *visitor_of(struct MHD_Connection *connection)
{
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

void exchange_connection(void *service, struct MHD_Connection *connection, void **socket_context,
                         enum MHD_ConnectionNotificationCode what)
{
  struct service *ours = service;
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  if (what == MHD_CONNECTION_NOTIFY_STARTED)
    *socket_context = visitor_came(&ours->visitors, info->connect_fd);
  else {
    visitor_goes(&ours->visitors, *socket_context);
    ours->has_to_run = true;
  }
}

void *exchange_begin(void *service, const char *uri, struct MHD_Connection *connection)
{
  struct request *request = g_new0(struct request, 1);
  request->service = service;
  request->connection = connection;
  request->visitor = visitor_of(connection);
  visitor_asks(request->visitor);
  request->uri = g_strdup(uri);
  request->body = g_byte_array_new();
  return request;
}

/* Steps. */

static enum MHD_Result send_answer(struct request *request)
{
  visitor_takes(request->visitor, request->is_head ? 0 : request->answer.size);
  return MHD_queue_response(request->connection, request->answer.status, request->answer.response);
}

static enum MHD_Result take_headers(struct request *request, const char *method, const char *version)
{
  request->has_headers = true;
  request->is_head = strcmp(method, "HEAD") == 0;
  request->has_body_in_answer = strcmp(method, "POST") != 0;
  request->route = route_of(request->uri);
  request->answer = refusal_of(request->connection, &request->service->access, method, version, request->route.end);
  return request->answer.response != NULL ? send_answer(request) : MHD_YES;
}

/* Of a body without a length, too: it ends the connection. */
static enum MHD_Result take_body(struct request *request, const char *bytes, size_t *size)
{
  if (request->body->len + *size > REFUSAL_BODY_BYTES_MAX)
    return MHD_NO;
  g_byte_array_append(request->body, (const guint8 *)bytes, (guint)*size);
  *size = 0;
  return MHD_YES;
}

enum MHD_Result exchange_step(void *service, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **context)
{
  struct request *request = *context;
  (void)service;
  (void)connection;
  (void)url;
  if (request == NULL) /* there was no request line to speak of */
    return MHD_NO;
  if (request->answer.response != NULL)
    return send_answer(request);
  if (!request->has_headers)
    return take_headers(request, method, version);
  if (*upload_size > 0)
    return take_body(request, upload, upload_size);
  struct answer answer = question_answer(request);
  if (answer.response == NULL) /* it sleeps, or is awake again already */
    return MHD_YES;
  request->answer = answer;
  return send_answer(request);
}

void exchange_end(void *service, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode how)
{
  struct request *request = *context;
  struct service *ours = service;
  (void)connection;
  if (request == NULL)
    return;
  bool has_got_it =
      how == MHD_REQUEST_TERMINATED_COMPLETED_OK && request->answer.status == MHD_HTTP_OK && !request->is_head;
  if (has_got_it && request->client != NULL && request->marks != NULL)
    clients_put(ours->clients, request->client, request->marks);
  sleep_end(request);
  parcel_release(request->marks);
  g_free(request->client);
  g_free(request->at);
  visitor_may_ask(request->visitor);
  answer_clear(&request->answer);
  route_clear(&request->route);
  g_byte_array_unref(request->body);
  g_free(request->uri);
  g_free(request);
  *context = NULL;
}
