/* SPDX-License-Identifier: MIT */
#include "tools/state/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct mapped_file {
  char *name;
  int fd; /* -1: bytes that somebody gave us */
  struct stat status;
  uint8_t *bytes; /* NULL: not mapped */
  size_t size;
};

/* What the signal handler works on. */
static struct {
  uintptr_t start, limit; /* whole pages */
  volatile sig_atomic_t was_cut;
  struct sigaction before;
} guarded;

static size_t page_bytes(void)
{
  return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t whole_pages(size_t size)
{
  return (size + page_bytes() - 1) & ~(page_bytes() - 1);
}

/* Puts zeros in place of what the file has lost; the load that was interrupted is then repeated. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
  (void)context;
  int saved = errno;
  uintptr_t page = (uintptr_t)info->si_addr & ~(page_bytes() - 1);
  bool is_ours = page >= guarded.start && page < guarded.limit;
  guarded.was_cut = 1;
  if (!is_ours ||
      mmap((void *)page, guarded.limit - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
    (void)sigaction(number, &guarded.before, NULL); /* not for us: it comes again, and does what it always did */
  errno = saved;
}

static void fail(GError **error, const char *name, int number)
{
  g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(number), "%s: %s", name, g_strerror(number));
}

static bool is_acceptable(const struct mapped_file *file, uid_t owner, GError **error)
{
  const char *kind = S_ISDIR(file->status.st_mode) ? "a directory" : "no regular file";
  if (!S_ISREG(file->status.st_mode))
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s is %s", file->name, kind);
  else if (owner != (uid_t)-1 && file->status.st_uid != owner)
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_PERM, "%s belongs to user %u, not to %u: it is not read", file->name,
                (unsigned)file->status.st_uid, (unsigned)owner);
  else
    return true;
  return false;
}

/* The kernel's links to files that a process maps are the only way to one that has no name any more. */
static bool is_kernel_link(const char *path)
{
  return g_str_has_prefix(path, "/proc/") && strstr(path, "/map_files/") != NULL;
}

struct mapped_file *mapped_file_open(const char *path, uid_t owner, GError **error)
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
  struct mapped_file *file = g_new0(struct mapped_file, 1);
  file->fd = fd;
  file->name = g_strdup(path);
  if (fstat(fd, &file->status) != 0)
    fail(error, path, errno);
  else if (is_acceptable(file, owner, error))
    return file;
  mapped_file_close(file);
  return NULL;
}

struct mapped_file *mapped_file_of_bytes(const void *bytes, size_t size, const char *name)
{
  struct mapped_file *file = g_new0(struct mapped_file, 1);
  file->fd = -1;
  file->name = g_strdup(name);
  file->status.st_size = (off_t)size;
  file->status.st_uid = geteuid();
  file->size = size;
  file->bytes = g_memdup2(bytes, size);
  return file;
}

static void unmap(struct mapped_file *file)
{
  if (file->bytes != NULL)
    (void)munmap(file->bytes, whole_pages(file->size));
  file->bytes = NULL;
}

void mapped_file_close(struct mapped_file *file)
{
  if (file == NULL)
    return;
  if (file->fd < 0)
    g_free(file->bytes);
  else {
    unmap(file);
    (void)close(file->fd);
  }
  g_free(file->name);
  g_free(file);
}

const struct stat *mapped_file_status(const struct mapped_file *file)
{
  return &file->status;
}

const char *mapped_file_name(const struct mapped_file *file)
{
  return file->name;
}

/* Maps as much as there is now. */
static bool map(struct mapped_file *file, GError **error)
{
  struct stat now;
  if (fstat(file->fd, &now) != 0) {
    fail(error, file->name, errno);
    return false;
  }
  if (file->bytes != NULL && (size_t)now.st_size == file->size)
    return true;
  unmap(file);
  file->size = (size_t)now.st_size;
  if (file->size == 0)
    return true;
  void *bytes = mmap(NULL, file->size, PROT_READ, MAP_SHARED, file->fd, 0);
  if (bytes == MAP_FAILED) {
    fail(error, file->name, errno);
    return false;
  }
  file->bytes = bytes;
  return true;
}

const uint8_t *mapped_file_begin(struct mapped_file *file, size_t limit, size_t *size, GError **error)
{
  if (file->fd >= 0 && !map(file, error))
    return NULL;
  if (file->size == 0 || file->size > limit) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s %s", file->name,
                file->size == 0 ? "is empty" : "is larger than any of its kind");
    return NULL;
  }
  *size = file->size;
  guarded.was_cut = 0;
  guarded.start = (uintptr_t)file->bytes;
  guarded.limit = guarded.start + whole_pages(file->size);
  if (file->fd >= 0) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigaction(SIGBUS, &action, &guarded.before);
  }
  return file->bytes;
}

bool mapped_file_end(struct mapped_file *file, GError **error)
{
  if (file->fd >= 0)
    (void)sigaction(SIGBUS, &guarded.before, NULL);
  guarded.start = guarded.limit = 0;
  if (!guarded.was_cut)
    return true;
  unmap(file); /* zeros are in it */
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "%s was cut while it was read", file->name);
  return false;
}
