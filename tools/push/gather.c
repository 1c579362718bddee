/* SPDX-License-Identifier: MIT */
#include "tools/push/gather.h"

#include "tools/heap/save.h"
#include "tools/push/labels.h"
#include "tools/push/newest.h"
#include "tools/scrape/marks.h"
#include "tools/scrape/served_heap.h"
#include "tools/state/process_maps.h"
#include "tools/state/state_files.h"
#include "tools/state/target_names.h"
#include "tools/terminal/say.h"

#include <string.h>

enum {
  BATCH_BYTES_MAX = 256 << 10, /* of profiles in an entry, which is a request: servers limit what comes, unpacked */
  BATCH_MAX = 100,
};

static const gint64 batch_us_max = G_USEC_PER_SEC; /* nor does the first of them wait for longer */

/* What becomes the next entry: at most one profile of each process. */
struct batch {
  GByteArray *profiles, *marks; /* files of records */
  GArray *ends;                 /* struct end, of each process */
  gint64 begun_us;
};

/* Up to here what the files have is of a process, or of those before it. */
struct end {
  guint profiles, marks;
};

struct gather {
  struct gather_options options;
  struct served *served;
  struct newest *newest;
  struct batch batch;
  char *first_name;  /* of the entries of this round; NULL: there is none yet */
  char *carry_name;  /* marks in entries before this one are to be written again; NULL: in none */
  int64_t last_ns;   /* of all entries */
  uint64_t bytes;    /* in the queue, or more */
  GHashTable *said;  /* char *: lines, once each */
  bool is_stuck;     /* and it was said */
  bool says_missing; /* in the next round */
  bool is_short;     /* in this round something could not be put in */
  bool has_failed;   /* in this round */
};

static struct queue_source source_of(const struct target *target)
{
  return (struct queue_source){target->pid, target->summary.created_unix_ns};
}

static int64_t last_time(const struct queue *queue)
{
  int64_t time_ns = 0;
  g_autoptr(GPtrArray) names = queue_names(queue, QUEUE_PROFILES), marks = queue_names(queue, QUEUE_MARKS);
  g_ptr_array_extend_and_steal(names, g_steal_pointer(&marks));
  for (guint i = 0; i < names->len; i++) {
    int64_t own_ns = 0;
    (void)queue_read_name(g_ptr_array_index(names, i), &own_ns);
    time_ns = MAX(time_ns, own_ns);
  }
  return time_ns;
}

struct gather *gather_new(const struct gather_options *options)
{
  struct gather *gather = g_new0(struct gather, 1);
  gather->options = *options;
  gather->says_missing = options->says_missing;
  gather->served = served_new(options->operands);
  gather->batch =
      (struct batch){g_byte_array_new(), g_byte_array_new(), g_array_new(FALSE, FALSE, sizeof(struct end)), 0};
  gather->said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  queue_remove_unfinished(options->queue);
  gather->last_ns = last_time(options->queue);
  gather->newest = newest_new(options->queue);
  return gather;
}

void gather_free(struct gather *gather)
{
  served_free(gather->served);
  newest_free(gather->newest);
  g_byte_array_unref(gather->batch.profiles);
  g_byte_array_unref(gather->batch.marks);
  g_array_unref(gather->batch.ends);
  g_free(gather->first_name);
  g_free(gather->carry_name);
  g_hash_table_destroy(gather->said);
  g_free(gather);
}

/* The queue. */

static void say_stuck(struct gather *gather, const char *why)
{
  gather->has_failed = gather->is_short = true;
  if (!gather->is_stuck)
    say("%s; what is allocated from now on comes with the next profile that can be kept", why);
  gather->is_stuck = true;
}

static bool has_room(struct gather *gather, uint64_t bytes)
{
  const struct queue *queue = gather->options.queue;
  bytes += gather->batch.profiles->len;
  if (gather->bytes + bytes <= queue->bytes_max)
    return true;
  gather->bytes = queue_bytes(queue); /* it is emptied meanwhile */
  if (gather->bytes + bytes <= queue->bytes_max)
    return true;
  g_autofree char *why = g_strdup_printf("the queue %s is full", queue->path);
  say_stuck(gather, why);
  return false;
}

