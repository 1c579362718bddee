/* SPDX-License-Identifier: MIT */
#include "tools/state/region_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct region_bytes {
  char *name;
  int fd;
  struct stat status;
  bool was_cut;
};

static void fail(GError **error, const char *name, int number)
{
  g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(number), "%s: %s", name, g_strerror(number));
}

static bool is_acceptable(const struct region_bytes *bytes, uid_t owner, GError **error)
{
  const char *kind = S_ISDIR(bytes->status.st_mode) ? "a directory" : "no regular file";
  if (!S_ISREG(bytes->status.st_mode))
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s is %s", bytes->name, kind);
  else if (owner != (uid_t)-1 && bytes->status.st_uid != owner)
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_PERM, "%s belongs to user %u, not to %u: it is not read", bytes->name,
                (unsigned)bytes->status.st_uid, (unsigned)owner);
  else
    return true;
  return false;
}

/* The kernel's links to files that a process maps are the only way to one that has no name any more. */
static bool is_kernel_link(const char *path)
{
  return g_str_has_prefix(path, "/proc/") && strstr(path, "/map_files/") != NULL;
}

struct region_bytes *region_bytes_open(const char *path, uid_t owner, GError **error)
{
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (is_kernel_link(path) ? 0 : O_NOFOLLOW));
  if (fd < 0 && errno == ELOOP) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_LOOP, "%s is a symbolic link: it is not followed", path);
    return NULL;
  }
  if (fd < 0) {
    fail(error, path, errno);
    return NULL;
  }
  struct region_bytes *bytes = g_new0(struct region_bytes, 1);
  bytes->fd = fd;
  bytes->name = g_strdup(path);
  if (fstat(fd, &bytes->status) != 0)
    fail(error, path, errno);
  else if (is_acceptable(bytes, owner, error))
    return bytes;
  region_bytes_close(bytes);
  return NULL;
}

static bool write_all(int fd, const uint8_t *memory, size_t size)
{
  while (size > 0) {
    ssize_t written = write(fd, memory, size);
    if (written <= 0)
      return false;
    memory += written;
    size -= (size_t)written;
  }
  return true;
}

struct region_bytes *region_bytes_of_memory(const void *memory, size_t size, const char *name, GError **error)
{
  struct region_bytes *bytes = g_new0(struct region_bytes, 1);
  bytes->name = g_strdup(name);
  bytes->fd = memfd_create("heapprof-region", MFD_CLOEXEC);
  if (bytes->fd >= 0 && write_all(bytes->fd, memory, size) && fstat(bytes->fd, &bytes->status) == 0)
    return bytes;
  fail(error, name, errno);
  region_bytes_close(bytes);
  return NULL;
}

void region_bytes_close(struct region_bytes *bytes)
{
  if (bytes == NULL)
    return;
  if (bytes->fd >= 0)
    (void)close(bytes->fd);
  g_free(bytes->name);
  g_free(bytes);
}

const struct stat *region_bytes_status(const struct region_bytes *bytes)
{
  return &bytes->status;
}

const char *region_bytes_name(const struct region_bytes *bytes)
{
  return bytes->name;
}

bool region_bytes_begin(struct region_bytes *bytes, uint64_t limit, uint64_t *size, GError **error)
{
  struct stat now;
  bytes->was_cut = false;
  if (fstat(bytes->fd, &now) != 0) {
    fail(error, bytes->name, errno);
    return false;
  }
  *size = (uint64_t)now.st_size;
  if (*size > 0 && *size <= limit)
    return true;
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s %s", bytes->name,
              *size == 0 ? "is empty" : "is larger than any of its kind");
  return false;
}

void region_bytes_read(struct region_bytes *bytes, uint64_t at, void *to, size_t size)
{
  uint8_t *next = to;
  while (size > 0) {
    ssize_t got = pread(bytes->fd, next, size, (off_t)at);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      break;
    next += got;
    at += (uint64_t)got;
    size -= (size_t)got;
  }
  if (size > 0)
    memset(next, 0, size);
  bytes->was_cut |= size > 0;
}

uint64_t region_bytes_skip_hole(const struct region_bytes *bytes, uint64_t at)
{
  off_t data = lseek(bytes->fd, (off_t)at, SEEK_DATA);
  if (data >= 0)
    return (uint64_t)data;
  return errno == ENXIO ? UINT64_MAX : at;
}

bool region_bytes_end(struct region_bytes *bytes, GError **error)
{
  if (bytes->was_cut)
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "%s was cut while it was read", bytes->name);
  return !bytes->was_cut;
}
