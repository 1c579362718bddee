/* SPDX-License-Identifier: MIT */
#include "tools/push/push.h"

#include "tools/push/aside.h"
#include "tools/push/entry.h"
#include "tools/push/folder.h"
#include "tools/push/gatherer.h"
#include "tools/push/labels.h"
#include "tools/push/patience.h"
#include "tools/push/post.h"
#include "tools/push/series.h"
#include "tools/state/target_names.h"
#include "tools/terminal/ending.h"
#include "tools/terminal/exit_status.h"
#include "tools/terminal/say.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
  LAST_SECONDS_MAX = 5, /* for the request that is under way when we are to end */
  IDLE_MS = 60000,
  WATCH_MS = 1000,
  LOOK_US = 1000000,
  ONCE_FAILURES_MAX = 4, /* of requests, the last ones with a profile each, that were perhaps at fault */
};

struct push {
  const struct push_options *options;
  struct queue queue;
  struct gatherer gatherer;
  struct patience patience;
  struct post *post; /* NULL: into a folder */
  struct folder folder;
  int signals;
  bool has_news;       /* there may be more in the queue than is in `waiting` */
  gint64 looked_us;    /* into the queue */
  GPtrArray *waiting;  /* names of entries that are not sent yet */
  GHashTable *stuck;   /* of those that are done with, but cannot be taken away */
  struct aside aside;  /* what the server does not take, while it may take the rest */
  bool is_again;       /* the entry was put aside before */
  struct entry *entry; /* that is being sent; NULL: none is */
  guint sent;          /* so many of its profiles are under way */
  guint singles;       /* so many are sent one by one: one of them is refused */
  char *said;          /* the problem that was said; NULL: all is well */
  bool has_dropped;    /* what was refused */
  bool is_barred;      /* the queue is another's now */
  bool lacks_queue;    /* it was said that the queue is not there */
  gint64 checked_us;   /* whether it is */
  gint64 end_us;       /* when to end, whatever is under way; 0: not yet */
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

/* Where it stays in the queue, as on a file system that has become read-only, it is not sent again. */
static void take_away(struct push *push, const char *name)
{
  if (queue_done(&push->queue, name)) {
    g_hash_table_remove(push->stuck, name);
    return;
  }
  if (g_hash_table_size(push->stuck) == 0)
    say("nothing can be taken out of the queue %s: what was sent stays there", push->queue.path);
  g_hash_table_add(push->stuck, g_strdup(name));
}

/* The entry, where nothing is left in it to send now. */
static void leave_entry(struct push *push)
{
  if (push->entry->has_skipped) {
    aside_hold(&push->aside, push->entry->name, g_get_monotonic_time());
  } else {
    take_away(push, push->entry->name);
    aside_forget(&push->aside, push->entry->name);
  }
  g_clear_pointer(&push->entry, entry_free);
  push->is_again = false;
}

static void note_done(struct push *push)
{
  entry_note_done(push->entry, push->sent);
  push->singles -= MIN(push->singles, push->sent);
  push->sent = 0;
  if (entry_is_done(push->entry))
    leave_entry(push);
}

/* What was put aside may go as well. */
static void note_well(struct push *push)
{
  for (guint i = 0; i < push->sent; i++)
    aside_take(&push->aside, entry_record(push->entry, push->entry->first + i)->source.pid);
  if (push->is_again)
    aside_succeed(&push->aside);
}

static void note_taken(struct push *push)
{
  note_well(push);
  note_done(push);
  patience_end(&push->patience);
  if (push->said != NULL)
    say("%s takes profiles again", push->options->to);
  g_clear_pointer(&push->said, g_free);
}

static void drop_first(struct push *push, const char *problem, const char *why)
{
  g_autofree char *name = entry_profile_name(push->entry, push->entry->first);
  say("%s; the profile %s is dropped%s", problem, name, why);
  push->has_dropped = true;
}

/* It failed alone, and perhaps over what is in it. With its process it is passed over, whether the server is ill or
 * not: if it is, what is tried next fails too, and all comes later. */
static void pass_over(struct push *push, const char *problem, bool is_well, gint64 now_us)
{
  int pid = entry_record(push->entry, push->entry->first)->source.pid;
  if (push->is_again && aside_fail_again(&push->aside, push->entry->name, is_well, now_us)) {
    drop_first(push, problem, ": so it was for an hour in which others were taken");
    push->sent = 1;
    note_done(push);
    return;
  }
  if (!aside_has_process(&push->aside, pid))
    say("profiles of process %d wait, and those of others are tried", pid);
  aside_fail(&push->aside, pid);
  entry_skip(push->entry);
  while (push->is_again && !entry_is_done(push->entry)) /* another time: nobody else is to wait for long */
    entry_skip(push->entry);
  push->singles -= MIN(push->singles, 1);
  if (entry_is_done(push->entry))
    leave_entry(push);
}

static void keep_waiting(struct push *push, const struct post_answer *answer)
{
  gint64 now_us = g_get_monotonic_time();
  guint sent = push->sent;
  bool is_well = push->patience.failures == 0;
  if (!push->is_again) /* of that it was said */
    say_problem(push, answer->problem);
  patience_lose(&push->patience, now_us, answer->asked_seconds);
  push->sent = 0;
  if (answer->may_be_its_fault && sent > 1)
    push->singles = sent;
  else if (answer->may_be_its_fault)
    pass_over(push, answer->problem, is_well, now_us);
}

static void note_refused(struct push *push, const char *problem)
{
  if (push->sent > 1) {
    push->singles = push->sent;
    push->sent = 0;
    return;
  }
  drop_first(push, problem, "");
  note_taken(push);
}

/* Of those that wait, or one that was put aside and is due. To be freed; NULL: none. */
static char *next_name(struct push *push)
{
  const char *due = push->options->is_once ? NULL : aside_due(&push->aside, g_get_monotonic_time());
  push->is_again = due != NULL && (push->patience.failures == 0 || push->waiting->len == 0);
  if (push->is_again)
    return g_strdup(due);
  return push->waiting->len > 0 ? g_ptr_array_steal_index(push->waiting, 0) : NULL;
}

/* Those of processes that have others aside go there as well. */
static void skip_aside(struct push *push)
{
  struct entry *entry = push->entry;
  while (!push->is_again && !entry_is_done(entry) &&
         aside_has_process(&push->aside, entry_record(entry, entry->first)->source.pid))
    entry_skip(entry);
}

/* In what was put aside: else one that always fails would keep those behind it from being tried. */
static void skip_by_chance(struct push *push)
{
  gint32 left = (gint32)(push->entry->records->len - push->entry->first);
  for (gint32 count = push->is_again ? g_random_int_range(0, left) : 0; count > 0; count--)
    if (!entry_is_done(push->entry))
      entry_skip(push->entry);
}

/* The one that is under way, or the next one. NULL: there is none. */
static struct entry *current_entry(struct push *push)
{
  if (push->entry != NULL) {
    skip_aside(push);
    if (entry_is_done(push->entry))
      leave_entry(push);
  }
  for (char *next; push->entry == NULL && (next = next_name(push)) != NULL;) {
    g_autofree char *name = next;
    push->entry = entry_open(&push->queue, name);
    if (push->entry != NULL && !entry_is_done(push->entry)) {
      skip_by_chance(push);
      skip_aside(push);
      if (entry_is_done(push->entry))
        leave_entry(push);
      continue;
    }
    if (push->entry == NULL)
      say("%s/%s is damaged, and dropped", push->queue.path, name);
    take_away(push, name);
    aside_forget(&push->aside, name);
    g_clear_pointer(&push->entry, entry_free);
  }
  return push->entry;
}

/* A request. */

static void append_profile(GByteArray *body, const struct entry *entry, guint index)
{
  GTree *labels = entry_labels(entry, index);
  g_autoptr(GBytes) profile = entry_profile(entry, index);
  g_autoptr(GString) text = labels_text(labels);
  g_autofree char *name = entry_profile_name(entry, index);
  g_string_append(text, name);
  g_autofree char *id = series_id(text->str);
  series_append(body, labels, profile, id);
}

/* Up to the next that is passed over. */
static guint run_length(const struct push *push)
{
  const struct entry *entry = push->entry;
  guint end = entry->first + 1;
  while (end < entry->records->len && !aside_has_process(&push->aside, entry_record(entry, end)->source.pid))
    end++;
  return end - entry->first;
}

/* NULL: there is nothing to send. */
static GByteArray *next_body(struct push *push)
{
  const struct entry *entry = current_entry(push);
  if (entry == NULL)
    return NULL;
  bool is_single = push->singles > 0 || push->patience.failures > 0 || push->is_again;
  GByteArray *body = g_byte_array_new();
  push->sent = is_single ? 1 : run_length(push);
  for (guint i = 0; i < push->sent; i++)
    append_profile(body, entry, entry->first + i);
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
  default: keep_waiting(push, &answer);
  }
  g_free(answer.problem);
}

