/* SPDX-License-Identifier: MIT */
#include "tools/views/watch.h"

#include "core/comments.h"
#include "tools/source/attached.h"
#include "tools/state/process_maps.h"
#include "tools/terminal/exit_status.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/say.h"
#include "tools/terminal/screen.h"
#include "tools/terminal/shown.h"
#include "tools/views/facts.h"
#include "tools/views/top.h"
#include "tools/views/view.h"

#include <stdio.h>

enum { REFRESH_MS = 1000, LINES_AROUND_TABLE = 5 };

struct watch {
  const struct watch_options *options;
  struct attached *attached;
  struct heap *first, *previous, *now; /* `first`, `previous`: NULL or what changes are counted from */
  int type;
  enum rows_order order;
  bool is_paused, is_since_start;
  uint32_t first_row, row_count, shown_rows; /* row_count: of the last drawing */
  gint64 read_us;
  char *read_at; /* time of day */
  bool has_ended;
  char *note; /* why there is nothing new; NULL: there is */
};

bool watch_is_possible(void)
{
  return screen_is_possible();
}

/* Reading. */

static char *clock_now(void)
{
  g_autoptr(GDateTime) now = g_date_time_new_now_local();
  return g_date_time_format(now, "%H:%M:%S");
}

static void forget_past(struct watch *watch)
{
  if (watch->previous != watch->first)
    heap_free(watch->previous);
  heap_free(watch->first);
  watch->first = watch->previous = NULL;
}

/* `now` becomes the past. */
static void step(struct watch *watch, struct heap *heap)
{
  if (watch->now != NULL && !facts_same_process(watch->now, heap)) { /* exec */
    forget_past(watch);
    g_clear_pointer(&watch->now, heap_free);
  }
  if (watch->previous != watch->first)
    heap_free(watch->previous);
  watch->previous = watch->now;
  if (watch->first == NULL)
    watch->first = watch->now;
  watch->now = heap;
}

static void note_end(struct watch *watch)
{
  g_free(watch->note);
  watch->note = g_strdup_printf("process %d has ended; this is what it had last", watch->options->pid);
}

static bool read_process(struct watch *watch, GError **error)
{
  bool is_alive;
  struct heap *heap = attached_read(watch->attached, &is_alive, error);
  watch->read_us = g_get_monotonic_time();
  g_free(watch->read_at);
  watch->read_at = clock_now();
  if (heap == NULL)
    return false;
  g_autoptr(GString) unmatched = g_string_new(NULL);
  filter_apply(watch->options->filter, heap, unmatched);
  if (unmatched->len > 0)
    watch->note = g_strdup_printf("nothing matches %s", unmatched->str);
  step(watch, heap);
  watch->has_ended = !is_alive;
  if (watch->has_ended)
    note_end(watch);
  return true;
}

static void refresh(struct watch *watch)
{
  g_autoptr(GError) error = NULL;
  g_clear_pointer(&watch->note, g_free);
  if (read_process(watch, &error))
    return;
  watch->has_ended = !process_runs(watch->options->pid);
  if (watch->has_ended)
    note_end(watch);
  else
    watch->note = g_strdup(error->message);
}

/* Drawing. */

/* A line that fits. */
static void append_line(GString *text, enum colour wanted, const char *line)
{
  g_autofree char *shown = shown_text(line), *cut = shown_cut_end(shown, terminal_width(stdout));
  g_string_append_printf(text, "%s%s%s\n", colour(stdout, wanted), cut, colour(stdout, COLOUR_NONE));
}

static void append_title(GString *text, const struct watch *watch, const struct rows *rows, const struct rows *changes)
{
  const char *program = heap_comment(watch->now, COMMENT_program);
  g_autoptr(GString) line = g_string_new(program);
  g_string_append_printf(line, " (%d)  %s  %s  %s", watch->options->pid, watch->read_at, rows->type_name,
                         quantity(rows->total, rows->unit).text);
  if (view_has_errors(rows->has_variances, rows->total_variance))
    g_string_append_printf(line, " %s", quantity_error(rows->total, rows->total_variance, rows->unit).text);
  if (changes != NULL && changes->total != changes->old_total)
    g_string_append_printf(line, "  %s", quantity_signed(changes->total - changes->old_total, rows->unit).text);
  append_line(text, COLOUR_BOLD, line->str);
}

static void append_status(GString *text, const struct watch *watch)
{
  g_autofree char *line = NULL;
  if (watch->note != NULL)
    line = g_strdup_printf("%s, %s", watch->note, watch->read_at);
  else if (watch->is_paused)
    line = g_strdup("paused");
  else
    line = g_strdup_printf("changed: since %s; ~ no more than sampling explains",
                           watch->is_since_start ? "the start of top" : "a second ago");
  append_line(text, watch->note != NULL || watch->is_paused ? COLOUR_YELLOW : COLOUR_DIM, line);
}

static void append_help(GString *text, const struct watch *watch)
{
  uint32_t last = MIN(watch->first_row + watch->shown_rows, watch->row_count);
  g_autofree char *rows =
      g_strdup_printf("rows %u to %u of %u", MIN(watch->first_row + 1, last), last, watch->row_count);
  append_line(text, COLOUR_DIM, rows);
  append_line(text, COLOUR_DIM, "q quit  space pause  s type  o order  c since  arrows");
  g_string_truncate(text, text->len - 1); /* no line below the last one */
}

