/* SPDX-License-Identifier: MIT */
#include "tools/http/serve.h"

#include "tools/http/http_source.h"
#include "tools/http/listener.h"
#include "tools/http/server_user.h"
#include "tools/scrape/served.h"
#include "tools/source/recorded_program.h"
#include "tools/terminal/ending.h"
#include "tools/terminal/exit_status.h"
#include "tools/terminal/say.h"

#include <glib-unix.h>
#include <unistd.h>

/* Who may ask. */

static void add_own_name(struct access *access)
{
  char name[256];
  if (gethostname(name, sizeof name) == 0) {
    name[sizeof name - 1] = '\0';
    g_ptr_array_add(access->hosts, g_strdup(name));
  }
}

static int set_access(struct access *access, const struct serve_options *options, const struct listener *listener)
{
  g_autoptr(GError) error = NULL;
  access->takes_any_host = listener->is_unix;
  for (const char *const *host = options->hosts; *host != NULL; host++)
    g_ptr_array_add(access->hosts, g_strdup(*host));
  add_own_name(access);
  if (options->token_file != NULL && !access_read_token(access, options->token_file, &error))
    return say_error(error);
  if (listener->is_local || options->token_file != NULL || options->has_no_auth)
    return EXIT_OK;
  say("other machines can reach '%s', and profiles tell much of a program: --token-file FILE says who may ask, "
      "--no-auth that all may",
      options->listen);
  return EXIT_USAGE;
}

static bool become_user(const char *name, const struct listener *listener, GError **error)
{
  if (name == NULL)
    return true;
  const struct passwd *user = server_user_find(name, error);
  return user != NULL && listener_give_to(listener, user->pw_uid, error) && server_user_become(user, error);
}

/* Who is not there yet. */

enum { STATUS_OK = 200, MISSING_BYTES_MAX = 1 << 20 };

static void say_missing(const struct outcome *outcome, void *context)
{
  (void)context;
  g_autoptr(GBytes) bytes = outcome->status == STATUS_OK ? parcel_bytes(outcome->body, MISSING_BYTES_MAX) : NULL;
  if (bytes == NULL)
    return;
  g_autofree char *text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    if ((*line)[0] != '\0')
      say("%s yet; waiting for one", *line);
}

/* A name that nobody has may be a wrong one. A worker looks: states are not for us to read. */
static void look_for_missing(struct service *service)
{
  struct order order;
  (void)order_init(&order, ORDER_MISSING, "/"); /* no process is called so: it waits for no other order */
  workers_order(service->workers, &order, NULL, say_missing, service);
}

/* Running. */

static gboolean take_signal(gint fd, GIOCondition condition, gpointer loop)
{
  (void)condition;
  if (ending_take(fd))
    g_main_loop_quit(loop);
  return G_SOURCE_CONTINUE;
}

static void run_until_signal(int signals)
{
  GMainLoop *loop = g_main_loop_new(NULL, FALSE);
  guint source = g_unix_fd_add(signals, G_IO_IN, take_signal, loop);
  g_main_loop_run(loop);
  g_source_remove(source);
  g_main_loop_unref(loop);
}

static int run_service(struct service *service, const struct serve_options *options, const struct listener *listener)
{
  int signals = ending_open();
  struct http_source *http = http_source_new(listener->fd, service);
  if (http == NULL || signals < 0) {
    say("the server cannot be started");
    return EXIT_FAILED;
  }
  service->clock = pulse_clock_new(service->workers, service->is_recorded ? 0 : options->history_seconds);
  say("serving %s", listener->shown);
  if (!service->is_recorded)
    look_for_missing(service);
  run_until_signal(signals);
  http_source_free(http);
  pulse_clock_free(service->clock);
  visitors_clear(&service->visitors);
  (void)close(signals);
  return EXIT_OK;
}

static int serve_at(const struct serve_options *options, const struct listener *listener)
{
  g_autoptr(GError) error = NULL;
  const struct worker_source source = {options->operands, options->recording};
  struct service service = {.workers = workers_new(&source),
                            .clients = clients_new(),
                            .is_recorded = options->recording != NULL,
                            .sites = options->sites};
  access_init(&service.access);
  visitors_init(&service.visitors);
  service.sleeping = g_hash_table_new(g_direct_hash, g_direct_equal);
  int status = set_access(&service.access, options, listener);
  if (status == EXIT_OK)
    status = become_user(options->user, listener, &error) ? run_service(&service, options, listener) : say_error(error);
  workers_free(service.workers);
  clients_free(service.clients);
  parcel_release(service.shown);
  g_hash_table_destroy(service.sleeping);
  access_clear(&service.access);
  return status;
}

/* What heapprof-record can list; what it prints is for workers to read. */
static bool check_recording(const char *path, GError **error)
{
  static const char *const options[] = {"--json", NULL};
  g_autoptr(GByteArray) listed = recorded_program_output(options, path, error);
  return listed != NULL;
}

int serve_run(const struct serve_options *options)
{
  g_autoptr(GError) error = NULL;
  struct listener listener;
  g_auto(GStrv) operands = served_pin(options->operands);
  struct serve_options pinned = *options;
  pinned.operands = operands;
  if (!(options->recording != NULL ? check_recording(options->recording, &error) : served_check(operands, &error)))
    return say_error(error);
  if (!listener_open(options->listen, &listener, &error))
    return say_error(error);
  int status = serve_at(&pinned, &listener);
  listener_close(&listener);
  return status;
}
