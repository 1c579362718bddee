/* SPDX-License-Identifier: MIT */
#include "tools/attach/last_calls.h"

#include "core/arch/instruction.h"
#include "tools/attach/functions.h"

#include <string.h>

enum { NEAR_BYTES = 1, FAR_BYTES = 4, OPCODE_MAX_BYTES = 2 };

struct last_calls {
  const struct image *image;
  struct functions *functions; /* NULL: none is known */
  /* By number. To one that has a name none is noted. */
  struct ways {
    bool is_one; /* itself */
    bool are_from_one, are_from_others;
  } * ways;
  uint32_t *starts; /* by place in the code: the number of the function without a name that begins there, plus one */
};

static bool note_name(struct last_calls *calls, uint32_t number, bool (*is_one)(const char *name))
{
  guint from = 0;
  const char *name;
  while ((name = image_name_at(calls->image, calls->functions->all[number].start, &from)) != NULL)
    calls->ways[number].is_one |= is_one(name);
  return from > 0;
}

static void note_names(struct last_calls *calls, bool (*is_one)(const char *name))
{
  const struct functions *functions = calls->functions;
  for (uint32_t i = 0; i < functions->count; i++)
    if (!note_name(calls, i, is_one) && functions_are_at(functions, functions->all[i].start))
      calls->starts[functions->all[i].start - functions->code_start] = i + 1;
}

/* NULL: no function without a name begins there. */
static struct ways *ways_to(const struct last_calls *calls, uint64_t address)
{
  uint32_t number =
      functions_are_at(calls->functions, address) ? calls->starts[address - calls->functions->code_start] : 0;
  return number > 0 ? &calls->ways[number - 1] : NULL;
}

/* May an instruction end with the distance that is `at` in the code? It is then the call, the jump, or what takes an
 * address; a prefix does not matter. */
static bool is_distance(const struct functions *functions, size_t at, uint8_t distance_bytes)
{
  struct instruction found;
  for (size_t before = 1; before <= OPCODE_MAX_BYTES && before <= at; before++)
    if (instruction_read(functions->bytes + at - before, before + distance_bytes, &found) &&
        found.distance_bytes == distance_bytes && found.distance_at == before)
      return true;
  return false;
}

static void note_way(struct last_calls *calls, size_t at, uint8_t distance_bytes, int32_t distance)
{
  const struct functions *functions = calls->functions;
  uint64_t from = functions->code_start + at;
  struct ways *to = ways_to(calls, from + distance_bytes + (uint64_t)(int64_t)distance);
  if (to == NULL || !is_distance(functions, at, distance_bytes))
    return;
  uint32_t caller = functions_number_at(functions, from);
  bool is_known = caller < functions->count;
  to->are_from_one |= is_known && calls->ways[caller].is_one;
  to->are_from_others |= !is_known || (!calls->ways[caller].is_one && &calls->ways[caller] != to);
}

static void note_ways_of_code(struct last_calls *calls)
{
  const uint8_t *bytes = calls->functions->bytes;
  size_t size = calls->functions->code_limit - calls->functions->code_start;
  for (size_t at = 0; at < size; at++)
    note_way(calls, at, NEAR_BYTES, (int8_t)bytes[at]);
  for (size_t at = 0; at + FAR_BYTES <= size; at++) {
    int32_t distance;
    memcpy(&distance, bytes + at, sizeof distance);
    note_way(calls, at, FAR_BYTES, distance);
  }
}

static bool note_ways_of_data(struct last_calls *calls, const struct memory *memory,
                              const struct memory_mapping *mapping)
{
  size_t bytes = mapping->limit - mapping->start;
  g_autofree uint64_t *words = g_malloc(bytes);
  if (!memory_read(memory, mapping->start, words, bytes))
    return false;
  for (size_t i = 0; i < bytes / sizeof *words; i++) {
    struct ways *to = ways_to(calls, words[i]);
    if (to != NULL)
      to->are_from_others = true;
  }
  return true;
}

static bool note_ways(struct last_calls *calls, const struct memory *memory)
{
  note_ways_of_code(calls);
  for (guint i = 0; i < memory->mappings->len; i++) {
    const struct memory_mapping *mapping = &g_array_index(memory->mappings, struct memory_mapping, i);
    bool is_data = image_holds(calls->image, mapping->start) && mapping->is_readable && !mapping->is_executable;
    if (is_data && !note_ways_of_data(calls, memory, mapping))
      return false;
  }
  return true;
}

struct last_calls *last_calls_read(const struct memory *memory, const struct image *image,
                                   bool (*is_one)(const char *name))
{
  struct last_calls *calls = g_new0(struct last_calls, 1);
  calls->image = image;
  calls->functions = functions_read(memory, image);
  if (calls->functions == NULL)
    return calls;
  calls->ways = g_new0(struct ways, calls->functions->count);
  calls->starts = g_new0(uint32_t, calls->functions->code_limit - calls->functions->code_start);
  note_names(calls, is_one);
  if (!note_ways(calls, memory)) {
    functions_free(calls->functions);
    calls->functions = NULL;
  }
  return calls;
}

void last_calls_free(struct last_calls *calls)
{
  if (calls == NULL)
    return;
  functions_free(calls->functions);
  g_free(calls->ways);
  g_free(calls->starts);
  g_free(calls);
}

bool last_calls_hold(const struct last_calls *calls, uint64_t pc)
{
  uint32_t number = calls->functions != NULL ? functions_number_at(calls->functions, pc) : 0;
  if (calls->functions == NULL || number == calls->functions->count)
    return false;
  const struct ways *ways = &calls->ways[number];
  return ways->are_from_one && !ways->are_from_others && pc < functions_end_of(calls->functions, number);
}
