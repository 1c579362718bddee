/* SPDX-License-Identifier: MIT */
#include "tools/push/queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 50, LOCK_WAIT_US = 100000, FILE_BYTES_MAX = 1 << 30 };

static const char unfinished[] = "new", lock_name[] = "lock";
static const char *const parts[] = {[QUEUE_PROFILES] = "profiles", [QUEUE_MARKS] = "marks"};

static bool fail(GError **error, int number, const char *format, ...) G_GNUC_PRINTF(3, 4);

static bool fail(GError **error, int number, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *what = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(number), "%s: %s", what, g_strerror(number));
  return false;
}

/* Opening. */

/* One that was killed may still be ending. */
static bool take_lock(int lock, int tries)
{
  for (;;) {
    if (flock(lock, LOCK_EX | LOCK_NB) == 0)
      return true;
    if (--tries <= 0)
      return false;
    g_usleep(LOCK_WAIT_US);
  }
}

static void close_folder(const struct queue *queue)
{
  if (queue->lock >= 0)
    (void)close(queue->lock);
  if (queue->folder >= 0)
    (void)close(queue->folder);
}

/* At its path; not locked. */
static bool find_folder(struct queue *queue)
{
  queue->folder = open(queue->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  queue->lock =
      queue->folder < 0 ? -1 : openat(queue->folder, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  return queue->lock >= 0;
}

static bool open_folder(struct queue *queue, int tries, GError **error)
{
  if (g_mkdir_with_parents(queue->path, 0700) != 0)
    return fail(error, errno, "the queue %s cannot be made", queue->path);
  if (!find_folder(queue))
    return fail(error, errno, "the queue %s cannot be opened", queue->path);
  if (take_lock(queue->lock, tries))
    return true;
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN, "another heapprof push uses the queue %s; --queue names another",
              queue->path);
  return false;
}

bool queue_open(struct queue *queue, const char *path, uint64_t bytes_max, GError **error)
{
  *queue = (struct queue){.path = g_strdup(path), .folder = -1, .lock = -1, .bytes_max = bytes_max};
  if (open_folder(queue, LOCK_TRIES, error))
    return true;
  queue_close(queue);
  return false;
}

void queue_close(struct queue *queue)
{
  close_folder(queue);
  g_free(queue->path);
}

static bool is_same(int fd, int folder, const char *path)
{
  struct stat ours, there;
  if (fstat(fd, &ours) != 0 || fstatat(folder, path, &there, 0) != 0)
    return errno != ENOENT && errno != ENOTDIR; /* who cannot tell changes nothing */
  return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

bool queue_is_there(const struct queue *queue)
{
  return is_same(queue->folder, AT_FDCWD, queue->path) && is_same(queue->lock, queue->folder, lock_name);
}

bool queue_open_again(struct queue *queue, GError **error)
{
  struct queue again = *queue;
  again.folder = again.lock = -1;
  bool is_open = open_folder(&again, 1, error);
  close_folder(is_open ? queue : &again);
  if (is_open)
    *queue = again;
  return is_open;
}

/* A lock that can be had is not our parent's. */
bool queue_follow(struct queue *queue)
{
  struct queue there = *queue;
  bool is_locked = find_folder(&there) && flock(there.lock, LOCK_SH | LOCK_NB) != 0;
  close_folder(is_locked ? queue : &there);
  if (is_locked)
    *queue = there;
  return is_locked;
}

/* Names. */

char *queue_name(int64_t time_unix_ns)
{
  return g_strdup_printf("%020" PRId64, time_unix_ns);
}

bool queue_read_name(const char *name, int64_t *time_unix_ns)
{
  if (sscanf(name, "%20" SCNd64, time_unix_ns) != 1)
    return false;
  g_autofree char *again = queue_name(*time_unix_ns);
  return strcmp(again, name) == 0;
}

static char *path_in(const char *name, enum queue_part part)
{
  return g_strconcat(name, "/", parts[part], NULL);
}

static bool has_part(const struct queue *queue, const char *name, enum queue_part part, struct stat *status)
{
  g_autofree char *path = path_in(name, part);
  return fstatat(queue->folder, path, status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status->st_mode);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Of all entries. */
static GPtrArray *all_names(const struct queue *queue)
{
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  int copy = openat(queue->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
  for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
    int64_t time_ns;
    if (queue_read_name(entry->d_name, &time_ns))
      g_ptr_array_add(names, g_strdup(entry->d_name));
  }
  if (folder != NULL)
    (void)closedir(folder);
  g_ptr_array_sort(names, compare_names);
  return names;
}

GPtrArray *queue_names(const struct queue *queue, enum queue_part part)
{
  struct stat status;
  GPtrArray *names = all_names(queue);
  for (guint i = names->len; i-- > 0;)
    if (!has_part(queue, g_ptr_array_index(names, i), part, &status))
      g_ptr_array_remove_index(names, i);
  return names;
}

uint64_t queue_bytes(const struct queue *queue)
{
  uint64_t bytes = 0;
  g_autoptr(GPtrArray) names = all_names(queue);
  for (guint i = 0; i < names->len; i++) {
    struct stat status;
    if (has_part(queue, g_ptr_array_index(names, i), QUEUE_PROFILES, &status))
      bytes += (uint64_t)status.st_size;
  }
  return bytes;
}

/* Removing. */

static void remove_part(const struct queue *queue, const char *name, enum queue_part part)
{
  g_autofree char *path = path_in(name, part);
  (void)unlinkat(queue->folder, path, 0);
}

static void remove_folder_if_empty(const struct queue *queue, const char *name)
{
  (void)unlinkat(queue->folder, name, AT_REMOVEDIR);
}

void queue_remove_unfinished(const struct queue *queue)
{
  for (enum queue_part part = 0; part < G_N_ELEMENTS(parts); part++)
    remove_part(queue, unfinished, part);
  remove_folder_if_empty(queue, unfinished);
}

void queue_drop_marks(const struct queue *queue, const char *name)
{
  remove_part(queue, name, QUEUE_MARKS);
  remove_folder_if_empty(queue, name);
}

bool queue_done(const struct queue *queue, const char *name)
{
  struct stat status;
  remove_part(queue, name, QUEUE_PROFILES);
  remove_folder_if_empty(queue, name);
  return !has_part(queue, name, QUEUE_PROFILES, &status);
}

/* Adding. */

static bool write_all(int fd, const char *bytes, size_t size)
{
  while (size > 0) {
    ssize_t count = write(fd, bytes, size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return false;
    bytes += count;
    size -= (size_t)count;
  }
  return true;
}

static bool write_part(const struct queue *queue, enum queue_part part, const GByteArray *bytes)
{
  if (bytes->len == 0)
    return true;
  g_autofree char *path = path_in(unfinished, part);
  int fd = openat(queue->folder, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  bool is_written = fd >= 0 && write_all(fd, (const char *)bytes->data, bytes->len);
  int number = errno;
  if (fd >= 0 && close(fd) != 0 && is_written) {
    is_written = false;
    number = errno;
  }
  errno = number;
  return is_written;
}

char *queue_add(const struct queue *queue, int64_t after_ns, const GByteArray *profiles, const GByteArray *marks,
                GError **error)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  int64_t time_ns = MAX((int64_t)now.tv_sec * 1000000000 + now.tv_nsec, after_ns + 1);
  g_autofree char *name = queue_name(time_ns);
  if (mkdirat(queue->folder, unfinished, 0700) == 0 && write_part(queue, QUEUE_PROFILES, profiles) &&
      write_part(queue, QUEUE_MARKS, marks) && renameat(queue->folder, unfinished, queue->folder, name) == 0)
    return g_steal_pointer(&name);
  (void)fail(error, errno, "the queue %s cannot be written", queue->path);
  queue_remove_unfinished(queue);
  return NULL;
}

/* Reading. */

static int open_part(const struct queue *queue, const char *name, enum queue_part part, int flags)
{
  g_autofree char *path = path_in(name, part);
  return openat(queue->folder, path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static GBytes *read_bytes(int fd, size_t at, size_t size)
{
  size_t got = 0;
  char *bytes = g_malloc(size + 1);
  for (ssize_t count = 1; got < size && count > 0; got += (size_t)MAX(count, 0))
    count = pread(fd, bytes + got, size - got, (off_t)(at + got));
  if (got == size)
    return g_bytes_new_take(bytes, size);
  g_free(bytes);
  return NULL;
}

static GBytes *read_part(const struct queue *queue, const char *name, enum queue_part part)
{
  struct stat status;
  int fd = open_part(queue, name, part, O_RDONLY);
  bool is_sound =
      fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (uint64_t)status.st_size <= FILE_BYTES_MAX;
  GBytes *bytes = is_sound ? read_bytes(fd, 0, (size_t)status.st_size) : NULL;
  if (fd >= 0)
    (void)close(fd);
  return bytes;
}

GBytes *queue_marks(const struct queue *queue, const char *name)
{
  return read_part(queue, name, QUEUE_MARKS);
}

int queue_open_marks(const struct queue *queue, const char *name)
{
  return open_part(queue, name, QUEUE_MARKS, O_RDONLY);
}

GBytes *queue_marks_at(int marks, size_t at, size_t size)
{
  return read_bytes(marks, at, size);
}

GBytes *queue_profiles(const struct queue *queue, const char *name)
{
  return read_part(queue, name, QUEUE_PROFILES);
}

bool queue_note_done(const struct queue *queue, const char *name, const struct record *record)
{
  const uint8_t done = RECORDS_DONE;
  int fd = open_part(queue, name, QUEUE_PROFILES, O_WRONLY);
  bool is_noted = fd >= 0 && pwrite(fd, &done, sizeof done, (off_t)records_done_at(record)) == sizeof done;
  if (fd >= 0)
    (void)close(fd);
  return is_noted;
}
