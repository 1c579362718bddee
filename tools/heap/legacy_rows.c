/* SPDX-License-Identifier: MIT */
/* Profiles with a row for each stack: "12: 3456 [78: 9012] @ 0x4012 0x4034", and, as jemalloc has them, with a line for
 * the stack and a row for each thread below it. */
#include "tools/heap/legacy_reader.h"

#include "tools/heap/legacy_maps.h"

static const char row_shape[] = "COUNT: BYTES [COUNT: BYTES] @ ADDRESS...";

/* Rows. */

static bool take_counts(struct legacy_line *line, struct legacy_counts *counts)
{
  return legacy_line_take_number(line, &counts->objects) && legacy_line_take(line, ":") &&
         legacy_line_take_number(line, &counts->bytes);
}

static bool take_row(struct legacy_line *line, struct legacy_row *row)
{
  return take_counts(line, &row->in_use) && legacy_line_take(line, "[") && take_counts(line, &row->allocated) &&
         legacy_line_take(line, "]");
}

/* Some writers know of nothing but what is in use and write 0 or the same twice. */
static bool tells_allocated(const struct legacy_row *total)
{
  return (total->allocated.objects != 0 && total->allocated.objects != total->in_use.objects) ||
         (total->allocated.bytes != 0 && total->allocated.bytes != total->in_use.bytes);
}

static bool is_passed_over(const struct legacy_line *line)
{
  return legacy_line_is_empty(line) || *line->position == '#';
}

/* The first line. */

/* "heap_v2/524288" and what it says of the counts. */
static bool read_kind(struct legacy_reader *reader, struct legacy_line *line)
{
  static const struct {
    const char *name;
    bool is_sampled, has_double_rate, tells_in_use;
  } kinds[] = {
      {"heapz_v2", true, false, true},         {"heap_v2", true, false, true},
      {"heapprofile", false, false, true},     {"heap", true, true, true},
      {"growthz", false, false, false},        {"growth", false, false, false},
      {"fragmentationz", false, false, false}, {"fragmentation", false, false, false},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
    struct legacy_line rest = *line;
    int64_t rate = 0;
    if (!legacy_line_take(&rest, kinds[i].name))
      continue;
    bool has_rate = kinds[i].is_sampled && legacy_line_take(&rest, "/");
    if ((has_rate && !legacy_line_take_number(&rest, &rate)) || rate < 0 || !legacy_line_is_empty(&rest))
      continue;
    reader->sampling.interval_bytes = !kinds[i].is_sampled ? 1 : kinds[i].has_double_rate ? rate / 2 : rate;
    reader->has_allocated &= kinds[i].tells_in_use;
    return true;
  }
  return false;
}

/* "heap profile: 12: 3456 [78: 9012] @ heap_v2/524288" */
static bool read_header(struct legacy_reader *reader, struct legacy_line line)
{
  struct legacy_line rest = line;
  struct legacy_row total;
  if (!legacy_line_take(&rest, "heap profile:") || !take_row(&rest, &total) || !legacy_line_take(&rest, "@"))
    return legacy_refuse_line(reader, &line, "heap profile: COUNT: BYTES [COUNT: BYTES] @ KIND/RATE");
  reader->has_allocated = tells_allocated(&total);
  if (!read_kind(reader, &rest))
    return legacy_refuse_line(reader, &rest,
                              "heap_v2/RATE, heap/RATE, heapprofile or growth, the kinds of profile that are known");
  return true;
}

/* "heap_v2/524288" */
static bool read_threaded_header(struct legacy_reader *reader, struct legacy_line line)
{
  struct legacy_line rest = line;
  if (!legacy_line_take(&rest, "heap_v2/") || !legacy_line_take_number(&rest, &reader->sampling.interval_bytes) ||
      reader->sampling.interval_bytes < 0 || !legacy_line_is_empty(&rest))
    return legacy_refuse_line(reader, &line, "heap_v2/RATE");
  reader->sampling.weighs_sizes = true;
  return true;
}

static void set_types(struct legacy_reader *reader)
{
  legacy_set_types(reader, "objects", "space", "bytes");
  reader->heap->period = reader->sampling.interval_bytes;
}

