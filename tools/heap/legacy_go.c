/* SPDX-License-Identifier: MIT */
/* The names that Go writes below a stack: "#<tab>0x4011<tab>main.f+0x12<tab>/src/main.go:7", the address being that of
 * the call. It leaves out its runtime's frames at the inner end, where a stack has others, and the outermost, which is
 * always the same. */
#include "tools/heap/legacy_reader.h"

#include <string.h>

/* "/src/main.go:7" */
static char *file_of(const struct legacy_line *word, int64_t *line_number)
{
  const char *colon = word->end;
  while (colon > word->position && colon[-1] != ':')
    colon--;
  struct legacy_line digits = {colon, word->end};
  if (colon == word->position || !legacy_line_take_number(&digits, line_number))
    return NULL;
  return g_strndup(word->position, (gsize)(colon - 1 - word->position));
}

/* "main.f+0x12" */
static char *function_of(const struct legacy_line *word)
{
  const char *plus = word->end;
  while (plus > word->position && *--plus != '+')
    ;
  return plus > word->position ? g_strndup(word->position, (gsize)(plus - word->position)) : NULL;
}

/* A name may have blanks: tabs are between the fields. */
static bool take_name(struct legacy_line *line, struct legacy_line *name)
{
  while (line->position < line->end && *line->position == '\t')
    line->position++;
  const char *tab = memchr(line->position, '\t', legacy_line_length(line));
  if (tab == NULL)
    return false;
  *name = (struct legacy_line){line->position, tab};
  line->position = tab;
  return true;
}

void legacy_go_read_name(struct legacy_reader *reader, struct legacy_line line)
{
  struct legacy_line name;
  uint64_t address;
  int64_t line_number = 0;
  if (!legacy_line_take(&line, "#") || !legacy_line_begins(&line, "\t0x") || !legacy_line_take_hex(&line, &address) ||
      !take_name(&line, &name))
    return;
  while (line.position < line.end && g_ascii_isspace(*line.position))
    line.position++;
  g_autofree char *function = function_of(&name), *file = file_of(&line, &line_number);
  if (function == NULL || file == NULL)
    return;
  struct heap_function named = {.name = function, .system_name = function, .file = file};
  legacy_stacks_name(reader->stacks, address, named, line_number);
}

/* The innermost frame that has a name; frame_count if none has. */
static uint32_t first_named(const struct heap *heap, const struct heap_sample *sample)
{
  const uint32_t *frames = heap_frames(heap, sample);
  uint32_t frame = 0;
  while (frame < sample->frame_count && heap_location(heap, frames[frame])->line_count == 0)
    frame++;
  return frame;
}

void legacy_go_finish(struct heap *heap)
{
  if (heap->functions->len == 0)
    return;
  struct heap_function outermost = {.name = "runtime.goexit", .system_name = "runtime.goexit"};
  struct heap_line line = {heap_add_function(heap, outermost), 0};
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    struct heap_sample *sample = heap_sample(heap, i);
    uint32_t hidden = first_named(heap, sample);
    if (hidden == sample->frame_count)
      continue;
    sample->first_frame += hidden;
    sample->frame_count -= hidden;
    uint32_t last = heap_frames(heap, sample)[sample->frame_count - 1];
    if (heap_location(heap, last)->line_count == 0)
      heap_set_lines(heap, last, &line, 1);
  }
}
