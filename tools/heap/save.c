/* SPDX-License-Identifier: MIT */
#include "tools/heap/save.h"

#include "core/text.h"
#include "tools/heap/encode.h"
#include "tools/heap/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
  COMPRESSION_LEVEL = 6,
  FAST_LEVEL = 1, /* of a large message, mostly of numbers: a tenth less small in an eighth of the time */
  FAST_BYTES = 32 << 20,
  MEMORY_LEVEL = 8,
  WINDOW_BITS_LEAST = 9,
  GZIP_WRAPPER = 16,
  NUMBER_MAX = 1000000
};

static bool fail(GError **error, int number, const char *path)
{
  g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(number), "%s: %s", path, g_strerror(number));
  return false;
}

void save_fail_too_large(const char *name, GError **error)
{
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSPC,
              "the profile of %s would have more than %zu MiB, which is more than can be read again", name,
              LOAD_BYTES_MAX >> 20);
}

/* A window that is larger than the message takes memory, and time to clear it, for nothing. */
static int window_bits_for(size_t size)
{
  return (int)CLAMP(g_bit_storage(size) + 1, WINDOW_BITS_LEAST, MAX_WBITS);
}

GBytes *save_bytes(const struct heap *heap, GError **error)
{
  GByteArray *message = encode(heap);
  if (message->len > LOAD_BYTES_MAX) {
    save_fail_too_large(heap->name, error);
    g_byte_array_unref(message);
    return NULL;
  }
  z_stream stream = {.next_in = message->data, .avail_in = message->len};
  if (deflateInit2(&stream, message->len >= FAST_BYTES ? FAST_LEVEL : COMPRESSION_LEVEL, Z_DEFLATED,
                   window_bits_for(message->len) | GZIP_WRAPPER, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
    g_error("no memory to compress a profile of %u bytes", message->len);
  uLong bound = deflateBound(&stream, message->len);
  stream.next_out = g_malloc(bound);
  stream.avail_out = (uInt)bound;
  uint8_t *packed = stream.next_out;
  int result = deflate(&stream, Z_FINISH);
  g_assert(result == Z_STREAM_END); /* deflateBound says so */
  (void)deflateEnd(&stream);
  g_byte_array_unref(message);
  return g_bytes_new_take(g_realloc(packed, stream.total_out), stream.total_out);
}

/* Writing. */

static bool write_all(int fd, GBytes *bytes)
{
  size_t size;
  const uint8_t *next = g_bytes_get_data(bytes, &size);
  while (size > 0) {
    ssize_t count = write(fd, next, size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return false;
    next += count;
    size -= (size_t)count;
  }
  return true;
}

/* The name of a new file beside `path` with these bytes; NULL and *error. */
static char *write_temporary(GBytes *bytes, const char *path, GError **error)
{
  g_autofree char *directory = g_path_get_dirname(path);
  g_autofree char *temporary = g_build_filename(directory, ".heapprof-XXXXXX", NULL);
  int fd = g_mkstemp_full(temporary, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (fd < 0)
    return fail(error, errno, path), NULL;
  bool is_written = write_all(fd, bytes);
  int number = errno;
  if (close(fd) != 0 && is_written) { /* a file system may tell of a full disk only now */
    is_written = false;
    number = errno;
  }
  if (is_written)
    return g_steal_pointer(&temporary);
  (void)unlink(temporary);
  return fail(error, number, path), NULL;
}

/* 0 or -1 and errno: EEXIST if the name is taken. */
static int rename_new(const char *temporary, const char *path)
{
  if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EINVAL && errno != ENOSYS)
    return -1;
  if (link(temporary, path) != 0) /* a file system that cannot rename so */
    return -1;
  (void)unlink(temporary);
  return 0;
}

static bool write_descriptor(int fd, GBytes *bytes, const char *path, GError **error)
{
  return write_all(fd, bytes) || fail(error, errno, path);
}

static bool write_standard_output(GBytes *bytes, GError **error)
{
  if (isatty(STDOUT_FILENO)) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                "standard output is a terminal, which cannot show this; name a file with -o");
    return false;
  }
  return write_descriptor(STDOUT_FILENO, bytes, "standard output", error);
}

/* A pipe or a device that the user named: renaming would put a file in its place. */
static bool write_special(GBytes *bytes, const char *path, GError **error)
{
  int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return fail(error, errno, path);
  bool is_written = write_descriptor(fd, bytes, path, error);
  (void)close(fd);
  return is_written;
}

static bool write_replacing(GBytes *bytes, const char *path, GError **error)
{
  g_autofree char *temporary = write_temporary(bytes, path, error);
  if (temporary == NULL)
    return false;
  if (rename(temporary, path) == 0)
    return true;
  int number = errno;
  (void)unlink(temporary);
  return fail(error, number, path);
}

/* Where it makes no difference whether a file is there. False: it is for the caller to write. */
static bool is_stream(const char *path)
{
  struct stat status;
  return strcmp(path, "-") == 0 || (stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode));
}

