/* SPDX-License-Identifier: MIT */
#include "tools/symbols/symbol_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Raised whenever names are made differently: what is kept is what people see. */
#define FILE_MAGIC "heapprof symbols"
enum { FILE_VERSION = 3 };
enum { FILE_BYTES_MAX = 64 << 20, BUILD_ID_DIGITS_MIN = 8, BUILD_ID_DIGITS_MAX = 128, LEFTOVER_SECONDS = 3600 };

struct file_header {
  char magic[16];
  uint32_t version, checksum; /* of the rest: the bytes of symbol_set_pack */
};

/* --- the directory --- */

static bool is_ours(int fd, mode_t type)
{
  struct stat status;
  return fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == type && status.st_uid == geteuid() &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Below `parent`, made if it is missing; -1: not usable. */
static int open_directory(int parent, const char *name, int flags)
{
  (void)mkdirat(parent, name, 0700);
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
  if (fd < 0 || is_ours(fd, S_IFDIR))
    return fd;
  close(fd);
  return -1;
}

static int open_cache(void)
{
  const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  g_autofree char *in_home = NULL;
  if (base == NULL || base[0] != '/') {
    if (home == NULL || home[0] != '/')
      return -1;
    base = in_home = g_build_filename(home, ".cache", NULL);
  }
  int outer = open_directory(AT_FDCWD, base, 0);
  if (outer < 0)
    return -1;
  int inner = open_directory(outer, "heapprof", O_NOFOLLOW);
  close(outer);
  return inner;
}

/* It names the file, and comes from a profile. */
static bool is_build_id(const char *text)
{
  size_t length = strlen(text);
  return length >= BUILD_ID_DIGITS_MIN && length <= BUILD_ID_DIGITS_MAX && strspn(text, "0123456789abcdef") == length;
}

/* --- reading --- */

static uint32_t checksum_of(const void *bytes, size_t size)
{
  return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, size);
}

static bool read_exactly(int fd, void *bytes, size_t size)
{
  char *rest = bytes;
  while (size > 0) {
    ssize_t got = read(fd, rest, size);
    if (got == 0 || (got < 0 && errno != EINTR))
      return false;
    if (got > 0) {
      rest += got;
      size -= (size_t)got;
    }
  }
  return true;
}

static struct symbol_set *read_set(int fd)
{
  struct stat status;
  struct file_header header;
  if (!is_ours(fd, S_IFREG) || fstat(fd, &status) != 0 || status.st_size <= (off_t)sizeof header ||
      status.st_size > FILE_BYTES_MAX || !read_exactly(fd, &header, sizeof header) ||
      memcmp(header.magic, FILE_MAGIC, sizeof header.magic) != 0 || header.version != FILE_VERSION)
    return NULL;
  size_t size = (size_t)status.st_size - sizeof header;
  g_autofree void *bytes = g_malloc(size);
  if (!read_exactly(fd, bytes, size) || checksum_of(bytes, size) != header.checksum)
    return NULL;
  g_autoptr(GBytes) packed = g_bytes_new_take(g_steal_pointer(&bytes), size);
  return symbol_set_unpack(packed);
}

struct symbol_set *symbol_cache_load(const char *build_id)
{
  int directory = is_build_id(build_id) ? open_cache() : -1;
  if (directory < 0)
    return NULL;
  int fd = openat(directory, build_id, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  close(directory);
  if (fd < 0)
    return NULL;
  struct symbol_set *set = read_set(fd);
  if (set != NULL)
    (void)futimens(fd, NULL); /* it was used now */
  close(fd);
  return set;
}

/* --- making room --- */

struct kept_file {
  char name[NAME_MAX + 1];
  uint64_t bytes;
  int64_t used_seconds;
};

static int compare_by_use(const void *a, const void *b)
{
  const struct kept_file *one = a, *other = b;
  return (one->used_seconds > other->used_seconds) - (one->used_seconds < other->used_seconds);
}

/* Files that are not ours to remove are left out; what a killed process left behind is removed. */
static GArray *list_files(int directory)
{
  GArray *files = g_array_new(FALSE, FALSE, sizeof(struct kept_file));
  int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
  const struct dirent *entry;
  while (entries != NULL && (entry = readdir(entries)) != NULL) {
    struct stat status;
    if (fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
      continue;
    struct kept_file file = {.bytes = (uint64_t)status.st_size, .used_seconds = status.st_mtime};
    g_strlcpy(file.name, entry->d_name, sizeof file.name);
    bool is_leftover = strchr(file.name, '.') != NULL && time(NULL) - status.st_mtime > LEFTOVER_SECONDS;
    if (is_leftover)
      (void)unlinkat(directory, file.name, 0);
    else if (is_build_id(file.name))
      g_array_append_val(files, file);
  }
  if (entries != NULL)
    closedir(entries);
  return files;
}

static void make_room(int directory)
{
  g_autoptr(GArray) files = list_files(directory);
  g_array_sort(files, compare_by_use);
  uint64_t total = 0;
  for (guint i = 0; i < files->len; i++)
    total += g_array_index(files, struct kept_file, i).bytes;
  for (guint i = 0; i < files->len && total > SYMBOL_CACHE_BYTES_MAX; i++) {
    const struct kept_file *file = &g_array_index(files, struct kept_file, i);
    if (unlinkat(directory, file->name, 0) == 0)
      total -= file->bytes;
  }
}

/* --- writing --- */

static bool write_exactly(int fd, const void *bytes, size_t size)
{
  const char *rest = bytes;
  while (size > 0) {
    ssize_t written = write(fd, rest, size);
    if (written < 0 && errno != EINTR)
      return false;
    if (written > 0) {
      rest += written;
      size -= (size_t)written;
    }
  }
  return true;
}

static void write_file(int directory, const char *name, const void *bytes, size_t size)
{
  struct file_header header = {.version = FILE_VERSION, .checksum = checksum_of(bytes, size)};
  memcpy(header.magic, FILE_MAGIC, sizeof header.magic);
  g_autofree char *temporary = g_strdup_printf("%s.%d", name, (int)getpid());
  int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return;
  bool is_written = write_exactly(fd, &header, sizeof header) && write_exactly(fd, bytes, size);
  if (close(fd) != 0 || !is_written || renameat(directory, temporary, directory, name) != 0)
    (void)unlinkat(directory, temporary, 0);
}

void symbol_cache_store(const char *build_id, const struct symbol_set *set)
{
  int directory = is_build_id(build_id) ? open_cache() : -1;
  if (directory < 0)
    return;
  g_autoptr(GBytes) packed = symbol_set_pack(set);
  size_t size;
  const void *bytes = g_bytes_get_data(packed, &size);
  if (size > 0 && size <= FILE_BYTES_MAX - sizeof(struct file_header)) {
    write_file(directory, build_id, bytes, size);
    make_room(directory);
  }
  close(directory);
}
