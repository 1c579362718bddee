/* SPDX-License-Identifier: MIT */
#include "tools/record/texts.h"

#include <string.h>

enum { TEXTS_BYTES_MAX = 256 << 20 };

struct texts {
  GHashTable *numbers; /* char * -> uint64_t * of by_number */
  GHashTable *texts;   /* uint64_t * -> char *, of numbers */
  GPtrArray *new;      /* uint64_t *: not in the file yet */
  uint64_t last;
};

static struct texts *texts_new(void)
{
  struct texts *texts = g_new0(struct texts, 1);
  texts->numbers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  texts->texts = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  texts->new = g_ptr_array_new();
  return texts;
}

void texts_free(struct texts *texts)
{
  if (texts == NULL)
    return;
  g_hash_table_destroy(texts->numbers);
  g_hash_table_destroy(texts->texts);
  g_ptr_array_free(texts->new, TRUE);
  g_free(texts);
}

/* Takes the text. Returns the number as a key. */
static uint64_t *add(struct texts *texts, uint64_t number, char *text)
{
  uint64_t *key = g_memdup2(&number, sizeof number);
  g_hash_table_insert(texts->numbers, text, key);
  g_hash_table_insert(texts->texts, key, text);
  texts->last = MAX(texts->last, number);
  return key;
}

struct texts *texts_load(struct store *store, GError **error)
{
  g_autoptr(GError) problem = NULL;
  size_t total = 0;
  struct texts *texts = texts_new();
  g_autoptr(sqlite3_stmt) query =
      store_query(store, &problem, "SELECT id, text FROM text WHERE id > 0 ORDER BY id", "");
  while (query != NULL && total < TEXTS_BYTES_MAX && store_next(store, query, &problem)) {
    g_autofree char *text = store_text(query, 1);
    total += strlen(text) + 1;
    if (!g_hash_table_contains(texts->numbers, text)) /* a file that somebody else made may have one twice */
      add(texts, (uint64_t)sqlite3_column_int64(query, 0), g_steal_pointer(&text));
  }
  if (problem == NULL)
    return texts;
  texts_free(texts);
  g_propagate_error(error, g_steal_pointer(&problem));
  return NULL;
}

uint64_t texts_number(struct texts *texts, const char *text)
{
  const uint64_t *known = g_hash_table_lookup(texts->numbers, text);
  if (known != NULL)
    return *known;
  uint64_t *key = add(texts, texts->last + 1, g_strdup(text));
  g_ptr_array_add(texts->new, key);
  return *key;
}

const char *texts_at(const struct texts *texts, uint64_t number)
{
  return g_hash_table_lookup(texts->texts, &number);
}

bool texts_save(struct texts *texts, struct store *store, GError **error)
{
  for (guint i = 0; i < texts->new->len; i++) {
    const uint64_t *number = g_ptr_array_index(texts->new, i);
    if (!store_do(store, error, "INSERT INTO text(id, text) VALUES(?, ?)", "it", (int64_t)*number,
                  texts_at(texts, *number)))
      return false;
  }
  g_ptr_array_set_size(texts->new, 0);
  return true;
}

bool texts_sweep(struct store *store, GHashTable *used, GError **error)
{
  g_autoptr(GError) problem = NULL;
  g_autoptr(GArray) unused = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  g_autoptr(sqlite3_stmt) query = store_query(store, &problem, "SELECT id FROM text", "");
  while (query != NULL && store_next(store, query, &problem)) {
    uint64_t number = (uint64_t)sqlite3_column_int64(query, 0);
    if (!g_hash_table_contains(used, &number))
      g_array_append_val(unused, number);
  }
  for (guint i = 0; i < unused->len && problem == NULL; i++)
    (void)store_do(store, &problem, "DELETE FROM text WHERE id = ?", "i", (int64_t)g_array_index(unused, uint64_t, i));
  if (problem == NULL)
    return true;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}
