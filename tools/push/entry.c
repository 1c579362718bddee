/* SPDX-License-Identifier: MIT */
#include "tools/push/entry.h"

#include "tools/push/labels.h"

static void free_labels(gpointer labels)
{
  if (labels != NULL)
    g_tree_unref(labels);
}

static void skip_done(struct entry *entry)
{
  while (!entry_is_done(entry) && entry_record(entry, entry->first)->is_done)
    entry->first++;
}

/* Those of all. */
static bool read_labels(struct entry *entry)
{
  for (guint i = 0; i < entry->records->len; i++) {
    const struct record *record = entry_record(entry, i);
    g_autofree char *text = g_strndup(record->text, record->text_size);
    GTree *labels = labels_of_text(text);
    g_ptr_array_add(entry->labels, labels);
    if (labels == NULL || record->size == 0)
      return false;
  }
  return true;
}

struct entry *entry_open(const struct queue *queue, const char *name)
{
  struct entry *entry = g_new0(struct entry, 1);
  entry->queue = queue;
  entry->name = g_strdup(name);
  entry->labels = g_ptr_array_new_with_free_func(free_labels);
  entry->file = queue_profiles(queue, name);
  entry->records = entry->file != NULL ? records_of(entry->file) : NULL;
  if (entry->records != NULL && queue_read_name(name, &entry->time_unix_ns) && read_labels(entry)) {
    skip_done(entry);
    return entry;
  }
  entry_free(entry);
  return NULL;
}

void entry_free(struct entry *entry)
{
  if (entry == NULL)
    return;
  if (entry->records != NULL)
    g_array_free(entry->records, TRUE);
  g_ptr_array_unref(entry->labels);
  g_clear_pointer(&entry->file, g_bytes_unref);
  g_free(entry->name);
  g_free(entry);
}

const struct record *entry_record(const struct entry *entry, guint index)
{
  return &g_array_index(entry->records, struct record, index);
}

GTree *entry_labels(const struct entry *entry, guint index)
{
  return g_ptr_array_index(entry->labels, index);
}

GBytes *entry_profile(const struct entry *entry, guint index)
{
  const struct record *record = entry_record(entry, index);
  return g_bytes_new_from_bytes(entry->file, record->bytes_at, record->size);
}

char *entry_profile_name(const struct entry *entry, guint index)
{
  struct queue_source source = entry_record(entry, index)->source;
  return g_strdup_printf("%s.%d.%" G_GUINT64_FORMAT, entry->name, source.pid, source.created_unix_ns);
}

void entry_skip(struct entry *entry)
{
  entry->has_skipped = true;
  entry->first++;
  skip_done(entry);
}

/* Of all there is no need to note it: then the file goes. */
void entry_note_done(struct entry *entry, guint count)
{
  guint first = entry->first;
  entry->first += count;
  skip_done(entry);
  bool stays = !entry_is_done(entry) || entry->has_skipped;
  for (guint i = first; stays && i < first + count; i++)
    (void)queue_note_done(entry->queue, entry->name, entry_record(entry, i));
}

bool entry_is_done(const struct entry *entry)
{
  return entry->first >= entry->records->len;
}