static bool write_stream(GBytes *bytes, const char *path, GError **error)
{
  return strcmp(path, "-") == 0 ? write_standard_output(bytes, error) : write_special(bytes, path, error);
}

/* What is not ours, and not root's either. */
static bool is_of_somebody_else(const struct stat *status)
{
  return status->st_uid != geteuid() && status->st_uid != 0;
}

static bool fail_foreign(GError **error, const char *path, const char *what, const struct stat *status)
{
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_PERM, "%s is %s of user %u, and is left alone", path, what,
              (unsigned)status->st_uid);
  return false;
}

/* A link that somebody else put there leads where they want us to write; their pipe may never be read. False and
 * *error: `path` is such a one, or a link of ours leads to one. */
static bool leads_where_we_want(const char *path, GError **error)
{
  enum { LINKS_MAX = 40 };
  g_autofree char *at = g_strdup(path);
  struct stat status;
  for (int links = 0; links < LINKS_MAX && lstat(at, &status) == 0; links++) {
    if (!S_ISLNK(status.st_mode))
      return !(S_ISFIFO(status.st_mode) && is_of_somebody_else(&status)) ||
             fail_foreign(error, path, "a pipe", &status);
    if (is_of_somebody_else(&status))
      return fail_foreign(error, path, "a symbolic link", &status);
    g_autofree char *target = g_file_read_link(at, NULL);
    if (target == NULL || g_str_has_prefix(at, "/proc/")) /* its links are not names of files */
      return true;
    g_autofree char *folder = g_path_get_dirname(at);
    g_free(at);
    at = g_path_is_absolute(target) ? g_strdup(target) : g_build_filename(folder, target, NULL);
  }
  return true;
}

bool save_file_replacing(GBytes *bytes, const char *path, GError **error)
{
  if (!leads_where_we_want(path, error))
    return false;
  if (g_file_test(path, G_FILE_TEST_IS_DIR))
    return fail(error, EISDIR, path);
  if (is_stream(path))
    return write_stream(bytes, path, error);
  char *target = realpath(path, NULL); /* of a symbolic link: what it leads to */
  bool is_written = write_replacing(bytes, target != NULL ? target : path, error);
  free(target);
  return is_written;
}

bool save_replacing(const struct heap *heap, const char *path, GError **error)
{
  g_autoptr(GBytes) bytes = save_bytes(heap, error);
  return bytes != NULL && save_file_replacing(bytes, path, error);
}

static bool fail_taken(GError **error, const char *path)
{
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST, "%s is there already and is kept; -f replaces it", path);
  return false;
}

bool save_file_new(GBytes *bytes, const char *path, GError **error)
{
  if (!leads_where_we_want(path, error))
    return false;
  if (is_stream(path))
    return write_stream(bytes, path, error);
  g_autofree char *temporary = write_temporary(bytes, path, error);
  if (temporary == NULL)
    return false;
  if (rename_new(temporary, path) == 0)
    return true;
  int number = errno;
  (void)unlink(temporary);
  return number == EEXIST ? fail_taken(error, path) : fail(error, number, path);
}

bool save_new(const struct heap *heap, const char *path, GError **error)
{
  if (!is_stream(path) && access(path, F_OK) == 0) /* before the work */
    return fail_taken(error, path);
  g_autoptr(GBytes) bytes = save_bytes(heap, error);
  return bytes != NULL && save_file_new(bytes, path, error);
}

/* As the shim names them: a login shell is "-bash", a kernel name may hold a slash. */
static char *program_in_name(const char *program)
{
  char *name = g_strndup(program, 64);
  text_make_name_part(name);
  return name;
}

char *save_under_free_name(const struct heap *heap, const char *directory, const char *program, int pid, GError **error)
{
  g_autoptr(GBytes) bytes = save_bytes(heap, error);
  if (bytes == NULL)
    return NULL;
  g_autofree char *name = program_in_name(program);
  g_autofree char *start = g_strdup_printf("%s/heapprof.%s.%d", directory, name, pid);
  g_autofree char *temporary = write_temporary(bytes, start, error);
  if (temporary == NULL)
    return NULL;
  errno = EEXIST;
  for (int number = 1; number <= NUMBER_MAX && errno == EEXIST; number++) {
    g_autofree char *path = g_strdup_printf("%s.%d.pb.gz", start, number);
    if (rename_new(temporary, path) == 0)
      return g_steal_pointer(&path);
  }
  int number = errno;
  (void)unlink(temporary);
  return fail(error, number, start), NULL;
}
