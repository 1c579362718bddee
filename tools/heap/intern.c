/* SPDX-License-Identifier: MIT */
#include "tools/heap/intern.h"

const char *intern_text(GStringChunk *strings, const char *text)
{
  if (text == NULL)
    text = "";
  if (g_utf8_validate(text, -1, NULL))
    return g_string_chunk_insert_const(strings, text);
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  return g_string_chunk_insert_const(strings, valid);
}

struct heap_function intern_texts(GStringChunk *strings, struct heap_function function)
{
  function.name = intern_text(strings, function.name);
  function.system_name = intern_text(strings, function.system_name);
  function.file = intern_text(strings, function.file);
  return function;
}

static guint hash_function(gconstpointer key)
{
  const struct heap_function *function = key;
  return g_direct_hash(function->name) * 31 + g_direct_hash(function->system_name) * 17 +
         g_direct_hash(function->file) + (guint)function->start_line;
}

static gboolean is_same_function(gconstpointer a, gconstpointer b)
{
  const struct heap_function *one = a, *other = b;
  return one->name == other->name && one->system_name == other->system_name && one->file == other->file &&
         one->start_line == other->start_line;
}

GHashTable *intern_index_new(void)
{
  return g_hash_table_new_full(hash_function, is_same_function, g_free, NULL);
}

uint32_t intern_function(GHashTable *index, GArray *functions, GStringChunk *strings, struct heap_function function)
{
  gpointer found;
  function = intern_texts(strings, function);
  if (g_hash_table_lookup_extended(index, &function, NULL, &found))
    return GPOINTER_TO_UINT(found);
  uint32_t place = functions->len;
  g_array_append_val(functions, function);
  g_hash_table_insert(index, g_memdup2(&function, sizeof function), GUINT_TO_POINTER(place));
  return place;
}
