/* SPDX-License-Identifier: MIT */
/* Of heapprof: it becomes heapprof-serve, which lies beside it. */
#include "tools/cmd/serve_program.h"

#include "tools/terminal/say.h"

#include <errno.h>
#include <glib.h>
#include <unistd.h>

int serve_program(const struct cmd_line *line, const struct serve_options *options)
{
  (void)options;
#ifdef HEAPPROF_SERVE
  g_autoptr(GError) error = NULL;
  g_autofree char *self = g_file_read_link("/proc/self/exe", &error),
                  *folder = g_path_get_dirname(self != NULL ? self : ".");
  g_autofree char *program = g_build_filename(folder, "heapprof-serve", NULL);
  execv(program, line->words);
  say_errno(errno, "cannot run %s", program);
#else
  (void)line;
  say("this heapprof was built --without-serve");
#endif
  return EXIT_FAILED;
}
