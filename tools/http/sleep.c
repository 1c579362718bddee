/* SPDX-License-Identifier: MIT */
#include "tools/http/sleep.h"

#include "tools/http/body.h"

#include <glib-unix.h>
#include <poll.h>

static int descriptor_of(struct MHD_Connection *connection)
{
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

void sleep_end(struct request *request)
{
  g_clear_handle_id(&request->hang_up, g_source_remove);
  g_clear_handle_id(&request->timer, g_source_remove);
  g_hash_table_remove(request->service->sleeping, request);
  workers_cancel(request->service->workers, request);
}

static void wake_with(struct request *request, struct answer answer)
{
  sleep_end(request);
  request->answer = answer;
  request->service->has_to_run = true;
  MHD_resume_connection(request->connection);
}

static gboolean take_hang_up(gint fd, GIOCondition condition, gpointer data)
{
  struct request *request = data;
  (void)fd;
  (void)condition;
  request->hang_up = 0;
  wake_with(request, answer_problem(MHD_HTTP_SERVICE_UNAVAILABLE, "nobody waits for it")); /* nor will read this */
  return G_SOURCE_REMOVE;
}

static void take_outcome(const struct outcome *outcome, void *context);

/* The end of a delta. */
static gboolean order_delta(gpointer data)
{
  struct request *request = data;
  request->timer = 0;
  request->order.kind = request->then;
  workers_order(request->service->workers, &request->order, request->marks, take_outcome, request);
  return G_SOURCE_REMOVE;
}

/* It sleeps on. */
static void begin_delta(struct request *request, struct parcel *marks)
{
  request->marks = parcel_hold(marks);
  request->timer = g_timeout_add(request->seconds * 1000, order_delta, request);
  request->seconds = 0;
}

static void keep_shown(struct service *service, struct parcel *shown)
{
  parcel_release(service->shown);
  service->shown = parcel_hold(shown);
}

static void finish(struct request *request, const struct outcome *outcome)
{
  if (request->order.kind == ORDER_METRICS)
    keep_shown(request->service, outcome->marks);
  if (request->client != NULL) {
    parcel_release(request->marks);
    request->marks = parcel_hold(outcome->marks);
  }
  wake_with(request, body_of(request, outcome->body));
}

static void take_outcome(const struct outcome *outcome, void *context)
{
  struct request *request = context;
  if (outcome->status != MHD_HTTP_OK)
    wake_with(request, answer_problem(outcome->status, outcome->problem));
  else if (request->seconds > 0)
    begin_delta(request, outcome->body);
  else
    finish(request, outcome);
}

void sleep_until_done(struct request *request, struct parcel *input)
{
  struct service *service = request->service;
  visitor_waits(request->visitor);
  g_hash_table_add(service->sleeping, request);
  MHD_suspend_connection(request->connection);
  request->hang_up = g_unix_fd_add(descriptor_of(request->connection), (GIOCondition)(POLLRDHUP | G_IO_HUP | G_IO_ERR),
                                   take_hang_up, request);
  workers_order(service->workers, &request->order, input, take_outcome, request);
}

void sleep_wake_all(struct service *service)
{
  GHashTableIter iterator;
  gpointer request;
  for (;;) {
    g_hash_table_iter_init(&iterator, service->sleeping);
    if (!g_hash_table_iter_next(&iterator, &request, NULL))
      break;
    wake_with(request, answer_problem(MHD_HTTP_SERVICE_UNAVAILABLE, "the server ends"));
  }
}