static void note_added(struct gather *gather, const char *name, guint profile_bytes, GBytes *marks)
{
  gather->bytes += profile_bytes;
  (void)queue_read_name(name, &gather->last_ns);
  newest_note(gather->newest, name, marks);
  if (gather->first_name == NULL)
    gather->first_name = g_strdup(name);
}

/* Of the batch, in one entry. */
static bool add(struct gather *gather, guint first, guint count, GError **error)
{
  const struct batch *batch = &gather->batch;
  const struct end none = {0, 0}, *ends = (const struct end *)(const void *)batch->ends->data;
  const struct end *from = first > 0 ? &ends[first - 1] : &none, *to = &ends[first + count - 1];
  g_autoptr(GByteArray) profiles = records_part(batch->profiles, from->profiles, to->profiles);
  g_autoptr(GByteArray) marks = records_part(batch->marks, from->marks, to->marks);
  g_autofree char *name = queue_add(gather->options.queue, gather->last_ns, profiles, marks, error);
  if (name == NULL)
    return false;
  g_autoptr(GBytes) file = g_byte_array_free_to_bytes(g_steal_pointer(&marks));
  note_added(gather, name, profiles->len, file);
  return true;
}

/* What cannot be put in at once, by halves: one that is too large must not keep the others out. But not marks alone:
 * part of them frees nothing. What cannot be put in alone is for the next round, as if it had not been read. */
static void add_parts(struct gather *gather, guint first, guint count)
{
  g_autoptr(GError) error = NULL;
  if (add(gather, first, count, &error))
    return;
  newest_tidy(gather->newest);
  if (count == 1 || gather->batch.profiles->len == 0) {
    say_stuck(gather, error->message);
    return;
  }
  add_parts(gather, first, count / 2);
  add_parts(gather, first + count / 2, count - count / 2);
}

static void flush(struct gather *gather)
{
  struct batch *batch = &gather->batch;
  if (batch->ends->len > 0)
    add_parts(gather, 0, batch->ends->len);
  g_byte_array_set_size(batch->profiles, 0);
  g_byte_array_set_size(batch->marks, 0);
  g_array_set_size(batch->ends, 0);
}

static bool is_due(const struct batch *batch, uint64_t more_bytes)
{
  return batch->ends->len >= BATCH_MAX || batch->profiles->len + more_bytes > BATCH_BYTES_MAX ||
         g_get_monotonic_time() - batch->begun_us >= batch_us_max;
}

/* `profile`: NULL: marks alone. `marks`: NULL: the process has none any more. */
static void put(struct gather *gather, struct queue_source source, const char *labels, GBytes *profile, GBytes *marks)
{
  struct batch *batch = &gather->batch;
  if (batch->ends->len > 0 && is_due(batch, profile != NULL ? g_bytes_get_size(profile) : 0))
    flush(gather);
  if (batch->ends->len == 0)
    batch->begun_us = g_get_monotonic_time();
  if (profile != NULL)
    records_append(batch->profiles, source, labels, profile);
  records_append(batch->marks, source, "", marks);
  struct end end = {batch->profiles->len, batch->marks->len};
  g_array_append_val(batch->ends, end);
}

/* One process. */

/* What became of what was read. */
enum outcome { OUTCOME_NOTHING, OUTCOME_PUT, OUTCOME_NO_ROOM };

static bool has_values(const struct heap *heap)
{
  for (guint i = 0; i < heap->values->len; i++)
    if (g_array_index(heap->values, int64_t, i) != 0)
      return true;
  return false;
}

/* The heap as it is pushed: alloc_* since the marks, and of the moment when it was read. */
static GBytes *profile_of(struct heap *heap, const GArray *keys, const struct target *target, GBytes *then,
                          GError **error)
{
  int64_t now_unix_ns = heap->time_unix_ns;
  marks_subtract(heap, keys, then);
  heap->time_unix_ns = now_unix_ns;
  heap->default_type = heap_text(heap, "");
  if (!has_values(heap))
    return NULL;
  served_heap_finish(heap, target);
  return save_bytes(heap, error);
}

