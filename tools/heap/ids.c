/* SPDX-License-Identifier: MIT */
#include "tools/heap/ids.h"

#include <stdlib.h>

struct id_entry {
  uint64_t id;
  uint32_t index;
};

static const struct id_entry *entries_of(const struct ids *ids)
{
  return (const struct id_entry *)(void *)ids->entries->data;
}

void ids_init(struct ids *ids)
{
  ids->entries = g_array_new(FALSE, FALSE, sizeof(struct id_entry));
}

void ids_clear(struct ids *ids)
{
  g_array_free(ids->entries, TRUE);
}

void ids_add(struct ids *ids, uint64_t id, uint32_t index)
{
  struct id_entry entry = {id, index};
  g_array_append_val(ids->entries, entry);
}

static int compare_ids(const void *a, const void *b)
{
  const struct id_entry *one = a, *other = b;
  return (one->id > other->id) - (one->id < other->id);
}

static bool is_sorted(const struct ids *ids)
{
  const struct id_entry *entries = entries_of(ids);
  for (guint i = 1; i < ids->entries->len; i++)
    if (entries[i - 1].id >= entries[i].id)
      return false;
  return true;
}

bool ids_sort(struct ids *ids, uint64_t *wrong)
{
  if (!is_sorted(ids))
    g_array_sort(ids->entries, compare_ids);
  const struct id_entry *entries = entries_of(ids);
  for (guint i = 0; i < ids->entries->len; i++)
    if (entries[i].id == 0 || (i > 0 && entries[i].id == entries[i - 1].id)) {
      *wrong = entries[i].id;
      return false;
    }
  return true;
}

bool ids_find(const struct ids *ids, uint64_t id, uint32_t *index)
{
  const struct id_entry *entries = entries_of(ids), *found = NULL, key = {.id = id};
  guint count = ids->entries->len;
  if (id > 0 && id <= count && entries[id - 1].id == id)
    found = &entries[id - 1]; /* as most writers number them */
  else if (count > 0)
    found = bsearch(&key, entries, count, sizeof *entries, compare_ids);
  if (found == NULL)
    return false;
  *index = found->index;
  return true;
}
