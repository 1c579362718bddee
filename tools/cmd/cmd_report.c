/* SPDX-License-Identifier: MIT */
#include "tools/cmd/filter_options.h"
#include "tools/cmd/moment_options.h"
#include "tools/cmd/value_options.h"
#include "tools/heap/save.h"
#include "tools/source/source.h"
#include "tools/terminal/say.h"
#include "tools/views/heap_json.h"
#include "tools/views/report_page.h"
#include "tools/views/resident_view.h"
#include "tools/views/view.h"

#include <stdio.h>
#include <string.h>

static const char default_output[] = "report.html";

static const struct cmd_option options[] = {
    CMD_OPTION_OUTPUT, CMD_OPTION_FORCE, VALUE_OPTIONS, {"diff-base", 0, "FILE", "show the difference with FILE"},
    MOMENT_OPTIONS,    FILTER_OPTIONS,   MAPPED_OPTION, CMD_OPTIONS_END,
};

static bool has_value(const struct heap *heap, int type)
{
  for (uint32_t i = 0; i < heap->samples->len; i++)
    if (heap_values(heap, i)[type] != 0)
      return true;
  return false;
}

/* The type to show first: what is asked for, else the default one, unless that is all zero, as what is in use at exit
 * may be. */
static bool choose_type(const struct cmd_line *line, const struct heap *heap, int *type)
{
  const char *wanted = value_options_type(line);
  if (!view_find_type(heap, wanted, type))
    return false;
  for (int other = (int)heap->types->len; wanted == NULL && !has_value(heap, *type) && other-- > 0;)
    if (has_value(heap, other))
      *type = other;
  return true;
}

/* NULL: it is no process that runs, or not for us to look at. */
static json_t *resident_json(const char *name)
{
  struct target *target = source_find_process(name, NULL);
  struct resident_memory *memory = target != NULL && target->is_alive ? resident_memory_of(target, NULL) : NULL;
  json_t *json = memory != NULL ? resident_view_json(target, memory, NULL, NULL, 0, false) : NULL;
  resident_memory_free(memory);
  target_free(target);
  return json;
}

/* NULL after a message. */
static GBytes *make_page(const struct cmd_line *line, const struct heap *heap, const struct heap *base,
                         json_t *resident)
{
  g_autoptr(GError) error = NULL;
  struct page_start start = {.is_by_leaf = cmd_has(line, "leaf")};
  if (!choose_type(line, heap, &start.type))
    return NULL;
  GString *json = heap_json(heap, base, resident, start, &error);
  if (json == NULL) {
    say("%s", error->message);
    return NULL;
  }
  GBytes *page = report_page_with(json);
  g_string_free(json, TRUE);
  return page;
}

static bool write_page(const struct cmd_line *line, GBytes *page)
{
  g_autoptr(GError) error = NULL;
  const char *path = cmd_has(line, "output") ? cmd_value(line, "output") : default_output;
  if (cmd_has(line, "force") ? save_file_replacing(page, path, &error) : save_file_new(page, path, &error)) {
    if (strcmp(path, "-") != 0)
      put_name(path);
    return true;
  }
  say("%s", error->message);
  return false;
}

/* The page can show both, whatever it begins with. NULL after a message. */
static struct heap *open_with_owners(const struct cmd_line *line, const char *name, const struct filter *filter)
{
  struct heap *heap = cmd_has(line, "mmap") ? view_open_mapped(name, filter) : view_open(name, filter);
  if (heap != NULL) {
    filter_drop_empty(filter, heap);
    filter_mark_owners(filter, heap);
  }
  return heap;
}

static int report(const struct cmd_line *line, const char *name, const char *base_name)
{
  int status = EXIT_FAILED;
  struct filter *filter;
  if (!value_options_agree(line) || !moment_options_check(line, "at") || !filter_options(line, &filter))
    return EXIT_USAGE;
  struct heap *base = base_name != NULL ? open_with_owners(line, base_name, filter) : NULL;
  g_autofree char *meant = base_name == NULL || base != NULL ? moment_options(line, name) : NULL;
  struct heap *heap = meant != NULL ? open_with_owners(line, meant, filter) : NULL;
  if (heap != NULL && base != NULL)
    view_prefer_the_same(heap, base);
  json_t *resident = heap != NULL ? resident_json(name) : NULL;
  g_autoptr(GBytes) page = heap != NULL ? make_page(line, heap, base, resident) : NULL;
  json_decref(resident);
  heap_free(heap);
  heap_free(base);
  filter_free(filter);
  if (page != NULL && write_page(line, page))
    status = EXIT_OK;
  return status;
}

static int run(const struct cmd_line *line)
{
  const char *base = cmd_value(line, "diff-base");
  if (!report_page_exists()) {
    say("this heapprof was built --without-report");
    return EXIT_FAILED;
  }
  if (line->count == 2 && base != NULL)
    return cmd_misused(line, "two profiles are a difference already, without --diff-base");
  if (line->count != 1 && line->count != 2)
    return cmd_takes(line, 2, "one process or profile, or two");
  if (line->count == 2)
    return finish_output(report(line, line->operands[1], line->operands[0]));
  return finish_output(report(line, line->operands[0], base));
}

const struct command cmd_report = {
    .name = "report",
    .operands = "[OLD] PID|NAME|FILE",
    .summary = "Write a page for the browser: flame graph and table",
    .options = options,
    .run = run,
};