/* One that has ended has no marks any more. `profile`: NULL: marks alone. */
static enum outcome put_profile(struct gather *gather, const struct target *target, GBytes *profile, GBytes *marks)
{
  if (profile != NULL && !has_room(gather, g_bytes_get_size(profile)))
    return OUTCOME_NO_ROOM;
  GTree *labels = labels_of(gather->options.labels, target);
  g_autoptr(GString) text = labels_text(labels);
  g_tree_unref(labels);
  put(gather, source_of(target), text->str, profile, target->is_alive ? marks : NULL);
  return OUTCOME_PUT;
}

/* Since when it is not known: then nothing is told, rather than all once more. */
static GBytes *marks_before(struct gather *gather, const struct target *target, bool *are_lost)
{
  GBytes *marks = newest_marks(gather->newest, source_of(target));
  *are_lost = marks == NULL && newest_has(gather->newest, source_of(target));
  if (*are_lost)
    say("what process %d had allocated by its last profile is not known any more; it is told from now on", target->pid);
  return marks;
}

static enum outcome gather_one(struct gather *gather, const struct target *target)
{
  g_autoptr(GError) error = NULL;
  enum outcome outcome = OUTCOME_NOTHING;
  struct heap *heap = served_heap_read(target, REGION_NOW, "push", &error);
  if (heap != NULL) {
    g_autoptr(GArray) keys = stack_keys_of(heap);
    bool are_lost;
    g_autoptr(GBytes) now = marks_of(heap, keys), then = marks_before(gather, target, &are_lost);
    g_autoptr(GBytes) profile = are_lost ? NULL : profile_of(heap, keys, target, then, &error);
    if (profile != NULL || are_lost)
      outcome = put_profile(gather, target, profile, now);
    heap_free(heap);
  }
  if (error != NULL && (!target->is_alive || process_runs(target->pid))) {
    gather->has_failed = true;
    say("%s", error->message);
  }
  return outcome;
}

/* All. */

/* A round, and who is told of it. */
struct round {
  struct gather *gather;
  void (*announce)(int pid, void *context);
  void *context;
};

static enum outcome gather_next(const struct round *round, const struct target *target)
{
  gpointer count = g_hash_table_lookup(round->gather->options.failures, GINT_TO_POINTER(target->pid));
  if (GPOINTER_TO_INT(count) >= GATHER_FAILURES_MAX)
    return OUTCOME_NOTHING;
  round->announce(target->pid, round->context);
  return gather_one(round->gather, target);
}

/* struct queue_source: of those that have marks, and are not seen. */
static GArray *unseen_sources(const struct gather *gather, const GPtrArray *living)
{
  g_autoptr(GHashTable) alive = g_hash_table_new_full(newest_hash, newest_equal, g_free, NULL);
  GArray *sources = newest_sources(gather->newest, NULL);
  for (guint i = 0; i < living->len; i++) {
    struct queue_source source = source_of(g_ptr_array_index(living, i));
    g_hash_table_add(alive, g_memdup2(&source, sizeof source));
  }
  for (guint i = sources->len; i-- > 0;) {
    const struct queue_source *source = &g_array_index(sources, struct queue_source, i);
    if (g_hash_table_contains(alive, source))
      g_array_remove_index_fast(sources, i);
  }
  return sources;
}

static struct target *find_dead(const GPtrArray *targets, const struct queue_source *source)
{
  for (guint i = 0; i < targets->len; i++) {
    struct target *target = g_ptr_array_index(targets, i);
    struct queue_source own = source_of(target);
    if (!target->is_alive && newest_equal(&own, source))
      return target;
  }
  return NULL;
}

/* Nobody maps the state that it left: it has ended, or runs as a program that is not profiled. Where there is none, one
 * that runs may be unreadable for a moment. */
static bool has_ended(const struct queue_source *source, const struct target *target, const GPtrArray *living)
{
  if (target != NULL)
    return true;
  for (guint i = 0; i < living->len; i++)
    if (((const struct target *)g_ptr_array_index(living, i))->pid == source->pid)
      return true; /* or executes another program */
  return !process_runs(source->pid);
}

