/* SPDX-License-Identifier: MIT */
/* In place of all of this folder but candidate.c, on machines that attaching is not written for. */
#include "tools/attach/attach.h"

bool attach_process(const struct attach_wish *wish, struct attach_result *result, GError **error)
{
  (void)result;
  g_set_error(
      error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
      "can't attach to or detach from %d: that is written for x86-64 alone; nothing was changed. Start the program "
      "with the library: heapprof run",
      wish->pid);
  return false;
}
