/* SPDX-License-Identifier: MIT */
#include "tools/symbols/code_names.h"

#include "tools/symbols/sorted.h"

enum { NAME_BYTES_MAX = 4096 };

struct code_names {
  uint64_t *addresses;
  uint32_t count, named;
  const char **names;
  uint32_t *next; /* of each, and of the end: an index at or behind it, not behind the first that has no name */
  GStringChunk *texts;
};

struct code_names *code_names_new(const uint64_t *addresses, uint32_t count)
{
  struct code_names *names = g_new0(struct code_names, 1);
  names->addresses = g_memdup2(addresses, count * sizeof *addresses);
  names->count = count;
  names->names = g_new0(const char *, count);
  names->next = g_new(uint32_t, count + 1);
  for (uint32_t i = 0; i <= count; i++)
    names->next[i] = i;
  names->texts = g_string_chunk_new(4096);
  return names;
}

void code_names_free(struct code_names *names)
{
  g_free(names->addresses);
  g_free(names->names);
  g_free(names->next);
  g_string_chunk_free(names->texts);
  g_free(names);
}

/* The first without a name, from `index` on. Ways get shorter as they are gone. */
static uint32_t first_nameless(struct code_names *names, uint32_t index)
{
  while (names->next[index] != index) {
    names->next[index] = names->next[names->next[index]];
    index = names->next[index];
  }
  return index;
}

void code_names_offer(struct code_names *names, uint64_t start, uint64_t size, const char *name, size_t length)
{
  const char *text = NULL;
  uint32_t i = first_nameless(names, sorted_lower_bound(names->addresses, names->count, start));
  for (; length > 0 && i < names->count && names->addresses[i] - start < size; i = first_nameless(names, i)) {
    if (text == NULL)
      text = g_string_chunk_insert_len(names->texts, name, (gssize)MIN(length, NAME_BYTES_MAX));
    names->names[i] = text;
    names->next[i] = i + 1;
    names->named++;
  }
}

bool code_names_are_complete(const struct code_names *names)
{
  return names->named == names->count;
}

const char *code_names_get(const struct code_names *names, uint32_t index)
{
  return names->names[index];
}
