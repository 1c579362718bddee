/* SPDX-License-Identifier: MIT */
#include "tools/source/recorded_moment.h"

#include "tools/heap/load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORDED_MOMENT_ERROR g_quark_from_static_string("heapprof-recorded-moment")

static const char magic[] = "SQLite format 3", says[] = "heapprof: ";

/* --- names --- */

static bool is_database(const char *path)
{
  char start[sizeof magic];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return false;
  bool is = pread(fd, start, sizeof start, 0) == sizeof start && memcmp(start, magic, sizeof start) == 0;
  (void)close(fd);
  return is;
}

/* The longest part before an "@" that is one: file names may have some, too. NULL: there is none. */
static char *file_of(const char *argument)
{
  for (size_t length = strlen(argument); length > 0; length--) {
    if (argument[length] != '\0' && argument[length] != '@')
      continue;
    g_autofree char *path = g_strndup(argument, length);
    if (access(path, F_OK) == 0)
      return is_database(path) ? g_steal_pointer(&path) : NULL;
  }
  return NULL;
}

bool recorded_moment_is(const char *argument)
{
  g_autofree char *path = file_of(argument);
  return path != NULL;
}

static bool is_time(const char *word)
{
  return strchr(word, ':') != NULL || strcmp(word, "first") == 0 || strcmp(word, "last") == 0 ||
         strcmp(word, "largest") == 0;
}

/* A command line, ending with NULL. */
static GPtrArray *command_for(const char *argument, const char *path)
{
  GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *self = g_file_read_link("/proc/self/exe", NULL),
                  *folder = g_path_get_dirname(self != NULL ? self : ".");
  g_ptr_array_add(words, g_build_filename(folder, "heapprof-record", NULL));
  g_ptr_array_add(words, g_strdup("recording"));
  g_ptr_array_add(words, g_strdup("--output=-"));
  const char *rest = argument + strlen(path);
  g_auto(GStrv) parts = g_strsplit(rest[0] == '@' ? rest + 1 : rest, "@", -1);
  for (char **part = parts; *part != NULL; part++)
    if (**part != '\0')
      g_ptr_array_add(words, g_strdup_printf("--%s=%s", is_time(*part) ? "at" : "process", *part));
  g_ptr_array_add(words, g_strdup("--"));
  g_ptr_array_add(words, g_strdup(path));
  g_ptr_array_add(words, NULL);
  return words;
}

/* --- the other program --- */

struct child {
  pid_t pid;
  int output, messages; /* a pipe, and a file without a name */
};

static bool fail(GError **error, const char *text)
{
  g_set_error_literal(error, RECORDED_MOMENT_ERROR, 0, text);
  return false;
}

static void run(char *const *words, int output, int messages)
{
  if (dup2(output, STDOUT_FILENO) >= 0 && dup2(messages, STDERR_FILENO) >= 0)
    execv(words[0], words);
  g_autofree char *text = g_strdup_printf("cannot run %s: %s", words[0], g_strerror(errno));
  (void)!write(messages, text, strlen(text));
  _exit(1);
}

static bool start(struct child *child, char *const *words, GError **error)
{
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return fail(error, g_strerror(errno));
  child->messages = memfd_create("messages", MFD_CLOEXEC);
  child->pid = fork();
  if (child->pid == 0)
    run(words, ends[1], child->messages);
  (void)close(ends[1]);
  child->output = ends[0];
  return child->pid > 0 || fail(error, g_strerror(errno));
}

static GByteArray *read_all(int fd)
{
  enum { PIECE_BYTES = 64 << 10 };
  GByteArray *bytes = g_byte_array_new();
  g_autofree uint8_t *piece = g_malloc(PIECE_BYTES);
  ssize_t count;
  while ((count = read(fd, piece, PIECE_BYTES)) > 0 || (count < 0 && errno == EINTR))
    if (count > 0 && bytes->len + (size_t)count <= LOAD_BYTES_MAX)
      g_byte_array_append(bytes, piece, (guint)count);
  return bytes;
}

/* What it said, as one line without the name that will be put before it again. */
static char *what_it_said(int messages)
{
  enum { MOST = 4096 };
  g_autofree char *text = g_malloc0(MOST + 1);
  ssize_t size = pread(messages, text, MOST, 0);
  if (size <= 0)
    return g_strdup("heapprof-record ended without its answer");
  text[strcspn(text, "\n")] = '\0';
  return g_strdup(g_str_has_prefix(text, says) ? text + strlen(says) : text);
}

static bool end(struct child *child)
{
  int status = 0;
  if (child->output >= 0)
    (void)close(child->output);
  while (child->pid > 0 && waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
  }
  return child->pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static GByteArray *output_of(char *const *words, GError **error)
{
  struct child child = {.pid = -1, .output = -1, .messages = -1};
  bool has_started = start(&child, words, error);
  GByteArray *bytes = has_started ? read_all(child.output) : NULL;
  if (!end(&child) && bytes != NULL) {
    g_autofree char *said = what_it_said(child.messages);
    (void)fail(error, said);
    g_clear_pointer(&bytes, g_byte_array_unref);
  }
  if (child.messages >= 0)
    (void)close(child.messages);
  return bytes;
}

struct heap *recorded_moment_read(const char *argument, GError **error)
{
#ifdef HEAPPROF_RECORD
  g_autofree char *path = file_of(argument);
  g_autoptr(GPtrArray) words = command_for(argument, path);
  g_autoptr(GByteArray) bytes = output_of((char *const *)words->pdata, error);
  return bytes != NULL ? load_bytes(bytes->data, bytes->len, argument, error) : NULL;
#else
  g_set_error(error, RECORDED_MOMENT_ERROR, 0, "%s is a recording, and this heapprof was built --without-record",
              argument);
  (void)command_for;
  (void)output_of;
  return NULL;
#endif
}
