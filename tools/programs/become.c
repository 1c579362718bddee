/* SPDX-License-Identifier: MIT */
#include "tools/programs/become.h"

#include "tools/terminal/exit_status.h"
#include "tools/terminal/say.h"

#include <errno.h>
#include <glib.h>
#include <unistd.h>

int become(const char *name, char *const *arguments)
{
  g_autofree char *self = g_file_read_link("/proc/self/exe", NULL),
                  *folder = g_path_get_dirname(self != NULL ? self : ".");
  g_autofree char *program = g_build_filename(folder, name, NULL);
  execv(program, arguments);
  say_errno(errno, "cannot run %s", program);
  return EXIT_FAILED;
}
