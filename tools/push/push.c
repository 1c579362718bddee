/* SPDX-License-Identifier: MIT */
#include "tools/push/push.h"

#include "tools/push/folder.h"
#include "tools/push/gatherer.h"
#include "tools/push/labels.h"
#include "tools/push/patience.h"
#include "tools/push/post.h"
#include "tools/push/series.h"
#include "tools/terminal/ending.h"
#include "tools/terminal/exit_status.h"
#include "tools/terminal/say.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
  BATCH_BYTES_MAX = 256 << 10, /* of profiles: servers limit what comes at once, unpacked */
  BATCH_MAX = 100,
  LAST_SECONDS_MAX = 5, /* for the request that is under way when we are to end */
  IDLE_MS = 60000,
  WATCH_MS = 1000,
};

struct push {
  const struct push_options *options;
  struct queue queue;
  struct gatherer gatherer;
  struct patience patience;
  struct post *post; /* NULL: into a folder */
  int signals;
  bool has_news;      /* there may be more in the queue than is in `waiting` */
  GPtrArray *waiting; /* names of entries that are not sent yet */
  GPtrArray *sent;    /* of the request that is under way; none: none is */
  guint singles;      /* so many are sent one by one: one of them is refused */
  char *said;         /* the problem that was said; NULL: all is well */
  bool has_dropped;   /* what was refused */
  gint64 end_us;      /* when to end, whatever is under way; 0: not yet */
};

/* What happens to entries. */

/* Once, until it is another or over. */
static void say_problem(struct push *push, const char *problem)
{
  if (g_strcmp0(push->said, problem) == 0)
    return;
  say("%s; profiles wait in %s", problem, push->queue.path);
  g_free(push->said);
  push->said = g_strdup(problem);
}

static void keep_waiting(struct push *push, const char *problem, guint64 asked_seconds)
{
  say_problem(push, problem);
  patience_lose(&push->patience, g_get_monotonic_time(), asked_seconds);
  for (guint i = push->sent->len; i-- > 0;)
    g_ptr_array_insert(push->waiting, 0, g_strdup(g_ptr_array_index(push->sent, i)));
  g_ptr_array_set_size(push->sent, 0);
}

static void note_taken(struct push *push)
{
  for (guint i = 0; i < push->sent->len; i++)
    queue_done(&push->queue, g_ptr_array_index(push->sent, i));
  push->singles -= MIN(push->singles, push->sent->len);
  g_ptr_array_set_size(push->sent, 0);
  patience_end(&push->patience);
  if (push->said != NULL)
    say("%s takes profiles again", push->options->to);
  g_clear_pointer(&push->said, g_free);
}

static void note_refused(struct push *push, const char *problem)
{
  if (push->sent->len > 1) {
    push->singles = push->sent->len;
    for (guint i = push->sent->len; i-- > 0;)
      g_ptr_array_insert(push->waiting, 0, g_strdup(g_ptr_array_index(push->sent, i)));
    g_ptr_array_set_size(push->sent, 0);
    return;
  }
  say("%s; the profile %s is dropped", problem, (const char *)g_ptr_array_index(push->sent, 0));
  push->has_dropped = true;
  note_taken(push);
}

/* A request. */

static bool read_entry(struct push *push, const char *name, GTree **labels, GBytes **profile)
{
  g_autofree char *text = NULL;
  *labels = queue_read(&push->queue, name, &text, profile) ? labels_of_text(text) : NULL;
  if (*labels != NULL)
    return true;
  g_clear_pointer(profile, g_bytes_unref);
  say("%s/%s is damaged, and dropped", push->queue.path, name);
  queue_done(&push->queue, name);
  return false;
}

static void append_entry(GByteArray *body, const char *name, GTree *labels, GBytes *profile)
{
  g_autoptr(GString) text = labels_text(labels);
  g_string_append(text, name);
  g_autofree char *id = series_id(text->str);
  series_append(body, labels, profile, id);
}

