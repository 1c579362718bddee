/* SPDX-License-Identifier: MIT */
#include "tools/source/recorded_program.h"

#include "tools/heap/load.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORDED_PROGRAM_ERROR g_quark_from_static_string("heapprof-recorded-program")

static bool fail(GError **error, const char *text)
{
  g_set_error_literal(error, RECORDED_PROGRAM_ERROR, 0, text);
  return false;
}

#ifdef HEAPPROF_RECORD

static const char says[] = "heapprof: ";

struct child {
  pid_t pid;
  int output, messages; /* a pipe, and a file without a name */
};

static char **words_for(const char *const *options, const char *path)
{
  g_autofree char *self = g_file_read_link("/proc/self/exe", NULL),
                  *folder = g_path_get_dirname(self != NULL ? self : ".");
  GPtrArray *words = g_ptr_array_new();
  g_ptr_array_add(words, g_build_filename(folder, "heapprof-record", NULL));
  g_ptr_array_add(words, g_strdup("recording"));
  for (; *options != NULL; options++)
    g_ptr_array_add(words, g_strdup(*options));
  g_ptr_array_add(words, g_strdup("--"));
  g_ptr_array_add(words, g_strdup(path));
  g_ptr_array_add(words, NULL);
  return (char **)g_ptr_array_free(words, FALSE);
}

static void run(char *const *words, int output, int messages)
{
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
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

GByteArray *recorded_program_output(const char *const *options, const char *path, GError **error)
{
  struct child child = {.pid = -1, .output = -1, .messages = -1};
  g_auto(GStrv) words = words_for(options, path);
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

#else

GByteArray *recorded_program_output(const char *const *options, const char *path, GError **error)
{
  g_autofree char *text = g_strdup_printf("%s is a recording, and this heapprof was built --without-record", path);
  (void)options;
  (void)fail(error, text);
  return NULL;
}

#endif
