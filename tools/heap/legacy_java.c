/* SPDX-License-Identifier: MIT */
/* What Google's Java agent writes: "resolution = bytes", rows of bytes, objects and places, a blank line, and then the
 * places by number: "0x00000012 com.example.Class.method (Class.java:7)". */
#include "tools/heap/legacy_reader.h"

#include <string.h>

enum { INTERVAL_BYTES = 512 << 10 };

/* "format = java" and "resolution = bytes" stand before the rows. *line: the first that is no such line. */
static bool read_attributes(struct legacy_reader *reader, struct legacy_line *line)
{
  g_autofree char *resolution = g_strdup("bytes");
  while (legacy_text_next(&reader->text, line)) {
    const char *equals = memchr(line->position, '=', legacy_line_length(line));
    struct legacy_line rest = *line, value = {.position = equals != NULL ? equals + 1 : line->end, .end = line->end};
    if (legacy_line_is_empty(line))
      continue;
    if (equals == NULL)
      break;
    if (legacy_line_take(&rest, "format") && !legacy_line_take(&value, "java"))
      return legacy_refuse_line(reader, line, "format = java");
    if (legacy_line_take(&rest, "resolution") && legacy_line_take_word(&value, &rest)) {
      g_free(resolution);
      resolution = g_strndup(rest.position, legacy_line_length(&rest));
    }
  }
  legacy_set_types(reader, "inuse_objects", "inuse_space", resolution);
  return true;
}

/* "7048 1 @ 0x3 0x4" */
static bool read_row(struct legacy_reader *reader, struct legacy_line line)
{
  struct legacy_line rest = line;
  struct legacy_row row = {0};
  bool is_sound = legacy_line_take_number(&rest, &row.in_use.bytes) &&
                  legacy_line_take_number(&rest, &row.in_use.objects) && legacy_line_take(&rest, "@") &&
                  legacy_add_frames(reader, rest, true);
  if (!is_sound || row.in_use.objects == 0)
    return legacy_refuse_line(reader, &line, "BYTES COUNT @ PLACE...");
  return legacy_add_sample(reader, &row);
}

/* " (Class.java:7)" at the end is cut off. */
static char *cut_file(char *text, int64_t *line_number)
{
  char *open = strrchr(text, '('), *close = strrchr(text, ')');
  if (open == NULL || open == text || close < open || close[1] != '\0')
    return g_strdup("");
  *close = *open = '\0';
  g_strchomp(text);
  char *colon = strrchr(open + 1, ':');
  int64_t number = colon != NULL ? g_ascii_strtoll(colon + 1, NULL, 10) : 0;
  if (colon == NULL)
    return g_path_get_basename(open + 1); /* of a library */
  *colon = '\0';
  *line_number = MAX(number, 0);
  return g_strdup(open + 1);
}

static void read_place(struct legacy_reader *reader, struct legacy_line line)
{
  uint64_t place;
  int64_t line_number = 0;
  if (!legacy_line_begins(&line, "0x") || !legacy_line_take_hex(&line, &place))
    return;
  g_autofree char *text = g_strstrip(g_strndup(line.position, legacy_line_length(&line)));
  g_autofree char *file = cut_file(text, &line_number);
  struct heap_function function = {.name = text, .system_name = text, .file = file};
  if (text[0] != '\0')
    legacy_stacks_name(reader->stacks, place, function, line_number);
}

bool legacy_read_java(struct legacy_reader *reader)
{
  struct legacy_line line;
  legacy_text_next(&reader->text, &line);
  reader->sampling.interval_bytes = reader->heap->period = INTERVAL_BYTES;
  if (!read_attributes(reader, &line))
    return false;
  bool has_row = !legacy_line_is_empty(&line);
  while (has_row && !legacy_line_begins(&line, "0x")) {
    if (!legacy_line_is_empty(&line) && !read_row(reader, line))
      return false;
    has_row = legacy_text_next(&reader->text, &line);
  }
  for (; has_row; has_row = legacy_text_next(&reader->text, &line))
    read_place(reader, line);
  legacy_stacks_finish(reader->stacks);
  for (uint32_t i = 0; i < reader->heap->locations->len; i++)
    heap_location(reader->heap, i)->address = 0; /* they are numbers, and others in the next profile */
  return true;
}
