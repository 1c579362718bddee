/* SPDX-License-Identifier: MIT */
#include "core/writer.h"

#include "core/descriptor.h"
#include "core/process.h"
#include "core/sys.h"
#include "core/text.h"
#include "core/ticks.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

static _Atomic unsigned files_opened;

/* The names of temporary files that are there, for whoever ends the process while others write. */
enum { UNFINISHED_MAX = 8 };
static struct {
  _Atomic uint64_t taken_in; /* the epoch (process.h); one of another epoch is free, and the file not ours */
  _Atomic uint64_t there_in; /* 0: there is none */
  char path[WRITER_PATH_MAX];
} unfinished[UNFINISHED_MAX] LARGE;
static _Atomic uint64_t closed_in; /* the epoch of a process that ends */

static bool is_closed(void)
{
  return atomic_load(&closed_in) == process_epoch();
}

/* Whoever ends the process may still read what the last one wrote there. */
static int note_unfinished(const char *path)
{
  uint64_t now = process_epoch();
  for (int place = 0; place < UNFINISHED_MAX; place++) {
    uint64_t before = atomic_load_explicit(&unfinished[place].taken_in, memory_order_relaxed);
    if (before == now || !atomic_compare_exchange_strong_explicit(
                             &unfinished[place].taken_in, &before, now,
                             memory_order_acquire /* pairs with forget_unfinished */, memory_order_relaxed))
      continue;
    if (is_closed())
      return place;
    strcpy(unfinished[place].path, path);
    atomic_store(&unfinished[place].there_in, now);
    return place;
  }
  return UNFINISHED_MAX;
}

static void forget_unfinished(int place)
{
  if (place >= UNFINISHED_MAX)
    return;
  atomic_store(&unfinished[place].there_in, 0);
  atomic_store_explicit(&unfinished[place].taken_in, 0, memory_order_release);
}

void writer_remove_unfinished(void)
{
  atomic_store(&closed_in, process_epoch());
  for (int place = 0; place < UNFINISHED_MAX; place++)
    if (atomic_load(&unfinished[place].there_in) == process_epoch())
      sys_unlink(unfinished[place].path);
}

/* Where names lead to what a process has open, or to devices. Files are made in /dev/shm alone. */
static bool is_of_system(const char *path)
{
  static const char devices[] = "/dev/", memory[] = "/dev/shm/", processes[] = "/proc/";
  return (strncmp(path, devices, sizeof devices - 1) == 0 && strncmp(path, memory, sizeof memory - 1) != 0) ||
         strncmp(path, processes, sizeof processes - 1) == 0;
}

enum writer_place writer_look(const char *path)
{
  enum { NULL_DEVICE = 1 << 8 | 3 };
  struct stat named, meant;
  if (sys_lstat(path, &named) != 0)
    return WRITER_FILE;
  if (S_ISCHR(named.st_mode) && named.st_rdev == NULL_DEVICE)
    return WRITER_NOWHERE;
  if (S_ISLNK(named.st_mode) && is_of_system(path))
    return WRITER_NO_FILE;
  if (!S_ISLNK(named.st_mode) || sys_stat(path, &meant) != 0)
    meant = named;
  return S_ISREG(meant.st_mode) || S_ISDIR(meant.st_mode) || S_ISLNK(meant.st_mode) ? WRITER_FILE : WRITER_NO_FILE;
}

int writer_open(struct writer *writer, const char *final_path)
{
  struct text path = TEXT_INIT(writer->path);
  /* In the directory of the final name, but not derived from it: that may be as long as names can be. */
  text_put_bytes(&path, final_path, (size_t)(text_basename(final_path) - final_path));
  text_put(&path, ".heapprof.");
  text_put_u64(&path, (uint64_t)sys_getpid());
  text_put(&path, "-");
  text_put_u64(&path, atomic_fetch_add_explicit(&files_opened, 1, memory_order_relaxed));
  text_put(&path, "-"); /* a process with our pid may have been killed here */
  text_put_hex(&path, ticks_or_ns() & 0xffffffff);
  text_put(&path, ".tmp");
  writer->fd = -1;
  if (path.cut)
    return -ENAMETOOLONG;
  struct rlimit limit;
  writer->limit = sys_get_limit(RLIMIT_FSIZE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
  writer->written = 0;
  writer->place = note_unfinished(writer->path); /* before it is there: who looks in between removes nothing */
  writer->fd = is_closed() ? -ECANCELED : descriptor_open(writer->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (writer->fd == -EBADF)
    sys_unlink(writer->path);
  if (writer->fd < 0)
    forget_unfinished(writer->place);
  return writer->fd < 0 ? writer->fd : 0;
}

int writer_put(struct writer *writer, const void *bytes, size_t size)
{
  enum { INTERRUPTIONS_MAX = 1000 }; /* a file system whose calls are interrupted for ever must not hang the program */
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

static void close_file(struct writer *writer)
{
  sys_close(writer->fd);
  writer->fd = -1;
  forget_unfinished(writer->place);
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
  if (result == 0)
    close_file(writer);
  return result;
}

void writer_discard(struct writer *writer)
{
  if (writer->fd < 0)
    return;
  sys_unlink(writer->path);
  close_file(writer);
}
