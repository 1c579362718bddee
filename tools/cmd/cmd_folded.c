/* SPDX-License-Identifier: MIT */
#include "tools/cmd/filter_options.h"
#include "tools/cmd/moment_options.h"
#include "tools/cmd/value_options.h"
#include "tools/terminal/say.h"
#include "tools/views/cut_share.h"
#include "tools/views/folded.h"
#include "tools/views/view.h"

#include <string.h>

static int print(const struct cmd_line *line, const struct heap *heap)
{
  const char *name = value_options_type(line);
  int type = heap_find_type(heap, name);
  if (type < 0) {
    g_autofree char *names = heap_type_names(heap);
    return cmd_misused(line, "%s has no values '%s', only %s", heap->name, name, names);
  }
  struct cut_share cut = cut_share_of(heap, type, NULL);
  g_autofree char *share = cut_share_text(&cut, heap_type(heap, (uint32_t)type)->name);
  if (share != NULL)
    say("%s: its stacks were cut, for %s", heap->name, share);
  g_autofree char *note = view_peak_note(heap, type);
  note[0] = g_ascii_tolower(note[0]);
  if (name == NULL && note[0] != '\0')
    say("%s: %.*s", heap->name, (int)strcspn(note, "\n"), note);
  folded_print(stdout, heap, type, cmd_has(line, "lines") ? PLACES_BY_LINE : PLACES_BY_FUNCTION);
  return finish_output(EXIT_OK);
}

static int run(const struct cmd_line *line)
{
  if (line->count != 1)
    return cmd_takes(line, 1, "one process or profile");
  struct filter *filter;
  if (!value_options_agree(line) || !moment_options_check(line, "at") || !filter_options(line, &filter))
    return EXIT_USAGE;
  int status = EXIT_FAILED;
  g_autofree char *name = moment_options(line, line->operands[0]);
  struct heap *heap = name != NULL ? view_open(name, filter) : NULL;
  if (heap != NULL) {
    filter_drop_empty(filter, heap);
    status = print(line, heap);
  }
  heap_free(heap);
  filter_free(filter);
  return status;
}

static const struct cmd_option options[] = {
    VALUE_OPTIONS,   {"lines", 'l', NULL, "tell calls on different lines apart"}, MOMENT_OPTIONS, FILTER_OPTIONS,
    CMD_OPTIONS_END,
};

const struct command cmd_folded = {.name = "folded",
                                   .operands = "FILE|PID|NAME",
                                   .summary = "Print stacks as flamegraph.pl reads them, one a line",
                                   .options = options,
                                   .run = run};
