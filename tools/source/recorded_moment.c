/* SPDX-License-Identifier: MIT */
#include "tools/source/recorded_moment.h"

#include "tools/heap/load.h"
#include "tools/source/recorded_program.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char magic[] = "SQLite format 3";

/* --- names --- */

bool recorded_moment_is_file(const char *path)
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
      return recorded_moment_is_file(path) ? g_steal_pointer(&path) : NULL;
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

char *recorded_moment_name(const char *path, const char *process, const char *time)
{
  if (process == NULL && time == NULL)
    return g_strdup(path);
  if (process == NULL && is_time(time))
    return g_strconcat(path, "@", time, NULL);
  if (time == NULL && !is_time(process) && strchr(process, '@') == NULL)
    return g_strconcat(path, "@", process, NULL);
  return g_strconcat(path, "@", process != NULL ? process : "", "@", time != NULL ? time : "", NULL);
}

static void add_word(GPtrArray *words, const char *option, const char *value)
{
  if (value[0] != '\0')
    g_ptr_array_add(words, g_strconcat("--", option, "=", value, NULL));
}

/* Ending with NULL. There is no @ in a time. */
static GPtrArray *words_of(const char *argument, const char *path)
{
  GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(words, g_strdup("--output=-"));
  const char *rest = argument + strlen(path), *word = rest[0] == '@' ? rest + 1 : rest, *at = strrchr(word, '@');
  g_autofree char *process = g_strndup(word, at != NULL ? (gsize)(at - word) : 0);
  if (at == NULL) {
    add_word(words, is_time(word) ? "at" : "process", word);
  } else {
    add_word(words, "process", process);
    add_word(words, "at", at + 1);
  }
  g_ptr_array_add(words, NULL);
  return words;
}

struct heap *recorded_moment_read(const char *argument, GError **error)
{
  g_autofree char *path = file_of(argument);
  g_autoptr(GPtrArray) words = words_of(argument, path);
  g_autoptr(GByteArray) bytes = recorded_program_output((const char *const *)words->pdata, path, error);
  return bytes != NULL ? load_bytes(bytes->data, bytes->len, argument, error) : NULL;
}
