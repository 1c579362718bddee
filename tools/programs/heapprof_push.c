/* SPDX-License-Identifier: MIT */
/* heapprof-push: what `heapprof push` becomes. It is a command line of one command. */
#include "tools/cmd/push_program.h"

#include <glib.h>

extern const struct command cmd_push;

const struct command *const commands[] = {&cmd_push, NULL};

int push_program(const struct cmd_line *line, const struct push_options *options)
{
  (void)line;
  return push_run(options);
}

/* As if it was "heapprof push ...". */
int main(int argc, char **argv)
{
  g_autofree char **words = g_new0(char *, (gsize)argc + 2);
  words[0] = (char[]){"heapprof"};
  words[1] = (char[]){"push"};
  for (int i = 1; i < argc; i++)
    words[i + 1] = argv[i];
  return cmd_main(argc + 1, words);
}