/* `lines` say why state files cannot be read: theirs is lost. */
static void say_lost(struct gather *gather, int pid, const GPtrArray *lines)
{
  g_autofree char *start = g_strdup_printf("/%d", pid);
  for (guint i = 0; i < lines->len; i++) {
    const char *line = g_ptr_array_index(lines, i), *found = strstr(line, start);
    const char *rest = found != NULL ? found + strlen(start) : "";
    if (rest[0] != '-' && !g_str_has_prefix(rest, STATE_FILE_SUFFIX))
      continue;
    gather->has_failed = true;
    say("%s; what process %d allocated after its last profile is not told", line, pid);
  }
}

/* Those that have marks and are not seen, and what of such lies there. */
struct left {
  GArray *unseen;     /* struct queue_source */
  GPtrArray *targets; /* struct target */
  GPtrArray *lines;   /* why others cannot be read */
};

static struct left look_for_left(const struct gather *gather, const GPtrArray *living)
{
  struct left left = {.unseen = unseen_sources(gather, living), .lines = g_ptr_array_new_with_free_func(g_free)};
  if (left.unseen->len > 0) /* rare, so all processes are looked at */
    left.targets = targets_scan(left.lines);
  return left;
}

static void clear_left(struct left *left)
{
  g_array_unref(left->unseen);
  g_ptr_array_unref(left->lines);
  if (left->targets != NULL)
    g_ptr_array_unref(left->targets);
}

/* What was killed has left its state: that is its last profile. Where there is no room for it, it is for the next
 * round. */
static void add_last(struct gather *gather, const GPtrArray *living, const struct left *left, GPtrArray *all)
{
  const GArray *unseen = left->unseen;
  for (guint i = 0; i < unseen->len; i++) {
    const struct queue_source *source = &g_array_index(unseen, struct queue_source, i);
    struct target *target = find_dead(left->targets, source);
    if (!has_ended(source, target, living))
      continue;
    if (target != NULL && target_names_mean(gather->options.operands, target)) {
      g_ptr_array_add(all, target);
      continue;
    }
    if (target == NULL)
      say_lost(gather, source->pid, left->lines);
    newest_forget(gather->newest, *source);
  }
}

/* Who was told of the longest ago comes first: nobody is left out again and again where there is not room for all. */
static gint compare_times(gconstpointer a, gconstpointer b, gpointer newest)
{
  const struct target *one = *(const struct target *const *)a, *other = *(const struct target *const *)b;
  int64_t one_ns = newest_time(newest, source_of(one)), other_ns = newest_time(newest, source_of(other));
  if (one_ns != other_ns)
    return one_ns < other_ns ? -1 : 1;
  return one->pid - other->pid;
}

static void gather_all(const struct round *round, const GPtrArray *living)
{
  struct gather *gather = round->gather;
  struct left left = look_for_left(gather, living);
  g_autoptr(GPtrArray) all = g_ptr_array_new();
  for (guint i = 0; i < living->len; i++)
    g_ptr_array_add(all, g_ptr_array_index(living, i));
  add_last(gather, living, &left, all);
  g_ptr_array_sort_with_data(all, compare_times, gather->newest);
  for (guint i = 0; i < all->len; i++) {
    const struct target *target = g_ptr_array_index(all, i);
    if (gather_next(round, target) == OUTCOME_NOTHING && !target->is_alive)
      newest_forget(gather->newest, source_of(target));
  }
  clear_left(&left);
}

/* In one entry, or where there is no room for that, one for each that they are in, which can go then. */
static void carry(struct gather *gather, bool is_split)
{
  g_autoptr(GArray) sources = newest_sources(gather->newest, gather->carry_name);
  g_autofree char *entry = NULL;
  for (guint i = 0; i < sources->len; i++) {
    struct queue_source source = g_array_index(sources, struct queue_source, i);
    g_autoptr(GBytes) marks = newest_marks(gather->newest, source);
    if (is_split && g_strcmp0(entry, newest_entry(gather->newest, source)) != 0) {
      flush(gather);
      newest_tidy(gather->newest);
      g_free(entry);
      entry = g_strdup(newest_entry(gather->newest, source));
    }
    if (marks != NULL)
      put(gather, source, "", NULL, marks);
  }
  flush(gather);
  newest_tidy(gather->newest);
}

