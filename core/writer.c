/* SPDX-License-Identifier: MIT */
#include "core/writer.h"

#include "core/descriptor.h"
#include "core/sys.h"
#include "core/text.h"
#include "core/ticks.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

static _Atomic unsigned files_opened;

int writer_open(struct writer *writer, const char *final_path)
{
  struct text path = TEXT_INIT(writer->path);
  /* Beside the final name, but not made from it: that may be as long as names can be. */
  text_put_bytes(&path, final_path, (size_t)(text_basename(final_path) - final_path));
  text_put(&path, ".heapprof.");
  text_put_u64(&path, (uint64_t)sys_getpid());
  text_put(&path, "-");
  text_put_u64(&path, atomic_fetch_add(&files_opened, 1));
  text_put(&path, "-"); /* a process of our pid may have been killed here */
  text_put_hex(&path, ticks_now() & 0xffffffff);
  text_put(&path, ".tmp");
  writer->fd = -1;
  if (path.cut)
    return -ENAMETOOLONG;
  struct rlimit limit;
  writer->limit = sys_get_limit(RLIMIT_FSIZE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
  writer->written = 0;
  writer->fd = descriptor_open(writer->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (writer->fd == -EBADF)
    sys_unlink(writer->path);
  return writer->fd < 0 ? writer->fd : 0;
}

int writer_put(struct writer *writer, const void *bytes, size_t size)
{
  enum { INTERRUPTIONS_MAX = 1000 }; /* a file system that is interrupted for ever must not hang the program */
  int interruptions = 0;
  if (size > writer->limit - writer->written)
    return -EFBIG;
  for (const char *rest = bytes; size > 0;) {
    long put = sys_write(writer->fd, rest, size);
    if (put == -EINTR && ++interruptions < INTERRUPTIONS_MAX)
      continue;
    if (put <= 0)
      return put < 0 ? (int)put : -EIO;
    rest += put;
    size -= (size_t)put;
    writer->written += (uint64_t)put;
  }
  return 0;
}

int writer_commit(struct writer *writer, const char *final_path)
{
  int result = sys_rename_noreplace(writer->path, final_path);
  if (result == -EINVAL ||
      result == -ENOSYS) { /* a file system that cannot rename like that: a second name, then drop the first */
    result = sys_link(writer->path, final_path);
    if (result == 0)
      sys_unlink(writer->path);
  }
  if (result == 0) {
    sys_close(writer->fd);
    writer->fd = -1;
  }
  return result;
}

void writer_discard(struct writer *writer)
{
  if (writer->fd < 0)
    return;
  sys_close(writer->fd);
  sys_unlink(writer->path);
  writer->fd = -1;
}
