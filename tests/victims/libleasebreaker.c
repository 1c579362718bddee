/* SPDX-License-Identifier: MIT */
/* Preloaded into the heapprof command: as soon as that has a lease on a file, the file is opened to write, as anybody may whose
 * file it is. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static int breaks(int fd)
{
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int writer = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (writer >= 0)
    close(writer);
  return writer < 0 && errno == EWOULDBLOCK;
}

__attribute__((visibility("default"))) int fcntl(int fd, int command, ...)
{
  int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, "fcntl");
  va_list arguments;
  va_start(arguments, command);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  int result = real(fd, command, argument);
  if (command == F_SETLEASE && result == 0 && (long)argument == F_RDLCK && breaks(fd))
    fputs("a lease was broken\n", stderr);
  return result;
}
