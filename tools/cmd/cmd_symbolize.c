/* SPDX-License-Identifier: MIT */
#include "tools/cmd/cmd.h"
#include "tools/heap/load.h"
#include "tools/heap/save.h"
#include "tools/source/generated_code.h"
#include "tools/source/source.h"
#include "tools/symbols/symbols.h"
#include "tools/terminal/say.h"

#include <string.h>

static void report_without_debug(const GPtrArray *paths)
{
  if (paths->len == 0)
    return;
  g_autoptr(GString) names = g_string_new(NULL);
  for (uint32_t i = 0; i < paths->len; i++) {
    g_autofree char *name = g_path_get_basename(g_ptr_array_index(paths, i));
    g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", name);
  }
  say("no debug information for %s: names from symbol tables only", names->str);
}

static void report_problems(const GPtrArray *problems)
{
  for (uint32_t i = 0; i < problems->len; i++)
    say("%s", (const char *)g_ptr_array_index(problems, i));
}

static void report(const struct heap *heap, const struct symbols_result *result)
{
  report_problems(result->problems);
  report_without_debug(result->without_debug);
  say("%s: %u addresses, %u with names, %u with lines", heap->name, result->locations, result->named,
      result->with_lines);
}

/* A profile that gains nothing is left as it is. */
static bool save(const struct heap *heap, const struct cmd_line *line, const char *path, uint32_t found, GError **error)
{
  const char *output = cmd_value(line, "output");
  if (output == NULL)
    return found > 0 || strcmp(path, "-") == 0 ? save_replacing(heap, path, error) : true;
  return (cmd_has(line, "force") ? save_replacing : save_new)(heap, output, error);
}

/* What others can read in a text profile is not taken from them. */
static struct heap *load(const struct cmd_line *line, const char *path)
{
  g_autoptr(GError) error = NULL;
  struct heap *heap = load_file(path, &error);
  if (heap == NULL)
    say("%s", error->message);
  else if (heap->is_of_text && cmd_value(line, "output") == NULL && strcmp(path, "-") != 0) {
    say("%s is a text profile, which is not replaced by one with names; name another file with -o", path);
    g_clear_pointer(&heap, heap_free);
  }
  return heap;
}

static bool symbolize(const struct cmd_line *line, const char *path)
{
  g_autoptr(GError) error = NULL;
  struct heap *heap = load(line, path);
  if (heap == NULL)
    return false;
  struct symbols_options options = {.detail = SYMBOLS_LINES,
                                    .root = cmd_value(line, "root"),
                                    .replaces = cmd_has(line, "again"),
                                    .shows_progress = true,
                                    .may_download = !cmd_has(line, "no-debuginfod"),
                                    .skips_cache = cmd_has(line, "no-cache")};
  struct symbols_result result;
  g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
  struct generated_code_process process = {.root = options.root, .owner = source_owner(path)};
  uint32_t generated = generated_code_add_names(heap, &process, problems);
  symbols_add(heap, &options, &result);
  result.found += generated;
  report_problems(problems);
  report(heap, &result);
  if (generated > 0)
    say("%s: names for %u addresses in generated code", heap->name, generated);
  bool is_saved = save(heap, line, path, result.found, &error);
  if (!is_saved)
    say("%s", error->message);
  symbols_result_clear(&result);
  heap_free(heap);
  return is_saved;
}

static int run(const struct cmd_line *line)
{
  if (line->count == 0)
    return cmd_takes(line, 0, "profiles");
  if (cmd_has(line, "output") && line->count > 1)
    return cmd_misused(line, "-o takes one profile, not %d; without it each is replaced by itself with names",
                       line->count);
  bool is_done = true;
  for (int i = 0; i < line->count; i++)
    is_done &= symbolize(line, line->operands[i]);
  return is_done ? EXIT_OK : EXIT_FAILED;
}

static const struct cmd_option options[] = {CMD_OPTION_OUTPUT,
                                            CMD_OPTION_FORCE,
                                            {"again", 0, NULL, "look up what has lines already, too"},
                                            {"no-cache", 0, NULL, "neither read nor write what was found earlier"},
                                            {"no-debuginfod", 0, NULL, "do not ask the servers in $DEBUGINFOD_URLS"},
                                            {"root", 0, "DIR", "look for the files of the profile below DIR"},
                                            CMD_OPTIONS_END};

const struct command cmd_symbolize = {.name = "symbolize",
                                      .operands = "FILE...",
                                      .summary = "Add inlined functions, files and lines to profiles",
                                      .options = options,
                                      .run = run};
