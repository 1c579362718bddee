/* SPDX-License-Identifier: MIT */
#include "tools/views/junit.h"

#include "tools/heap/save.h"
#include "tools/terminal/say.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define START "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"heapprof "

/* Where it may be written. */

static bool fail(GError **error, int number, const char *path)
{
  g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(number), "%s: %s", path, g_strerror(number));
  return false;
}

static bool is_ours_or_empty(const char *path)
{
  char start[sizeof START - 1];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  ssize_t size = fd >= 0 ? read(fd, start, sizeof start) : -1;
  if (fd >= 0)
    (void)close(fd);
  return size == 0 || (size == (ssize_t)sizeof start && memcmp(start, START, sizeof start) == 0);
}

static bool may_replace(const char *path, GError **error)
{
  struct stat status;
  if (stat(path, &status) != 0)
    return true;
  if (S_ISDIR(status.st_mode))
    return fail(error, EISDIR, path);
  if (!S_ISREG(status.st_mode) || is_ours_or_empty(path))
    return true;
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST, "%s is there already, is no JUnit file of heapprof, and is kept",
              path);
  return false;
}

/* Only trying tells. */
static bool can_make_a_file(const char *folder, GError **error)
{
  g_autofree char *name = g_build_filename(folder, ".heapprof-XXXXXX", NULL);
  int fd = g_mkstemp_full(name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (fd < 0)
    return fail(error, errno, folder);
  (void)close(fd);
  (void)unlink(name);
  return true;
}

bool junit_is_writable(const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname(path);
  if (path[0] == '\0' || strcmp(path, "-") == 0) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "--junit takes the name of a file, not '%s'", path);
    return false;
  }
  struct stat status;
  bool is_special = stat(path, &status) == 0 && !S_ISREG(status.st_mode);
  return may_replace(path, error) && (is_special || can_make_a_file(folder, error));
}

/* XML. */

/* What is not printable has no place in XML, not even escaped. */
static char *xml_text(const char *text)
{
  g_autofree char *shown = printable(text);
  return g_markup_escape_text(shown, -1);
}

static void append_attribute(GString *xml, const char *name, const char *text)
{
  g_autofree char *escaped = xml_text(text);
  g_string_append_printf(xml, " %s=\"%s\"", name, escaped);
}

static void append_problem(GString *xml, const struct limit_outcome *outcome)
{
  const char *element = outcome->verdict == LIMIT_BROKEN ? "failure" : "error";
  g_string_append_printf(xml, "      <%s type=\"limit\"", element);
  append_attribute(xml, "message", g_ptr_array_index(outcome->lines, 0));
  g_string_append_c(xml, '>');
  for (guint i = 0; i < outcome->lines->len; i++) {
    g_autofree char *line = xml_text(g_ptr_array_index(outcome->lines, i));
    g_string_append_printf(xml, "%s%s", i > 0 ? "\n" : "", line);
  }
  g_string_append_printf(xml, "</%s>\n", element);
}

static void append_case(GString *xml, const struct junit *junit, const struct limit_outcome *outcome)
{
  g_autofree char *class_name = g_strdup_printf("heapprof %s %s", junit->command, junit->subject);
  g_string_append(xml, "    <testcase");
  append_attribute(xml, "classname", class_name);
  append_attribute(xml, "name", outcome->limit->text);
  if (outcome->verdict == LIMIT_HOLDS) {
    g_string_append(xml, "/>\n");
    return;
  }
  g_string_append(xml, ">\n");
  append_problem(xml, outcome);
  g_string_append(xml, "    </testcase>\n");
}

static unsigned count_of(const GArray *outcomes, enum limit_verdict verdict)
{
  unsigned count = 0;
  for (guint i = 0; i < outcomes->len; i++)
    count += g_array_index(outcomes, struct limit_outcome, i).verdict == verdict;
  return count;
}

static void append_counts(GString *xml, const GArray *outcomes)
{
  g_string_append_printf(xml, " tests=\"%u\" failures=\"%u\" errors=\"%u\"", outcomes->len,
                         count_of(outcomes, LIMIT_BROKEN), count_of(outcomes, LIMIT_UNKNOWN));
}

static GString *xml_of(const struct junit *junit, const GArray *outcomes)
{
  g_autoptr(GDateTime) now = g_date_time_new_now_utc();
  g_autofree char *time = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S");
  g_autofree char *subject = xml_text(junit->subject);
  GString *xml = g_string_new(START);
  g_string_append_printf(xml, "%s\"", junit->command);
  append_counts(xml, outcomes);
  g_string_append_printf(xml, ">\n  <testsuite name=\"%s\"", subject);
  append_counts(xml, outcomes);
  g_string_append_printf(xml, " skipped=\"0\" timestamp=\"%s\">\n", time);
  for (guint i = 0; i < outcomes->len; i++)
    append_case(xml, junit, &g_array_index(outcomes, struct limit_outcome, i));
  g_string_append(xml, "  </testsuite>\n</testsuites>\n");
  return xml;
}

bool junit_write(const struct junit *junit, const GArray *outcomes, GError **error)
{
  if (!may_replace(junit->path, error))
    return false;
  g_autoptr(GBytes) bytes = g_string_free_to_bytes(xml_of(junit, outcomes));
  return save_file_replacing(bytes, junit->path, error);
}
