/* SPDX-License-Identifier: MIT */
#include "core/descriptor.h"

#include "core/sys.h"

#include <errno.h>

/* The kernel's table of descriptors has 64 places, or a larger power of two. A number beyond its end is slow to get,
 * because the table has to grow. */
enum { TABLE_MIN = 64, OURS = 8, DISTANCE = 16 };

static int upwards_of(int fd)
{
  int table = TABLE_MIN;
  while (table < fd + DISTANCE + OURS && table < 1 << 30)
    table *= 2;
  return table - OURS;
}

/* Did another file take this descriptor's number? If it is ours now, it was ours all along. The descriptor is checked
 * last, which keeps the unchecked moment short. */
static bool is_taken(int fd, const char *path)
{
  struct stat named, open;
  bool is_there = sys_stat(path, &named) == 0;
  int result = sys_fstat(fd, &open);
  if (result != 0)
    return result == -EBADF;
  return is_there && (open.st_dev != named.st_dev || open.st_ino != named.st_ino);
}

int descriptor_open(const char *path, int flags, unsigned mode)
{
  int low = sys_open(path, flags | O_CLOEXEC, mode);
  if (low < 0)
    return low;
  int high = (int)sys_call(SYS_fcntl, low, F_DUPFD_CLOEXEC, upwards_of(low), 0, 0, 0);
  if (high < 0)
    return high == -EBADF ? -EBADF : low;
  if (is_taken(low, path)) {
    sys_close(high);
    return -EBADF;
  }
  sys_close(low);
  return high;
}

long descriptor_read_file(const char *path, int flags, void *buffer, size_t size_bytes)
{
  int fd = descriptor_open(path, flags | O_RDONLY, 0);
  if (fd < 0)
    return fd;
  long size = sys_pread(fd, buffer, size_bytes, 0);
  sys_close(fd);
  return size;
}
