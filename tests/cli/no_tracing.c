/* SPDX-License-Identifier: MIT */
/* Preloaded into the command: a kernel that lets it trace nobody, because of Yama, whose setting is in the file that
 * YAMA_SCOPE names. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "opens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

long ptrace(int request, ...);

long ptrace(int request, ...)
{
  (void)request;
  errno = EPERM;
  return -1;
}

static int open_instead(const char *path, int flags, int mode)
{
  const char *scope = getenv("YAMA_SCOPE");
  if (scope != NULL && strcmp(path, "/proc/sys/kernel/yama/ptrace_scope") == 0)
    path = scope;
  return open_really(path, flags, mode);
}