/* The two formats. */

static bool read_flat_row(struct legacy_reader *reader, struct legacy_line line)
{
  struct legacy_line rest = line;
  struct legacy_row row;
  if (!take_row(&rest, &row) || !legacy_line_take(&rest, "@") || !legacy_add_frames(reader, rest, false))
    return legacy_refuse_line(reader, &line, row_shape);
  return legacy_add_sample(reader, &row);
}

static bool read_flat(struct legacy_reader *reader, struct legacy_line first)
{
  struct legacy_line line;
  if (!read_header(reader, first))
    return false;
  set_types(reader);
  while (legacy_text_next(&reader->text, &line)) {
    if (legacy_maps_begin(&line))
      break;
    if (legacy_line_begins(&line, "#"))
      legacy_go_read_name(reader, line);
    else if (!is_passed_over(&line) && !read_flat_row(reader, line))
      return false;
  }
  return true;
}

/* "t*: 12: 3456 [78: 9012]", all threads; those of single ones begin "t3:" and tell nothing new. */
static bool read_thread_row(struct legacy_reader *reader, struct legacy_line line, bool *is_total,
                            struct legacy_row *row)
{
  struct legacy_line rest = line;
  int64_t thread;
  *is_total = legacy_line_take(&rest, "t*:");
  if (!*is_total &&
      !(legacy_line_take(&rest, "t") && legacy_line_take_number(&rest, &thread) && legacy_line_take(&rest, ":")))
    return legacy_refuse_line(reader, &line, "t*: COUNT: BYTES [COUNT: BYTES]");
  return take_row(&rest, row) || legacy_refuse_line(reader, &line, "t*: COUNT: BYTES [COUNT: BYTES]");
}

/* What stands below the first line: the counts of the whole. */
static bool read_total(struct legacy_reader *reader)
{
  struct legacy_line line;
  struct legacy_row total;
  bool is_total;
  if (!legacy_text_next(&reader->text, &line))
    return legacy_refuse(reader, "it ends behind its first line");
  if (!read_thread_row(reader, line, &is_total, &total))
    return false;
  if (!is_total)
    return legacy_refuse_line(reader, &line, "t*: COUNT: BYTES [COUNT: BYTES]");
  reader->has_allocated = tells_allocated(&total);
  set_types(reader);
  return true;
}

/* `has_stack`: frames were added, and no sample yet. */
static bool read_threaded_line(struct legacy_reader *reader, struct legacy_line line, bool *has_stack)
{
  struct legacy_line rest = line;
  struct legacy_row row;
  bool is_total;
  if (legacy_line_take(&rest, "@")) {
    if (*has_stack)
      return legacy_refuse(reader, "line %u: the stack before has no counts", reader->text.line_number);
    *has_stack = true;
    return legacy_add_frames(reader, rest, false) || legacy_refuse_line(reader, &line, "@ ADDRESS...");
  }
  if (!read_thread_row(reader, line, &is_total, &row))
    return false;
  if (!is_total || !*has_stack)
    return true;
  *has_stack = false;
  return legacy_add_sample(reader, &row);
}

static bool read_threaded(struct legacy_reader *reader, struct legacy_line first)
{
  struct legacy_line line;
  bool has_stack = false;
  if (!read_threaded_header(reader, first) || !read_total(reader))
    return false;
  while (legacy_text_next(&reader->text, &line)) {
    if (legacy_maps_begin(&line))
      break;
    if (!is_passed_over(&line) && !read_threaded_line(reader, line, &has_stack))
      return false;
  }
  return !has_stack || legacy_refuse(reader, "line %u: the last stack has no counts", reader->text.line_number);
}

bool legacy_read_rows(struct legacy_reader *reader)
{
  struct legacy_line first;
  legacy_text_next(&reader->text, &first);
  bool is_threaded = legacy_line_begins(&first, "heap_v2/");
  if (!(is_threaded ? read_threaded(reader, first) : read_flat(reader, first)))
    return false;
  legacy_maps_read(&reader->text, reader->heap);
  legacy_stacks_finish(reader->stacks);
  legacy_go_finish(reader->heap);
  return true;
}
