/* SPDX-License-Identifier: MIT */
#include "tools/push/newest.h"

#include "tools/scrape/marks.h"
#include "tools/terminal/say.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An entry whose marks are still there. */
struct holder {
  char *name;
  int marks;   /* open, so that they can be read though somebody removes them; -1: they cannot */
  guint live;  /* so many of its records are the newest of their processes ... */
  guint ended; /* ... and of these so many say that there are no marks any more */
};

struct place {
  struct queue_source source; /* the key */
  struct holder *holder;
  size_t at, size; /* 0: it has no marks any more */
  int64_t time_unix_ns;
};

struct newest {
  const struct queue *queue;
  GHashTable *places; /* struct place, by its source */
  GQueue *holders;    /* struct holder, the oldest first */
};

guint newest_hash(gconstpointer key)
{
  const struct queue_source *source = key;
  return (guint)source->pid ^ g_int64_hash(&source->created_unix_ns);
}

gboolean newest_equal(gconstpointer a, gconstpointer b)
{
  const struct queue_source *one = a, *other = b;
  return one->pid == other->pid && one->created_unix_ns == other->created_unix_ns;
}

static void free_holder(gpointer data)
{
  struct holder *holder = data;
  g_free(holder->name);
  if (holder->marks >= 0)
    (void)close(holder->marks);
  g_free(holder);
}

static void note_file(struct newest *newest, const char *name)
{
  g_autoptr(GBytes) file = queue_marks(newest->queue, name);
  g_autoptr(GArray) records = file != NULL ? records_of(file) : NULL;
  if (records != NULL) {
    newest_note(newest, name, file);
    return;
  }
  say("%s/%s/marks is damaged, and dropped; processes that it told of are told from their start", newest->queue->path,
      name);
  queue_drop_marks(newest->queue, name);
}

struct newest *newest_new(const struct queue *queue)
{
  struct newest *newest = g_new0(struct newest, 1);
  newest->queue = queue;
  newest->places = g_hash_table_new_full(newest_hash, newest_equal, g_free, NULL);
  newest->holders = g_queue_new();
  g_autoptr(GPtrArray) names = queue_names(queue, QUEUE_MARKS);
  for (guint i = 0; i < names->len; i++)
    note_file(newest, g_ptr_array_index(names, i));
  newest_tidy(newest);
  return newest;
}

void newest_free(struct newest *newest)
{
  g_hash_table_destroy(newest->places);
  g_queue_free_full(newest->holders, free_holder);
  g_free(newest);
}

static struct place *find(const struct newest *newest, struct queue_source source)
{
  return g_hash_table_lookup(newest->places, &source);
}

/* Its record stays: older ones must not come up. */
void newest_forget(struct newest *newest, struct queue_source source)
{
  struct place *place = find(newest, source);
  if (place == NULL || place->size == 0)
    return;
  place->size = 0;
  place->holder->ended++;
}

static void supersede(struct newest *newest, struct queue_source source)
{
  struct place *place = find(newest, source);
  if (place == NULL)
    return;
  place->holder->live--;
  place->holder->ended -= place->size == 0;
  g_hash_table_remove(newest->places, &source);
}

static void note_record(struct newest *newest, struct holder *holder, const struct record *record)
{
  supersede(newest, record->source);
  struct place *place = g_new(struct place, 1);
  g_autoptr(GBytes) marks = g_bytes_new_static(record->bytes, record->size);
  *place = (struct place){record->source, holder, record->bytes_at, record->size, marks_time(marks)};
  g_hash_table_add(newest->places, place);
  holder->live++;
  holder->ended += record->size == 0;
}

void newest_note(struct newest *newest, const char *name, GBytes *file)
{
  g_autoptr(GArray) records = records_of(file);
  struct holder *holder = g_new0(struct holder, 1);
  holder->name = g_strdup(name);
  holder->marks = queue_open_marks(newest->queue, name);
  g_queue_push_tail(newest->holders, holder);
  for (guint i = 0; records != NULL && i < records->len; i++)
    note_record(newest, holder, &g_array_index(records, struct record, i));
}

GBytes *newest_marks(const struct newest *newest, struct queue_source source)
{
  const struct place *place = find(newest, source);
  if (place == NULL || place->size == 0)
    return NULL;
  struct holder *holder = place->holder;
  if (holder->marks < 0) /* no descriptor was free */
    holder->marks = queue_open_marks(newest->queue, holder->name);
  return holder->marks >= 0 ? queue_marks_at(holder->marks, place->at, place->size) : NULL;
}

bool newest_has(const struct newest *newest, struct queue_source source)
{
  const struct place *place = find(newest, source);
  return place != NULL && place->size > 0;
}

int64_t newest_time(const struct newest *newest, struct queue_source source)
{
  const struct place *place = find(newest, source);
  return place != NULL && place->size > 0 ? place->time_unix_ns : 0;
}

const char *newest_entry(const struct newest *newest, struct queue_source source)
{
  const struct place *place = find(newest, source);
  return place != NULL ? place->holder->name : "";
}

static gint compare_entries(gconstpointer a, gconstpointer b, gpointer newest)
{
  const struct queue_source *one = a, *other = b;
  return strcmp(newest_entry(newest, *one), newest_entry(newest, *other));
}

GArray *newest_sources(const struct newest *newest, const char *before)
{
  GArray *sources = g_array_new(FALSE, FALSE, sizeof(struct queue_source));
  GHashTableIter all;
  gpointer key;
  g_hash_table_iter_init(&all, newest->places);
  while (g_hash_table_iter_next(&all, &key, NULL)) {
    const struct place *place = key;
    if (place->size > 0 && (before == NULL || strcmp(place->holder->name, before) < 0))
      g_array_append_val(sources, place->source);
  }
  g_array_sort_with_data(sources, compare_entries, (gpointer)newest);
  return sources;
}

bool newest_is_whole(const struct newest *newest)
{
  for (const GList *link = newest->holders->head; link != NULL; link = link->next) {
    const struct holder *holder = link->data;
    struct stat status;
    if (holder->live > holder->ended && holder->marks >= 0 && fstat(holder->marks, &status) == 0 &&
        status.st_nlink == 0)
      return false;
  }
  return true;
}

static gboolean is_ended_in(gpointer key, gpointer value, gpointer holder)
{
  const struct place *place = key;
  (void)value;
  return place->size == 0 && place->holder == holder;
}

void newest_tidy(struct newest *newest)
{
  for (GList *link = newest->holders->head, *next; link != NULL; link = next) {
    struct holder *holder = link->data;
    bool is_oldest = link == newest->holders->head;
    next = link->next;
    if (holder->live > (is_oldest ? holder->ended : 0))
      continue;
    if (holder->live > 0)
      (void)g_hash_table_foreach_remove(newest->places, is_ended_in, holder);
    queue_drop_marks(newest->queue, holder->name);
    free_holder(holder);
    g_queue_delete_link(newest->holders, link);
  }
}