/* Returns how many lines there are. */
static int append_cut(GString *text, const struct rows *rows)
{
  g_autofree char *share = cut_share_text(&rows->cut, rows->type_name);
  if (share == NULL)
    return 0;
  g_autofree char *line = g_strdup_printf("cut stacks: %s", share);
  append_line(text, COLOUR_DIM, line);
  return 1;
}

static uint32_t rows_that_fit(const struct watch *watch, int other_lines)
{
  int height = terminal_height(stdout) - LINES_AROUND_TABLE - other_lines;
  return MIN((uint32_t)MAX(height, 1), watch->options->rows_max);
}

static struct rows *changes_of(const struct watch *watch)
{
  const struct heap *past = watch->is_since_start ? watch->first : watch->previous;
  return past == NULL
             ? NULL
             : rows_of_difference(past, watch->type, watch->now, watch->type, watch->options->by, watch->order);
}

static void draw(struct watch *watch)
{
  g_autoptr(GString) text = g_string_new(NULL);
  struct rows *rows = rows_of(watch->now, watch->type, watch->options->by, watch->order), *changes = changes_of(watch);
  append_title(text, watch, rows, changes);
  append_status(text, watch);
  int other_lines = append_cut(text, rows);
  watch->row_count = rows->rows->len;
  watch->shown_rows = rows_that_fit(watch, other_lines);
  if (watch->first_row + watch->shown_rows > watch->row_count)
    watch->first_row = watch->row_count > watch->shown_rows ? watch->row_count - watch->shown_rows : 0;
  struct top top = {.rows = rows,
                    .has_changes = true,
                    .changes = changes,
                    .heap = watch->now,
                    .type = watch->type,
                    .order = watch->order,
                    .first = watch->first_row,
                    .count = watch->shown_rows};
  top_append_table(text, &top, terminal_width(stdout), stdout);
  append_help(text, watch);
  screen_draw(text->str);
  rows_free(rows);
  rows_free(changes);
}

/* Keys. */

static void scroll(struct watch *watch, int64_t rows)
{
  watch->first_row = (uint32_t)CLAMP((int64_t)watch->first_row + rows, 0, (int64_t)watch->row_count);
}

/* False: quit. */
static bool act(struct watch *watch, int key)
{
  switch (key) {
  case 'q':
  case 'Q':
  case SCREEN_ENDED: return false;
  case ' ': watch->is_paused = !watch->is_paused; break;
  case 's': watch->type = (watch->type + 1) % (int)watch->now->types->len; break;
  case 'o': watch->order = watch->order == ROWS_ORDER_FLAT ? ROWS_ORDER_CUM : ROWS_ORDER_FLAT; break;
  case 'c': watch->is_since_start = !watch->is_since_start; break;
  case SCREEN_UP: scroll(watch, -1); break;
  case SCREEN_DOWN: scroll(watch, 1); break;
  case SCREEN_PAGE_UP: scroll(watch, -(int64_t)watch->shown_rows); break;
  case SCREEN_PAGE_DOWN: scroll(watch, watch->shown_rows); break;
  case SCREEN_HOME: watch->first_row = 0; break;
  case SCREEN_END: watch->first_row = watch->row_count; break;
  default: break;
  }
  return true;
}

static void loop(struct watch *watch)
{
  int key;
  do {
    draw(watch);
    gint64 left_ms = REFRESH_MS - (g_get_monotonic_time() - watch->read_us) / 1000;
    key = screen_wait(watch->is_paused || watch->has_ended ? G_MAXINT : left_ms);
    gint64 age_ms = (g_get_monotonic_time() - watch->read_us) / 1000;
    if (!watch->is_paused && !watch->has_ended && age_ms >= REFRESH_MS)
      refresh(watch);
  } while (act(watch, key));
}

/* What was on the screen stays readable. */
static void print_last(const struct watch *watch)
{
  g_autoptr(GString) text = g_string_new(NULL);
  struct rows *rows = rows_of(watch->now, watch->type, watch->options->by, watch->order);
  struct top top = {
      .rows = rows, .heap = watch->now, .type = watch->type, .order = watch->order, .count = rows_that_fit(watch, 0)};
  top_append_header(text, &top);
  top_append_table(text, &top, terminal_width(stdout), stdout);
  (void)fputs(text->str, stdout);
  say("%s", watch->note);
  rows_free(rows);
}

static void show(struct watch *watch)
{
  loop(watch);
  screen_close();
}

int watch_run(const struct watch_options *options)
{
  g_autoptr(GError) error = NULL;
  int status = EXIT_FAILED;
  struct watch watch = {.options = options, .attached = attached_new(options->pid), .order = options->order};
  if (!read_process(&watch, &error))
    say("%s", error->message);
  else if (view_find_type(watch.now, options->type, &watch.type) && (watch.has_ended || screen_open())) {
    if (!watch.has_ended)
      show(&watch);
    if (watch.has_ended)
      print_last(&watch);
    status = finish_output(EXIT_OK);
  }
  forget_past(&watch);
  heap_free(watch.now);
  attached_free(watch.attached);
  g_free(watch.read_at);
  g_free(watch.note);
  return status;
}