/* Moves names from `waiting` to `sent`. NULL: there is nothing to send. */
static GByteArray *next_body(struct push *push)
{
  GByteArray *body = g_byte_array_new();
  guint most = push->singles > 0 || push->patience.failures > 0 ? 1 : BATCH_MAX;
  while (push->waiting->len > 0 && push->sent->len < most) {
    GTree *labels;
    GBytes *profile = NULL;
    g_autofree char *name = g_ptr_array_steal_index(push->waiting, 0);
    if (!read_entry(push, name, &labels, &profile))
      continue;
    bool fits = body->len == 0 || body->len + g_bytes_get_size(profile) <= BATCH_BYTES_MAX;
    if (fits)
      append_entry(body, name, labels, profile);
    g_tree_unref(labels);
    g_bytes_unref(profile);
    g_ptr_array_insert(fits ? push->sent : push->waiting, fits ? -1 : 0, g_steal_pointer(&name));
    if (!fits)
      break;
  }
  if (push->sent->len == 0)
    g_clear_pointer(&body, g_byte_array_unref);
  return body;
}

static void begin_request(struct push *push)
{
  GByteArray *body = next_body(push);
  if (body != NULL)
    post_begin(push->post, body);
}

static void end_request(struct push *push)
{
  struct post_answer answer;
  if (!post_end(push->post, &answer))
    return;
  switch (answer.verdict) {
  case VERDICT_TAKEN: note_taken(push); break;
  case VERDICT_REFUSED: note_refused(push, answer.problem); break;
  default: keep_waiting(push, answer.problem, answer.asked_seconds);
  }
  g_free(answer.problem);
}

/* A file. */

static void fill_folder(struct push *push)
{
  GTree *labels;
  GBytes *profile = NULL;
  g_autoptr(GError) error = NULL;
  g_ptr_array_add(push->sent, g_ptr_array_steal_index(push->waiting, 0));
  const char *name = g_ptr_array_index(push->sent, 0);
  if (!read_entry(push, name, &labels, &profile)) {
    g_ptr_array_set_size(push->sent, 0);
    return;
  }
  bool is_put = folder_put(push->options->to, push->options->bytes_max, name, labels, profile, &error);
  g_tree_unref(labels);
  g_bytes_unref(profile);
  if (is_put)
    note_taken(push);
  else
    keep_waiting(push, error->message, 0);
}

/* Running. */

static void look_for_more(struct push *push)
{
  if (push->waiting->len > 0 || !push->has_news)
    return;
  push->has_news = false;
  g_ptr_array_unref(push->waiting);
  push->waiting = queue_names(&push->queue, true);
}

static void step(struct push *push)
{
  push->has_news = gatherer_hear(&push->gatherer) || push->has_news;
  if (push->sent->len > 0)
    end_request(push);
  if (push->sent->len > 0)
    return;
  gatherer_tend(&push->gatherer); /* it forks: not while libcurl may have a thread */
  if (push->end_us != 0 || g_get_monotonic_time() < push->patience.until_us)
    return;
  look_for_more(push);
  if (push->waiting->len > 0 && push->post != NULL)
    begin_request(push);
  else if (push->waiting->len > 0)
    fill_folder(push);
}

static bool has_ended(const struct push *push)
{
  if (push->end_us != 0)
    return push->sent->len == 0 || g_get_monotonic_time() >= push->end_us;
  if (!push->options->is_once || !push->gatherer.is_done || push->sent->len > 0)
    return false;
  return push->patience.failures > 0 || (push->waiting->len == 0 && !push->has_news);
}

static int time_to_wait_ms(const struct push *push)
{
  const struct gatherer *gatherer = &push->gatherer;
  gint64 left_ms = (push->patience.until_us - g_get_monotonic_time()) / 1000 + 1;
  bool watches = gatherer->child == 0 || gatherer->reading != 0 || push->end_us != 0;
  if (push->sent->len == 0 && (push->waiting->len > 0 || push->has_news))
    return (int)CLAMP(left_ms, 0, watches ? WATCH_MS : IDLE_MS);
  return watches ? WATCH_MS : IDLE_MS;
}

