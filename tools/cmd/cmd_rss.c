/* SPDX-License-Identifier: MIT */
#include "tools/cmd/cmd.h"
#include "tools/filter/filter.h"
#include "tools/source/source.h"
#include "tools/terminal/say.h"
#include "tools/views/resident_view.h"
#include "tools/views/rows_json.h"

#include <string.h>

/* NULL after a message. */
static struct target *find_living(const char *operand)
{
  g_autoptr(GError) error = NULL;
  struct target *target = source_find_process(operand, &error);
  if (target != NULL && target->is_alive)
    return target;
  if (error != NULL)
    say("%s", error->message);
  else if (target == NULL)
    say("'%s' is not the number of a process, nor the name of one that is profiled; heapprof ls lists them", operand);
  else if (target->is_replaced)
    say("process %d runs another program by now, which is not profiled", target->pid);
  else
    say("process %d has ended, and its memory is gone; heapprof recover %d writes what it had allocated", target->pid,
        target->pid);
  target_free(target);
  return NULL;
}

/* With names: of the rounding, and of what was mapped. */
struct owners {
  struct heap *heap, *direct;
};

static void append_apart(GString *text, const GString *part)
{
  if (part->len > 0)
    g_string_append_printf(text, "\n%s", part->str);
}

static void print_text(const struct cmd_line *line, const struct target *target, const struct resident_memory *memory,
                       const struct owners *owners, uint32_t count)
{
  g_autoptr(GString) text = g_string_new(NULL), direct = g_string_new(NULL), rounding = g_string_new(NULL);
  int width = terminal_width(stdout);
  resident_view_append(text, target, memory, width);
  resident_view_append_direct(direct, owners->direct, count, width, stdout);
  append_apart(text, direct);
  resident_view_append_rounding(rounding, owners->heap, count, width, stdout);
  append_apart(text, rounding);
  if (cmd_has(line, "mappings")) {
    g_string_append_c(text, '\n');
    resident_view_append_mappings(text, memory, width, stdout);
  }
  (void)fputs(text->str, stdout);
}

static bool find_owners(struct owners *owners, const struct target *target, const struct resident_memory *memory,
                        GError **error)
{
  owners->heap = source_open_target(target, REGION_ROUNDING, SYMBOLS_LINES, error);
  if (owners->heap != NULL)
    owners->direct = source_open_resident(target, memory->by_stack, SYMBOLS_LINES, error);
  if (owners->direct == NULL)
    return false;
  filter_apply(NULL, owners->heap, NULL);
  filter_apply(NULL, owners->direct, NULL);
  return true;
}

/* False after a message. */
static bool show(const struct cmd_line *line, const struct target *target, uint32_t count)
{
  g_autoptr(GError) error = NULL;
  struct resident_memory *memory = resident_memory_of(target, &error);
  struct owners owners = {NULL, NULL};
  bool is_good = memory != NULL && find_owners(&owners, target, memory, &error);
  if (!is_good)
    say("%s", error->message);
  else if (cmd_has(line, "json"))
    rows_json_print(resident_view_json(target, memory, owners.heap, owners.direct, count, cmd_has(line, "mappings")));
  else
    print_text(line, target, memory, &owners, count);
  heap_free(owners.heap);
  heap_free(owners.direct);
  resident_memory_free(memory);
  return is_good;
}

static int run(const struct cmd_line *line)
{
  enum { USUAL_ROWS = 5 };
  uint64_t count;
  if (line->count != 1)
    return cmd_takes(line, 1, "one process");
  if (strchr(line->operands[0], '/') != NULL || line->operands[0][0] == '\0')
    return cmd_misused(line, "'%s' is neither the number nor the name of a process", line->operands[0]);
  if (!cmd_number(line, "rows", 0, 1000000, USUAL_ROWS, &count))
    return EXIT_USAGE;
  struct target *target = find_living(line->operands[0]);
  int status = target != NULL && show(line, target, count > 0 ? (uint32_t)count : UINT32_MAX) ? EXIT_OK : EXIT_FAILED;
  target_free(target);
  return finish_output(status);
}

static const struct cmd_option options[] = {
    {.name = "rows",
     .letter = 'n',
     .argument = "N",
     .help = "show N functions that waste or map most; 0: all (default: 5)"},
    {.name = "mappings", .letter = 'm', .help = "show every mapping, and what it counts as"},
    CMD_OPTION_JSON,
    CMD_OPTIONS_END,
};

const struct command cmd_rss = {.name = "rss",
                                .operands = "PID|NAME",
                                .summary = "Tell where the resident memory of a running process is",
                                .options = options,
                                .run = run};
