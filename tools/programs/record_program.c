/* SPDX-License-Identifier: MIT */
/* Of heapprof: it becomes heapprof-record, which is told the command. */
#include "tools/cmd/record_program.h"

#include "tools/programs/become.h"
#include "tools/terminal/say.h"

#include <glib.h>

static int become_recorder(const struct cmd_line *line)
{
#ifdef HEAPPROF_RECORD
  g_autoptr(GPtrArray) words = g_ptr_array_new();
  g_ptr_array_add(words, (gpointer)(uintptr_t) "heapprof-record");
  for (char *const *word = line->words; *word != NULL; word++)
    g_ptr_array_add(words, *word);
  g_ptr_array_add(words, NULL);
  return become("heapprof-record", (char *const *)words->pdata);
#else
  (void)line;
  say("this heapprof was built --without-record");
  return EXIT_FAILED;
#endif
}

int record_program(const struct cmd_line *line, const struct record_options *options)
{
  (void)options;
  return become_recorder(line);
}

int recording_program(const struct cmd_line *line, const struct recording_options *options)
{
  (void)options;
  return become_recorder(line);
}