/* A file. */

static void fill_folder(struct push *push)
{
  g_autoptr(GError) error = NULL;
  const struct entry *entry = current_entry(push);
  if (entry == NULL)
    return;
  push->sent = 1;
  g_autoptr(GBytes) profile = entry_profile(entry, entry->first);
  struct folder_file file = {.source = entry_record(entry, entry->first)->source,
                             .time_unix_ns = entry->time_unix_ns,
                             .labels = entry_labels(entry, entry->first),
                             .profile = profile};
  if (folder_put(&push->folder, &file, &error))
    note_taken(push);
  else
    keep_waiting(push, &(struct post_answer){.problem = error->message});
}

/* Running. */

/* While processes are read there is news of each: it is not looked for each time. */
static bool may_look(const struct push *push)
{
  return push->gatherer.child == 0 || push->gatherer.reading == 0 ||
         g_get_monotonic_time() - push->looked_us >= LOOK_US;
}

static bool is_due(const struct push *push)
{
  return !push->options->is_once && aside_due(&push->aside, g_get_monotonic_time()) != NULL;
}

/* Of what is known to be in the queue. */
static bool has_more(const struct push *push)
{
  return push->entry != NULL || push->waiting->len > 0;
}

static void look_for_more(struct push *push)
{
  if (has_more(push) || !push->has_news || !may_look(push))
    return;
  push->has_news = false;
  push->looked_us = g_get_monotonic_time();
  g_ptr_array_unref(push->waiting);
  push->waiting = queue_names(&push->queue, QUEUE_PROFILES);
  for (guint i = push->waiting->len; i-- > 0;) {
    const char *name = g_ptr_array_index(push->waiting, i);
    bool is_stuck = g_hash_table_contains(push->stuck, name);
    if (is_stuck)
      take_away(push, name);
    if (is_stuck || aside_has(&push->aside, name))
      g_ptr_array_remove_index(push->waiting, i);
  }
}

