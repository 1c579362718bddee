/* SPDX-License-Identifier: MIT */
/* heapprof-serve: what `heapprof serve` becomes. It is a command line of one command. */
#include "tools/cmd/serve_program.h"

#include <glib.h>

extern const struct command cmd_serve;

const struct command *const commands[] = {&cmd_serve, NULL};

int serve_program(const struct cmd_line *line, const struct serve_options *options)
{
  (void)line;
  return serve_run(options);
}

/* As if it was "heapprof serve ...". */
int main(int argc, char **argv)
{
  g_autofree char **words = g_new0(char *, (gsize)argc + 2);
  words[0] = (char[]){"heapprof"};
  words[1] = (char[]){"serve"};
  for (int i = 1; i < argc; i++)
    words[i + 1] = argv[i];
  return cmd_main(argc + 1, words);
}