/* Of those that can be read. */
static bool has_carried(const struct gather *gather)
{
  g_autoptr(GArray) left = newest_sources(gather->newest, gather->carry_name);
  for (guint i = 0; i < left->len; i++) {
    g_autoptr(GBytes) marks = newest_marks(gather->newest, g_array_index(left, struct queue_source, i));
    if (marks != NULL)
      return false;
  }
  return true;
}

/* So that nobody needs older entries: of those that had nothing to tell, or where there was no room for it. False:
 * there is none for these marks either. */
static bool carry_marks(struct gather *gather)
{
  for (int is_split = 0; is_split <= 1 && gather->carry_name != NULL; is_split++) {
    carry(gather, is_split);
    if (has_carried(gather))
      g_clear_pointer(&gather->carry_name, g_free);
  }
  return gather->carry_name == NULL;
}

/* Of all that are there. */
static void carry_all(struct gather *gather)
{
  g_free(gather->carry_name);
  gather->carry_name = queue_name(gather->last_ns + 1);
}

/* The end of a round. */
static void settle(struct gather *gather)
{
  flush(gather);
  if (gather->first_name != NULL) {
    g_free(gather->carry_name);
    gather->carry_name = g_strdup(gather->first_name);
  }
  (void)carry_marks(gather);
  newest_tidy(gather->newest);
  if (gather->is_stuck && gather->first_name != NULL && !gather->is_short) {
    say("profiles are kept again in the queue %s", gather->options.queue->path);
    gather->is_stuck = false;
  }
  g_clear_pointer(&gather->first_name, g_free);
}

/* Its beginning. False: nothing can be put in. What the last round had no room for comes first, else each round would
 * leave marks behind that take the room of others. */
static bool prepare(struct gather *gather)
{
  struct queue *queue = gather->options.queue;
  gather->is_short = gather->has_failed = false;
  if (!queue_is_there(queue)) {
    if (!queue_follow(queue))
      return false; /* the parent makes it again, and says so */
    carry_all(gather);
  } else if (!newest_is_whole(gather->newest)) {
    say("entries of the queue %s were removed; what waited in them is lost", queue->path);
    carry_all(gather);
  }
  bool is_carried = carry_marks(gather);
  g_clear_pointer(&gather->first_name, g_free);
  return is_carried;
}

/* A name that nobody has may be a wrong one. */
static void say_missing(struct gather *gather, const GPtrArray *living)
{
  if (!gather->says_missing && !gather->options.is_once)
    return;
  g_autoptr(GPtrArray) missing = target_names_missing(gather->options.operands, living);
  for (guint i = 0; gather->says_missing && i < missing->len; i++)
    say("%s%s", (const char *)g_ptr_array_index(missing, i), gather->options.is_once ? "" : " yet; waiting for one");
  if (gather->options.is_once && gather->options.operands[0] != NULL && missing->len > 0)
    gather->has_failed = true;
  gather->says_missing = false;
}

static void say_reused(struct gather *gather)
{
  g_autoptr(GPtrArray) reused = target_names_reused(gather->options.operands);
  for (guint i = 0; i < reused->len; i++)
    if (g_hash_table_add(gather->said, g_strdup(g_ptr_array_index(reused, i))))
      say("%s", (const char *)g_ptr_array_index(reused, i));
}

static void read_all(const struct round *round)
{
  struct gather *gather = round->gather;
  GPtrArray *living = served_all(gather->served);
  gather->bytes = queue_bytes(gather->options.queue);
  say_missing(gather, living);
  say_reused(gather);
  gather_all(round, living);
  settle(gather);
}

bool gather_round(struct gather *gather, void (*announce)(int pid, void *context), void *context)
{
  struct round round = {gather, announce, context};
  bool is_ready = prepare(gather);
  if (is_ready)
    read_all(&round);
  announce(0, context);
  return is_ready && !gather->has_failed;
}