/* Somebody may remove the queue beneath us. */
static void check_queue(struct push *push)
{
  g_autoptr(GError) error = NULL;
  gint64 now_us = g_get_monotonic_time();
  if (now_us - push->checked_us < LOOK_US)
    return;
  push->checked_us = now_us;
  if (queue_is_there(&push->queue))
    return;
  if (!push->lacks_queue)
    say("the queue %s was removed; what waited in it is lost, and it is made again", push->queue.path);
  push->lacks_queue = !queue_open_again(&push->queue, &error);
  push->has_news = true;
  push->is_barred = g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN);
  if (push->is_barred)
    say("%s", error->message);
}

static void step(struct push *push)
{
  check_queue(push);
  push->has_news = gatherer_hear(&push->gatherer) || push->has_news;
  if (push->sent > 0)
    end_request(push);
  if (push->sent > 0)
    return;
  gatherer_tend(&push->gatherer); /* it forks: not while libcurl may have a thread */
  if (push->end_us != 0 || g_get_monotonic_time() < push->patience.until_us)
    return;
  look_for_more(push);
  if ((has_more(push) || is_due(push)) && push->post != NULL)
    begin_request(push);
  else if (has_more(push))
    fill_folder(push);
}

/* With --once: each is tried once, if it may have been for another that the last request failed. */
static bool may_try_another(const struct push *push)
{
  bool may_be = push->singles > 0 || aside_count(&push->aside) > 0 || (push->entry != NULL && push->entry->has_skipped);
  return may_be && has_more(push) && push->patience.failures < ONCE_FAILURES_MAX;
}

static bool has_ended(const struct push *push)
{
  if (push->is_barred)
    return true;
  if (push->end_us != 0)
    return push->sent == 0 || g_get_monotonic_time() >= push->end_us;
  if (!push->options->is_once || !push->gatherer.is_done || push->sent > 0)
    return false;
  return push->patience.failures > 0 ? !may_try_another(push) : !has_more(push) && !push->has_news;
}

/* Until one that was put aside is due. */
static int time_to_next_aside_ms(const struct push *push)
{
  gint64 due_us = MAX(push->aside.patience.until_us, push->patience.until_us);
  if (aside_count(&push->aside) == 0 || push->options->is_once || push->sent > 0)
    return IDLE_MS;
  return (int)CLAMP((due_us - g_get_monotonic_time()) / 1000 + 1, 0, IDLE_MS);
}

static int time_to_wait_ms(const struct push *push)
{
  const struct gatherer *gatherer = &push->gatherer;
  gint64 left_ms = (push->patience.until_us - g_get_monotonic_time()) / 1000 + 1;
  bool watches = gatherer->child == 0 || gatherer->reading != 0 || push->end_us != 0;
  if (push->sent == 0 && (has_more(push) || (push->has_news && may_look(push))))
    return (int)CLAMP(left_ms, 0, watches ? WATCH_MS : IDLE_MS);
  return MIN(watches ? WATCH_MS : IDLE_MS, time_to_next_aside_ms(push));
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
  push->stuck = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  aside_init(&push->aside);
  push->has_news = true;
  say("pushing to %s, by way of %s", push->options->to, push->queue.path);
  for (step(push); !has_ended(push); step(push))
    wait_for_something(push);
  bool is_left = has_more(push) || aside_count(&push->aside) > 0 || push->sent > 0 || push->has_dropped ||
                 push->gatherer.has_failed;
  g_ptr_array_unref(push->waiting);
  entry_free(push->entry);
  g_hash_table_destroy(push->stuck);
  aside_clear(&push->aside);
  g_free(push->said);
  (void)close(push->signals);
  return push->is_barred || (push->options->is_once && is_left) ? EXIT_FAILED : EXIT_OK;
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
  push->folder = (struct folder){.path = options->to, .bytes_max = options->bytes_max};
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
  struct gather_options gather = {
      .queue = &push->queue, .operands = push->options->operands, .labels = labels, .is_once = push->options->is_once};
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
  g_auto(GStrv) operands = target_names_pin(options->operands);
  struct push_options pinned = *options;
  pinned.operands = operands;
  struct push push = {.options = &pinned};
  GTree *labels = labels_new();
  bool is_sound = read_labels(options, labels, &error) && served_check(operands, &error);
  int status = is_sound ? push_to(&push, labels) : say_error(error);
  if (push.post != NULL)
    post_free(push.post);
  g_tree_unref(labels);
  return status;
}
