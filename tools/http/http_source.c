/* SPDX-License-Identifier: MIT */
#include "tools/http/http_source.h"

#include "tools/http/exchange.h"
#include "tools/http/sleep.h"

#include <string.h>

/* More than visitors: one that was shut down has its place until libmicrohttpd sees it. */
enum { CONNECTIONS_MAX = VISITORS_MAX + 32, CONNECTION_BYTES = 16 << 10 };

struct http_source {
  GSource *source;
  struct MHD_Daemon *daemon;
  struct service *service;
};

/* What GLib knows of it. */
struct daemon_source {
  GSource source;
  struct MHD_Daemon *daemon;
  struct service *service;
  gpointer tag;
  gint64 deadline_us; /* -1: none */
};

static gboolean prepare(GSource *source, gint *timeout_ms)
{
  struct daemon_source *ours = (struct daemon_source *)source;
  MHD_UNSIGNED_LONG_LONG wait_ms;
  ours->deadline_us = -1;
  *timeout_ms = -1;
  if (MHD_get_timeout(ours->daemon, &wait_ms) == MHD_YES) {
    *timeout_ms = (gint)MIN(wait_ms, (MHD_UNSIGNED_LONG_LONG)G_MAXINT);
    ours->deadline_us = g_source_get_time(source) + (gint64)*timeout_ms * 1000;
  }
  return ours->service->has_to_run || *timeout_ms == 0;
}

static gboolean check(GSource *source)
{
  struct daemon_source *ours = (struct daemon_source *)source;
  bool is_late = ours->deadline_us >= 0 && g_source_get_time(source) >= ours->deadline_us;
  return ours->service->has_to_run || is_late || g_source_query_unix_fd(source, ours->tag) != 0;
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
  (void)callback;
  (void)data;
  struct daemon_source *ours = (struct daemon_source *)source;
  ours->service->has_to_run = false;
  (void)MHD_run(ours->daemon);
  return G_SOURCE_CONTINUE;
}

/* What it has to say of its clients' mistakes is nothing that anybody could mend here. */
static void log_nothing(void *context, const char *format, va_list arguments)
{
  (void)context;
  (void)format;
  (void)arguments;
}

static struct MHD_Daemon *start_daemon(int fd, struct service *service)
{
  unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
  return MHD_start_daemon(flags, 0, NULL, NULL, exchange_step, service,                 //
                          MHD_OPTION_EXTERNAL_LOGGER, log_nothing, NULL,                //
                          MHD_OPTION_LISTEN_SOCKET, fd,                                 //
                          MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,       //
                          MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, //
                          MHD_OPTION_NOTIFY_CONNECTION, exchange_connection, service,   //
                          MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, service,         //
                          MHD_OPTION_NOTIFY_COMPLETED, exchange_end, service, MHD_OPTION_END);
}

struct http_source *http_source_new(int fd, struct service *service)
{
  static GSourceFuncs functions = {.prepare = prepare, .check = check, .dispatch = dispatch};
  struct MHD_Daemon *daemon = start_daemon(fd, service);
  const union MHD_DaemonInfo *info = daemon != NULL ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
  if (info == NULL)
    return NULL;
  struct http_source *http = g_new(struct http_source, 1);
  *http = (struct http_source){g_source_new(&functions, sizeof(struct daemon_source)), daemon, service};
  struct daemon_source *ours = (struct daemon_source *)http->source;
  ours->daemon = daemon;
  ours->service = service;
  ours->tag = g_source_add_unix_fd(http->source, info->epoll_fd, G_IO_IN);
  g_source_attach(http->source, NULL);
  return http;
}

void http_source_free(struct http_source *http)
{
  sleep_wake_all(http->service);
  (void)MHD_run(http->daemon);
  MHD_stop_daemon(http->daemon);
  g_source_destroy(http->source);
  g_source_unref(http->source);
  g_free(http);
}
