/* SPDX-License-Identifier: MIT */
#include "tools/heap/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { PIECE_BYTES = 64 << 10, GZIP_WRAPPER = 16 };

static const char state_magic[INPUT_STATE_MAGIC_BYTES + 1] = "HEAPPROF";

static GByteArray *fail(GByteArray *bytes, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);

static GByteArray *fail(GByteArray *bytes, GError **error, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error_literal(error, INPUT_ERROR, 0, text);
  if (bytes != NULL)
    g_byte_array_unref(bytes);
  return NULL;
}

static GByteArray *fail_too_large(GByteArray *bytes, const char *name, size_t limit_bytes, GError **error)
{
  return fail(bytes, error, "%s holds more than %zu MiB, the most that is read of a profile", name, limit_bytes >> 20);
}

/* Reading. */

static GByteArray *read_descriptor(int fd, const char *name, size_t limit_bytes, GError **error)
{
  GByteArray *bytes = g_byte_array_new();
  g_autofree uint8_t *piece = g_malloc(PIECE_BYTES);
  for (;;) {
    ssize_t count = read(fd, piece, PIECE_BYTES);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return fail(bytes, error, errno == EISDIR ? "%s is a directory, not a profile" : "%s: %s", name,
                  g_strerror(errno));
    if (count == 0)
      return bytes->len > 0 ? bytes : fail(bytes, error, "%s is empty, not a profile", name);
    if (bytes->len + (size_t)count > limit_bytes)
      return fail_too_large(bytes, name, limit_bytes, error);
    g_byte_array_append(bytes, piece, (guint)count);
  }
}

GByteArray *input_read(const char *path, size_t limit_bytes, GError **error)
{
  if (strcmp(path, "-") == 0)
    return read_descriptor(STDIN_FILENO, "standard input", limit_bytes, error);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return fail(NULL, error, "%s: %s", path, g_strerror(errno));
  GByteArray *bytes = read_descriptor(fd, path, limit_bytes, error);
  (void)close(fd);
  return bytes;
}

/* Inflating. */

bool input_is_gzip(const uint8_t *bytes, size_t size)
{
  return size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

static const char *problem_of(int result, const z_stream *stream)
{
  if (result == Z_MEM_ERROR)
    return "no memory to inflate it";
  if (result == Z_BUF_ERROR)
    return "its gzip data ends early";
  return stream->msg != NULL ? stream->msg : "its gzip data is damaged";
}

/* One member. Z_STREAM_END, or what is wrong; Z_OK: more than the limit. */
static int inflate_member(z_stream *stream, GByteArray *bytes, size_t limit_bytes, uint8_t *piece)
{
  for (;;) {
    stream->next_out = piece;
    stream->avail_out = PIECE_BYTES;
    int result = inflate(stream, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END)
      return result;
    size_t made = PIECE_BYTES - stream->avail_out;
    if (bytes->len + made > limit_bytes)
      return Z_OK;
    g_byte_array_append(bytes, piece, (guint)made);
    if (result == Z_STREAM_END)
      return result;
  }
}

GByteArray *input_inflate(const uint8_t *packed, size_t size, size_t limit_bytes, const char *name, GError **error)
{
  z_stream stream = {.next_in = (uint8_t *)(uintptr_t)packed, .avail_in = (uInt)size};
  if (size > UINT_MAX || inflateInit2(&stream, MAX_WBITS | GZIP_WRAPPER) != Z_OK)
    return fail(NULL, error, "%s: cannot be inflated", name);
  GByteArray *bytes = g_byte_array_new();
  g_autofree uint8_t *piece = g_malloc(PIECE_BYTES);
  int result;
  do
    result = inflate_member(&stream, bytes, limit_bytes, piece);
  while (result == Z_STREAM_END && stream.avail_in > 0 && inflateReset(&stream) == Z_OK);
  if (result == Z_OK)
    bytes = fail_too_large(bytes, name, limit_bytes, error);
  else if (result != Z_STREAM_END)
    bytes = fail(bytes, error, "%s is damaged: %s", name, problem_of(result, &stream));
  (void)inflateEnd(&stream);
  return bytes;
}

/* Recognising. */

static bool begins_with(const uint8_t *bytes, size_t size, const char *start, size_t length)
{
  return size >= length && g_ascii_strncasecmp((const char *)bytes, start, length) == 0;
}

bool input_is_state(const uint8_t *bytes, size_t size)
{
  return size >= INPUT_STATE_MAGIC_BYTES && memcmp(bytes, state_magic, INPUT_STATE_MAGIC_BYTES) == 0;
}

static bool is_text(const uint8_t *bytes, size_t size)
{
  size_t looked_at = MIN(size, 512);
  for (size_t i = 0; i < looked_at; i++)
    if (!g_ascii_isprint((char)bytes[i]) && !g_ascii_isspace((char)bytes[i]))
      return false;
  return true;
}

const char *input_kind(const uint8_t *bytes, size_t size)
{
#define KIND(start, what)                                                                                              \
  {                                                                                                                    \
    start, sizeof start - 1, what                                                                                      \
  }
  static const struct {
    const char *start;
    size_t length;
    const char *what;
  } kinds[] = {
      KIND("goroutine profile:", "a text listing of goroutines"),
      KIND("<!doctype", "an HTML page"),
      KIND("<html", "an HTML page"),
      KIND("<?xml", "an XML document"),
      KIND("\x7f"
           "ELF",
           "a program or library"),
      KIND("#!", "a script"),
      KIND("PERFILE2", "a recording of perf"),
      KIND("SQLite format 3", "a database; of a recording, heapprof recording -o writes a profile"),
      KIND("PK\003\004", "a zip archive"),
      KIND("\xfd"
           "7zXZ",
           "an xz archive; only gzip is read"),
      KIND("\x28\xb5\x2f\xfd", "a zstd archive; only gzip is read"),
      KIND("BZh", "a bzip2 archive; only gzip is read"),
      KIND("%PDF", "a PDF document"),
      KIND("\x89PNG", "a picture"),
  };
#undef KIND
  for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
    if (begins_with(bytes, size, kinds[i].start, kinds[i].length))
      return kinds[i].what;
  return is_text(bytes, size) ? "a text" : NULL;
}
