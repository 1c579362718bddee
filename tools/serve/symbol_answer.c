/* SPDX-License-Identifier: MIT */
#include "tools/serve/symbol_answer.h"

#include "tools/scrape/served_heap.h"
#include "tools/serve/numbers.h"
#include "tools/terminal/say.h"

#include <string.h>

GArray *symbol_answer_addresses(const char *text, size_t size)
{
  GArray *addresses = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  const char *end = text + size;
  while (text < end) {
    const char *plus = memchr(text, '+', (size_t)(end - text)), *word_end = plus != NULL ? plus : end;
    uint64_t address;
    if (numbers_unsigned(text, (size_t)(word_end - text), &address) == NUMBER_OK && address != 0)
      g_array_append_val(addresses, address);
    text = plus != NULL ? plus + 1 : end;
  }
  return addresses;
}

static uint32_t mapping_of(const struct heap *heap, uint64_t address)
{
  for (uint32_t i = 0; i < heap->mappings->len; i++) {
    const struct heap_mapping *mapping = heap_mapping(heap, i);
    if (address >= mapping->start && address < mapping->limit)
      return i;
  }
  return HEAP_NONE;
}

/* A heap with the files of the process, and these places in them. */
static struct heap *heap_of_places(const struct heap *heap, const GArray *addresses)
{
  struct heap *places = heap_new(heap->name);
  for (uint32_t i = 0; i < heap->mappings->len; i++)
    heap_add_mapping(places, *heap_mapping(heap, i));
  for (guint i = 0; i < addresses->len; i++) {
    uint64_t address = g_array_index(addresses, uint64_t, i);
    uint32_t mapping = mapping_of(heap, address);
    if (mapping != HEAP_NONE)
      heap_add_location(places, address, mapping);
  }
  return places;
}

static void append_names(GString *text, const struct heap *places)
{
  for (uint32_t i = 0; i < places->locations->len; i++) {
    const struct heap_location *location = heap_location(places, i);
    const struct heap_line *lines = heap_lines(places, location);
    if (location->line_count == 0 || lines[0].function == HEAP_NONE)
      continue;
    g_autofree char *name = printable(heap_function(places, lines[0].function)->name);
    g_string_append_printf(text, "0x%" G_GINT64_MODIFIER "x %s\n", location->address, name);
  }
}

GString *symbol_answer(const struct target *target, const char *text, size_t size, GError **error)
{
  g_autoptr(GArray) addresses = symbol_answer_addresses(text, size);
  GString *answer = g_string_new("num_symbols: 1\n");
  if (addresses->len == 0)
    return answer;
  struct heap *heap = target_read(target, REGION_NOW, "serve", error);
  if (heap == NULL) {
    g_string_free(answer, TRUE);
    return NULL;
  }
  struct heap *places = heap_of_places(heap, addresses);
  served_heap_add_names(places, target);
  append_names(answer, places);
  heap_free(places);
  heap_free(heap);
  return answer;
}
