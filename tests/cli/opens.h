/* SPDX-License-Identifier: MIT */
/* For what is preloaded into the command: each way by which it opens a file goes to open_instead(path, flags, mode), which the
 * includer defines. */
#ifndef HEAPPROF_OPENS_H
#define HEAPPROF_OPENS_H

#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_instead(const char *path, int flags, int mode);

static int open_really(const char *path, int flags, int mode)
{
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name)                                                                                                     \
  int name(const char *path, int flags, ...)                                                                           \
  {                                                                                                                    \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    int mode = va_arg(rest, int);                                                                                      \
    va_end(rest);                                                                                                      \
    return open_instead(path, flags, mode);                                                                            \
  }

OPEN(open)
OPEN(open64)

#endif
