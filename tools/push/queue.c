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

enum { LOCK_TRIES = 50, LOCK_WAIT_US = 100000, LABELS_BYTES_MAX = 64 << 10, FILE_BYTES_MAX = 512 << 20 };

static const char unfinished[] = "new";
static const char *const parts[] = {"profile", "labels", "marks"}; /* the profile goes first */

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
static bool take_lock(int lock)
{
  for (int try = 0; try < LOCK_TRIES; try++) {
    if (flock(lock, LOCK_EX | LOCK_NB) == 0)
      return true;
    g_usleep(LOCK_WAIT_US);
  }
  return false;
}

static bool open_folder(struct queue *queue, GError **error)
{
  if (g_mkdir_with_parents(queue->path, 0700) != 0)
    return fail(error, errno, "the queue %s cannot be made", queue->path);
  queue->folder = open(queue->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  queue->lock = queue->folder < 0 ? -1 : openat(queue->folder, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (queue->lock < 0)
    return fail(error, errno, "the queue %s cannot be opened", queue->path);
  if (take_lock(queue->lock))
    return true;
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN, "another heapprof push uses the queue %s; --queue names another",
              queue->path);
  return false;
}

bool queue_open(struct queue *queue, const char *path, uint64_t bytes_max, GError **error)
{
  *queue = (struct queue){.path = g_strdup(path), .folder = -1, .lock = -1, .bytes_max = bytes_max};
  if (open_folder(queue, error))
    return true;
  queue_close(queue);
  return false;
}

void queue_close(struct queue *queue)
{
  if (queue->lock >= 0)
    (void)close(queue->lock);
  if (queue->folder >= 0)
    (void)close(queue->folder);
  g_free(queue->path);
}

/* Names. */

bool queue_read_name(const char *name, struct queue_source *source, int64_t *time_unix_ns)
{
  char again[128];
  int size = 0;
  if (sscanf(name, "%20" SCNd64 ".%d.%" SCNu64 "%n", time_unix_ns, &source->pid, &source->created_unix_ns, &size) != 3)
    return false;
  (void)snprintf(again, sizeof again, "%020" PRId64 ".%d.%" PRIu64, *time_unix_ns, source->pid,
                 source->created_unix_ns);
  return strcmp(again, name) == 0;
}

static char *path_in(const char *name, const char *part)
{
  return g_strconcat(name, "/", part, NULL);
}

static bool has_part(const struct queue *queue, const char *name, const char *part, struct stat *status)
{
  g_autofree char *path = path_in(name, part);
  return fstatat(queue->folder, path, status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status->st_mode);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *queue_names(const struct queue *queue, bool is_waiting)
{
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  int copy = openat(queue->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
  for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
    struct queue_source source;
    int64_t time_ns;
    struct stat status;
    if (queue_read_name(entry->d_name, &source, &time_ns) &&
        (!is_waiting || has_part(queue, entry->d_name, "profile", &status)))
      g_ptr_array_add(names, g_strdup(entry->d_name));
  }
  if (folder != NULL)
    (void)closedir(folder);
  g_ptr_array_sort(names, compare_names);
  return names;
}

uint64_t queue_bytes(const struct queue *queue)
{
  uint64_t bytes = 0;
  g_autoptr(GPtrArray) names = queue_names(queue, false);
  for (guint i = 0; i < names->len; i++)
    for (size_t part = 0; part < G_N_ELEMENTS(parts); part++) {
      struct stat status;
      if (has_part(queue, g_ptr_array_index(names, i), parts[part], &status))
        bytes += (uint64_t)status.st_size;
    }
  return bytes;
}

/* Removing. */

static void remove_part(const struct queue *queue, const char *name, const char *part)
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
  for (size_t part = 0; part < G_N_ELEMENTS(parts); part++)
    remove_part(queue, unfinished, parts[part]);
  remove_folder_if_empty(queue, unfinished);
}

void queue_drop_marks(const struct queue *queue, const char *name)
{
  remove_part(queue, name, "marks");
  remove_folder_if_empty(queue, name);
}

void queue_done(const struct queue *queue, const char *name)
{
  remove_part(queue, name, "profile");
  remove_part(queue, name, "labels");
  remove_folder_if_empty(queue, name);
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

static bool write_part(const struct queue *queue, const char *part, const void *bytes, size_t size)
{
  g_autofree char *path = path_in(unfinished, part);
  int fd = openat(queue->folder, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  bool is_written = fd >= 0 && write_all(fd, bytes, size);
  int number = errno;
  if (fd >= 0 && close(fd) != 0 && is_written) {
    is_written = false;
    number = errno;
  }
  errno = number;
  return is_written;
}

static bool write_bytes(const struct queue *queue, const char *part, GBytes *bytes)
{
  return write_part(queue, part, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
}

char *queue_add(const struct queue *queue, struct queue_source source, int64_t after_ns, const char *labels,
                GBytes *profile, GBytes *marks, GError **error)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  int64_t time_ns = MAX((int64_t)now.tv_sec * 1000000000 + now.tv_nsec, after_ns + 1);
  g_autofree char *name = g_strdup_printf("%020" PRId64 ".%d.%" PRIu64, time_ns, source.pid, source.created_unix_ns);
  queue_remove_unfinished(queue);
  if (mkdirat(queue->folder, unfinished, 0700) == 0 && write_bytes(queue, "profile", profile) &&
      write_part(queue, "labels", labels, strlen(labels)) && write_bytes(queue, "marks", marks) &&
      renameat(queue->folder, unfinished, queue->folder, name) == 0)
    return g_steal_pointer(&name);
  (void)fail(error, errno, "the queue %s cannot be written", queue->path);
  queue_remove_unfinished(queue);
  return NULL;
}

/* Reading. */

static GBytes *read_part(const struct queue *queue, const char *name, const char *part, size_t most)
{
  struct stat status;
  g_autofree char *path = path_in(name, part);
  int fd = openat(queue->folder, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  bool is_sound = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (uint64_t)status.st_size <= most;
  size_t size = is_sound ? (size_t)status.st_size : 0, got = 0;
  char *bytes = g_malloc(size + 1);
  for (ssize_t count = 1; is_sound && got < size && count > 0; got += (size_t)MAX(count, 0))
    count = read(fd, bytes + got, size - got);
  if (fd >= 0)
    (void)close(fd);
  if (is_sound && got == size)
    return g_bytes_new_take(bytes, size);
  g_free(bytes);
  return NULL;
}

GBytes *queue_marks(const struct queue *queue, const char *name)
{
  return read_part(queue, name, "marks", FILE_BYTES_MAX);
}

bool queue_read(const struct queue *queue, const char *name, char **labels, GBytes **profile)
{
  g_autoptr(GBytes) text = read_part(queue, name, "labels", LABELS_BYTES_MAX);
  *profile = read_part(queue, name, "profile", FILE_BYTES_MAX);
  if (text == NULL || *profile == NULL || g_bytes_get_size(text) == 0 || g_bytes_get_size(*profile) == 0) {
    g_clear_pointer(profile, g_bytes_unref);
    return false;
  }
  *labels = g_strndup(g_bytes_get_data(text, NULL), g_bytes_get_size(text));
  return true;
}
