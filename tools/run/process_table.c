/* SPDX-License-Identifier: MIT */
#include "tools/run/process_table.h"

#include "tools/run/output_name.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/shown.h"
#include "tools/terminal/table.h"

#include <string.h>
#include <sys/wait.h>

enum { ROWS_MAX = 20, COMMAND_WIDTH_MAX = 100, WIDTH_FOR_FILES = 110 };

static int compare_peaks(gconstpointer a, gconstpointer b)
{
  const struct collected_profile *one = *(const struct collected_profile *const *)a,
                                 *other = *(const struct collected_profile *const *)b;
  if (one->most_bytes != other->most_bytes)
    return one->most_bytes > other->most_bytes ? -1 : 1;
  return one->pid - other->pid;
}

/* "-": it was killed, or executed another program. */
static char *end_of(const struct collected_profile *profile, bool is_program, int wait_status)
{
  if (is_program && WIFSIGNALED(wait_status))
    return g_strdup_printf("SIG%s", sigabbrev_np(WTERMSIG(wait_status)));
  if (is_program)
    return g_strdup_printf("%d", WEXITSTATUS(wait_status));
  return profile->has_status ? g_strdup_printf("%d", profile->exit_status) : g_strdup("-");
}

/* The folders of a program tell little, and its arguments are of use. */
static char *command_of(const struct collected_profile *profile)
{
  const char *command = profile->command[0] != '\0' ? profile->command : profile->program;
  const char *end = strchrnul(command, ' '), *name = memrchr(command, '/', (size_t)(end - command));
  g_autofree char *shown = shown_text(name != NULL ? name + 1 : command);
  return shown_cut_middle(shown, COMMAND_WIDTH_MAX);
}

static void put_row(struct table *table, const struct collected_profile *profile, bool is_program, int wait_status,
                    bool has_files)
{
  g_autofree char *end = end_of(profile, is_program, wait_status), *command = command_of(profile),
                  *pid = g_strdup_printf("%d", profile->pid), *file = output_shown(profile->path);
  table_begin_row(table, COLOUR_NONE);
  table_put(table, quantity(profile->most_bytes, "bytes").text);
  table_put(table, quantity(profile->in_use_bytes, "bytes").text);
  table_put(table,
            profile->resident_most_bytes > 0 ? quantity((double)profile->resident_most_bytes, "bytes").text : "-");
  table_put(table, end);
  table_put(table, pid);
  table_put(table, has_files ? file : "");
  table_put(table, command);
}

void process_table_put(FILE *text, const struct collection *collection, int wait_status, FILE *stream)
{
  static const struct {
    const char *title;
    enum table_align align;
  } columns[] = {{"peak", TABLE_RIGHT}, {"in use", TABLE_RIGHT}, {"resident", TABLE_RIGHT}, {"exit", TABLE_RIGHT},
                 {"pid", TABLE_RIGHT},  {"file", TABLE_LEFT},    {"command", TABLE_LEFT}};
  int width = terminal_width(stream);
  bool has_files = width == 0 || width >= WIDTH_FOR_FILES;
  g_autoptr(GPtrArray) sorted = g_ptr_array_new();
  for (guint i = 0; i < collection->profiles->len; i++)
    g_ptr_array_add(sorted, g_ptr_array_index(collection->profiles, i));
  g_ptr_array_sort(sorted, compare_peaks);
  struct table *table = table_new();
  for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
    table_add_column(table, i == 5 && !has_files ? "" : columns[i].title, columns[i].align);
  for (guint i = 0; i < sorted->len && i < ROWS_MAX; i++) {
    const struct collected_profile *profile = g_ptr_array_index(sorted, i);
    put_row(table, profile, profile->pid == collection->program, wait_status, has_files);
  }
  g_autoptr(GString) lines = g_string_new(NULL);
  table_append(table, width, stream, lines);
  table_free(table);
  fputs(lines->str, text);
  if (sorted->len > ROWS_MAX)
    fprintf(text, "and %u processes with smaller peaks\n", sorted->len - ROWS_MAX);
}
