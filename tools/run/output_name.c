/* SPDX-License-Identifier: MIT */
#include "tools/run/output_name.h"

#include "core/text.h"
#include "tools/heap/save.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static const char USUAL_NAME[] = "heapprof.%e.%p.%n.pb.gz";
static const char ENDING[] = ".pb.gz";

enum { NUMBER_MAX = 100000 };

/* A path in which nothing is special to a pattern. */
static char *quoted(const char *path)
{
  g_auto(GStrv) parts = g_strsplit(path, "%", -1);
  return g_strjoinv("%%", parts);
}

char *output_pattern(const char *given)
{
  g_autofree char *current = g_get_current_dir();
  g_autofree char *start = quoted(current);
  if (given == NULL)
    return g_build_filename(start, USUAL_NAME, NULL);
  g_autofree char *unquoted = NULL;
  if (g_str_has_suffix(given, "/") || g_file_test(given, G_FILE_TEST_IS_DIR)) {
    g_autofree char *folder = quoted(given);
    unquoted = g_build_filename(folder, USUAL_NAME, NULL);
  } else {
    unquoted = g_strdup(given);
  }
  return g_path_is_absolute(unquoted) ? g_steal_pointer(&unquoted) : g_build_filename(start, unquoted, NULL);
}

/* What stands for one letter behind a %. */
static void append_value(GString *name, char letter, const char *program, int pid, const char *number)
{
  struct utsname host = {.nodename = ""};
  switch (letter) {
  case 'e': g_string_append(name, program); break;
  case 'p': g_string_append_printf(name, "%d", pid); break;
  case 'n': g_string_append(name, number); break;
  case 'h':
    (void)uname(&host);
    text_make_name_part(host.nodename);
    g_string_append(name, host.nodename[0] != '\0' ? host.nodename : "localhost");
    break;
  case 't': g_string_append_printf(name, "%" G_GINT64_FORMAT, g_get_real_time() / G_USEC_PER_SEC); break;
  default: g_string_append_c(name, letter);
  }
}

static char *expand(const char *pattern, const char *program, int pid, const char *number)
{
  GString *name = g_string_new(NULL);
  for (; *pattern != '\0'; pattern++) {
    if (pattern[0] == '%' && pattern[1] != '\0')
      append_value(name, *++pattern, program, pid, number);
    else
      g_string_append_c(name, *pattern);
  }
  return g_string_free(name, FALSE);
}

static bool has_number(const char *pattern)
{
  for (const char *percent = strchr(pattern, '%'); percent != NULL && percent[1] != '\0';
       percent = strchr(percent + 2, '%'))
    if (percent[1] == 'n')
      return true;
  return false;
}

/* A login shell is "-bash", and a name may hold anything but 0. */
static char *harmless(const char *program)
{
  char *result = g_strdup(program);
  text_make_name_part(result);
  return result;
}

char *output_name(const char *pattern, const char *program, int pid, unsigned number)
{
  g_autofree char *digits = g_strdup_printf("%u", number), *shown = harmless(program);
  char *name = expand(pattern, shown, pid, digits);
  if (number == 1 || has_number(pattern))
    return name;
  /* Before the ending. */
  size_t stem = strlen(name) - (g_str_has_suffix(name, ENDING) ? strlen(ENDING) : 0);
  char *numbered = g_strdup_printf("%.*s.%s%s", (int)stem, name, digits, name + stem);
  g_free(name);
  return numbered;
}

char *output_save(const struct heap *heap, const char *pattern, const char *program, int pid, GError **error)
{
  for (unsigned number = 1;; number++) {
    g_autoptr(GError) problem = NULL;
    g_autofree char *name = output_name(pattern, program, pid, number);
    if (save_new(heap, name, &problem))
      return g_steal_pointer(&name);
    if (!g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_EXIST) || number == NUMBER_MAX) {
      g_propagate_error(error, g_steal_pointer(&problem));
      return NULL;
    }
  }
}

bool output_folder_is_usable(const char *pattern)
{
  g_autofree char *folder = g_path_get_dirname(pattern), *plain = expand(folder, "", 0, ""),
                  *quoted_plain = quoted(plain);
  struct stat status;
  if (strcmp(quoted_plain, folder) != 0)
    return true;
  if (stat(plain, &status) == 0 && !S_ISDIR(status.st_mode))
    errno = ENOTDIR;
  else if (access(plain, W_OK | X_OK) == 0)
    return true;
  return false;
}

/* An expression for the last part of the names. */
static GRegex *regex_of_names(const char *pattern, int pid)
{
  static const char PROGRAM[] = "\001", NUMBER[] = "\002"; /* no control character is in a name */
  g_autofree char *base = g_path_get_basename(pattern);
  g_autofree char *name = expand(base, PROGRAM, pid, NUMBER);
  g_autofree char *literal = g_regex_escape_string(name, -1);
  g_auto(GStrv) parts = g_strsplit(literal, NUMBER, -1);
  g_autofree char *numbered = g_strjoinv("[0-9]+", parts);
  g_auto(GStrv) pieces = g_strsplit(numbered, PROGRAM, -1);
  g_autofree char *expression = g_strjoinv(".*", pieces);
  g_autofree char *whole = g_strdup_printf("\\A%s\\z", expression);
  return g_regex_new(whole, G_REGEX_RAW, 0, NULL);
}

static int compare_texts(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static gint64 to_ns(struct timespec time)
{
  return (gint64)time.tv_sec * 1000000000 + time.tv_nsec;
}

gint64 output_clock_ns(void)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return to_ns(now);
}

gint64 output_clock_of(const struct stat *status)
{
  return to_ns(status->st_mtim);
}

GPtrArray *output_names_since(const char *pattern, int pid, gint64 clock_ns)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *any = output_name(pattern, "", pid, 1), *folder = g_path_get_dirname(any);
  g_autoptr(GRegex) regex = regex_of_names(pattern, pid);
  g_autoptr(GDir) directory = g_dir_open(folder, 0, NULL);
  const char *name;
  while (regex != NULL && directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    struct stat status;
    if (g_regex_match(regex, name, 0, NULL) && stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
        output_clock_of(&status) > clock_ns)
      g_ptr_array_add(paths, g_steal_pointer(&path));
  }
  g_ptr_array_sort(paths, compare_texts);
  return paths;
}

char *output_shown(const char *path)
{
  g_autofree char *folder = g_get_current_dir();
  g_autofree char *start = g_strconcat(folder, "/", NULL);
  return g_strdup(g_str_has_prefix(path, start) ? path + strlen(start) : path);
}