static void wait_for_something(struct push *push)
{
  struct curl_waitfd others[2] = {{.fd = push->signals, .events = CURL_WAIT_POLLIN},
                                  {.fd = push->gatherer.pipe, .events = CURL_WAIT_POLLIN}};
  unsigned count = push->gatherer.pipe >= 0 ? 2 : 1;
  if (push->post != NULL)
    post_wait(push->post, others, count, time_to_wait_ms(push));
  else
    (void)g_poll((GPollFD[]){{.fd = push->signals, .events = G_IO_IN}, {.fd = push->gatherer.pipe, .events = G_IO_IN}},
                 count, time_to_wait_ms(push));
  if (push->end_us == 0 && ending_take(push->signals))
    push->end_us = g_get_monotonic_time() + LAST_SECONDS_MAX * (gint64)G_USEC_PER_SEC;
}

static int run(struct push *push)
{
  push->waiting = g_ptr_array_new_with_free_func(g_free);
  push->sent = g_ptr_array_new_with_free_func(g_free);
  push->has_news = true;
  say("pushing to %s, by way of %s", push->options->to, push->queue.path);
  for (step(push); !has_ended(push); step(push))
    wait_for_something(push);
  bool is_left = push->waiting->len > 0 || push->sent->len > 0 || push->has_dropped || push->gatherer.has_failed;
  g_ptr_array_unref(push->waiting);
  g_ptr_array_unref(push->sent);
  g_free(push->said);
  (void)close(push->signals);
  return push->options->is_once && is_left ? EXIT_FAILED : EXIT_OK;
}

/* What was asked for. */

static bool is_url(const char *to)
{
  return strstr(to, "://") != NULL;
}

/* Where programs keep what must outlive them. */
static char *usual_queue(const char *to)
{
  if (!is_url(to))
    return g_build_filename(to, ".queue", NULL);
  if (geteuid() == 0)
    return g_strdup("/var/lib/heapprof/push");
  const char *states = g_getenv("XDG_STATE_HOME");
  if (states != NULL && states[0] == '/')
    return g_build_filename(states, "heapprof/push", NULL);
  return g_build_filename(g_get_home_dir(), ".local/state/heapprof/push", NULL);
}

static bool read_labels(const struct push_options *options, GTree *labels, GError **error)
{
  for (const char *const *label = options->labels; *label != NULL; label++)
    if (!labels_give(labels, *label, error))
      return false;
  return true;
}

/* True also of a folder. */
static bool open_post(struct push *push, GError **error)
{
  const struct push_options *options = push->options;
  struct post_options post = {.url = options->to,
                              .tenant = options->tenant,
                              .token_file = options->token_file,
                              .password_file = options->password_file,
                              .ca_file = options->ca_file};
  if (!is_url(options->to))
    return folder_check(options->to, error);
  push->post = post_new(&post, error);
  return push->post != NULL;
}

static int push_to(struct push *push, GTree *labels)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *usual = usual_queue(push->options->to);
  const char *queue = push->options->queue != NULL ? push->options->queue : usual;
  if (!open_post(push, &error) || !queue_open(&push->queue, queue, push->options->bytes_max, &error))
    return say_error(error);
  struct gather_options gather = {.queue = &push->queue, .operands = push->options->operands, .labels = labels};
  gatherer_init(&push->gatherer, &gather, push->options->is_once ? 0 : push->options->every_seconds);
  int status = EXIT_FAILED;
  push->signals = ending_open();
  if (push->signals < 0)
    say_errno(errno, "nothing could end this");
  else
    status = run(push);
  gatherer_clear(&push->gatherer);
  queue_close(&push->queue);
  return status;
}

int push_run(const struct push_options *options)
{
  g_autoptr(GError) error = NULL;
  struct push push = {.options = options};
  GTree *labels = labels_new();
  bool is_sound = read_labels(options, labels, &error) && served_check(options->operands, &error);
  int status = is_sound ? push_to(&push, labels) : say_error(error);
  if (push.post != NULL)
    post_free(push.post);
  g_tree_unref(labels);
  return status;
}
