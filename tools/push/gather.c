/* SPDX-License-Identifier: MIT */
#include "tools/push/gather.h"

#include "tools/heap/save.h"
#include "tools/push/labels.h"
#include "tools/scrape/marks.h"
#include "tools/scrape/served_heap.h"
#include "tools/state/process_maps.h"
#include "tools/terminal/say.h"

struct gather {
  struct gather_options options;
  struct served *served;
  GHashTable *newest; /* "PID.CREATED" -> the name of its newest entry: that with its marks */
  int64_t last_ns;    /* of all entries */
  uint64_t bytes;     /* in the queue, or more */
  bool is_stuck;      /* and it was said */
  bool has_failed;    /* in this round */
};

static char *key_of(struct queue_source source)
{
  return g_strdup_printf("%d.%" G_GUINT64_FORMAT, source.pid, source.created_unix_ns);
}

/* Of several with marks the older were about to lose them. */
static void note_newest(struct gather *gather, struct queue_source source, const char *name)
{
  char *key = key_of(source);
  const char *older = g_hash_table_lookup(gather->newest, key);
  if (older != NULL)
    queue_drop_marks(gather->options.queue, older);
  g_hash_table_replace(gather->newest, key, g_strdup(name));
}

static void note_all(struct gather *gather)
{
  g_autoptr(GPtrArray) names = queue_names(gather->options.queue, false);
  for (guint i = 0; i < names->len; i++) {
    struct queue_source source;
    if (queue_read_name(g_ptr_array_index(names, i), &source, &gather->last_ns))
      note_newest(gather, source, g_ptr_array_index(names, i));
  }
}

struct gather *gather_new(const struct gather_options *options)
{
  struct gather *gather = g_new0(struct gather, 1);
  gather->options = *options;
  gather->served = served_new(options->operands);
  gather->newest = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  queue_remove_unfinished(options->queue);
  note_all(gather);
  return gather;
}

void gather_free(struct gather *gather)
{
  served_free(gather->served);
  g_hash_table_destroy(gather->newest);
  g_free(gather);
}

/* One process. */

static void say_stuck(struct gather *gather, const char *why)
{
  gather->has_failed = true;
  if (!gather->is_stuck)
    say("%s; what is allocated from now on comes with the next profile that can be kept", why);
  gather->is_stuck = true;
}

static bool has_values(const struct heap *heap)
{
  for (guint i = 0; i < heap->values->len; i++)
    if (g_array_index(heap->values, int64_t, i) != 0)
      return true;
  return false;
}

/* The heap as it is pushed: alloc_* since the marks, and of the moment when it was read. */
static GBytes *profile_of(struct heap *heap, const struct target *target, GBytes *then, GError **error)
{
  int64_t now_unix_ns = heap->time_unix_ns;
  marks_subtract(heap, then);
  heap->time_unix_ns = now_unix_ns;
  heap->default_type = heap_text(heap, "");
  if (!has_values(heap))
    return NULL;
  served_heap_finish(heap, target);
  return save_bytes(heap, error);
}

static bool has_room(struct gather *gather, uint64_t bytes)
{
  const struct queue *queue = gather->options.queue;
  if (gather->bytes + bytes <= queue->bytes_max)
    return true;
  gather->bytes = queue_bytes(queue); /* it is emptied meanwhile */
  if (gather->bytes + bytes <= queue->bytes_max)
    return true;
  g_autofree char *why = g_strdup_printf("the queue %s is full", queue->path);
  say_stuck(gather, why);
  return false;
}

static void put(struct gather *gather, const struct target *target, GBytes *profile, GBytes *marks)
{
  g_autoptr(GError) error = NULL;
  struct queue_source source = {target->pid, target->summary.created_unix_ns};
  uint64_t bytes = g_bytes_get_size(profile) + g_bytes_get_size(marks);
  if (!has_room(gather, bytes))
    return;
  GTree *labels = labels_of(gather->options.labels, target);
  g_autoptr(GString) text = labels_text(labels);
  g_tree_unref(labels);
  g_autofree char *name = queue_add(gather->options.queue, source, gather->last_ns, text->str, profile, marks, &error);
  if (name == NULL) {
    say_stuck(gather, error->message);
    return;
  }
  if (gather->is_stuck)
    say("profiles are kept again in the queue %s", gather->options.queue->path);
  gather->is_stuck = false;
  gather->bytes += bytes;
  (void)queue_read_name(name, &source, &gather->last_ns);
  note_newest(gather, source, name);
}

static void gather_one(struct gather *gather, const struct target *target)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *key = key_of((struct queue_source){target->pid, target->summary.created_unix_ns});
  const char *newest = g_hash_table_lookup(gather->newest, key);
  struct heap *heap = served_heap_read(target, REGION_NOW, "push", &error);
  if (heap != NULL) {
    g_autoptr(GBytes) now = marks_of(heap), then = newest != NULL ? queue_marks(gather->options.queue, newest) : NULL;
    g_autoptr(GBytes) profile = profile_of(heap, target, then, &error);
    if (profile != NULL)
      put(gather, target, profile, now);
    heap_free(heap);
  }
  if (error != NULL && process_runs(target->pid)) {
    gather->has_failed = true;
    say("%s", error->message);
  }
}

/* All. */

static void forget_ended(struct gather *gather, const GPtrArray *living)
{
  g_autoptr(GHashTable) keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  GHashTableIter all;
  gpointer key, name;
  for (guint i = 0; i < living->len; i++) {
    const struct target *target = g_ptr_array_index(living, i);
    g_hash_table_add(keys, key_of((struct queue_source){target->pid, target->summary.created_unix_ns}));
  }
  g_hash_table_iter_init(&all, gather->newest);
  while (g_hash_table_iter_next(&all, &key, &name)) {
    struct queue_source source;
    int64_t time_ns;
    if (g_hash_table_contains(keys, key) || (queue_read_name(name, &source, &time_ns) && process_runs(source.pid)))
      continue; /* a process that runs may be unreadable for a moment */
    queue_drop_marks(gather->options.queue, name);
    g_hash_table_iter_remove(&all);
  }
}

static bool is_left_out(const struct gather *gather, int pid)
{
  gpointer failures = g_hash_table_lookup(gather->options.failures, GINT_TO_POINTER(pid));
  return GPOINTER_TO_INT(failures) >= GATHER_FAILURES_MAX;
}

bool gather_round(struct gather *gather, void (*announce)(int pid, void *context), void *context)
{
  GPtrArray *living = served_all(gather->served);
  gather->bytes = queue_bytes(gather->options.queue);
  gather->has_failed = false;
  for (guint i = 0; i < living->len; i++) {
    const struct target *target = g_ptr_array_index(living, i);
    if (is_left_out(gather, target->pid))
      continue;
    announce(target->pid, context);
    gather_one(gather, target);
  }
  forget_ended(gather, living);
  announce(0, context);
  return !gather->has_failed;
}
