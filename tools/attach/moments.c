/* SPDX-License-Identifier: MIT */
#include "tools/attach/moments.h"

#include <glib.h>
#include <signal.h>
#include <stdlib.h>

void moment_passes(void)
{
  static int passed;
  const char *last = g_getenv("HEAPPROF_ATTACH_DIE_AT");
  if (last != NULL && ++passed == atoi(last))
    (void)raise(SIGKILL);
}
