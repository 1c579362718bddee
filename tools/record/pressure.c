/* SPDX-License-Identifier: MIT */
#include "tools/record/pressure.h"

#include <glib.h>
#include <string.h>

/* The files of one version: below which folder, and what they are called. */
struct version {
  const char *folder, *used, *limit;
};

static const struct version version_2 = {"", "memory.current", "memory.max"};
static const struct version version_1 = {"memory", "memory.usage_in_bytes", "memory.limit_in_bytes"};

static char *read_text(const char *folder, const char *path, const char *file)
{
  char *text = NULL;
  g_autofree char *name = g_build_filename(folder, path, file, NULL);
  return g_file_get_contents(name, &text, NULL, NULL) ? text : NULL;
}

/* False also of "max". */
static bool read_number(const char *folder, const char *path, const char *file, double *number)
{
  guint64 bytes;
  g_autofree char *text = read_text(folder, path, file);
  if (text == NULL || !g_ascii_string_to_unsigned(g_strchomp(text), 10, 0, G_MAXUINT64, &bytes, NULL))
    return false;
  *number = (double)bytes;
  return true;
}

static void note_group(const char *folder, const char *path, const struct version *version, double *percent)
{
  static const double no_limit = 0x1p60; /* of version 1, which has numbers alone */
  double used, limit;
  if (read_number(folder, path, version->limit, &limit) && limit > 0 && limit < no_limit &&
      read_number(folder, path, version->used, &used))
    *percent = MAX(*percent, 100 * used / limit);
}

/* A group and those above it. In a container the path may be the host's: its own is at the top then. */
static double percent_of(const char *cgroups, const char *path, const struct version *version)
{
  double percent = -1;
  g_autofree char *folder = g_build_filename(cgroups, version->folder, NULL), *at = g_strdup(path);
  for (;;) {
    note_group(folder, at, version, &percent);
    char *last = strrchr(at, '/');
    if (last == NULL || at[0] == '\0')
      return percent;
    *last = '\0';
  }
}

/* The path in a line of that version: "0::/path", "4:cpu,memory:/path". A new text; NULL: it is none. */
static char *path_in(const char *line, const struct version *version)
{
  g_auto(GStrv) fields = g_strsplit(line, ":", 3);
  if (g_strv_length(fields) < 3)
    return NULL;
  g_auto(GStrv) controllers = g_strsplit(fields[1], ",", -1);
  bool is_meant =
      version == &version_2 ? fields[1][0] == '\0' : g_strv_contains((const char *const *)controllers, "memory");
  if (!is_meant)
    return NULL;
  return g_strdup(strstr(fields[2], "/..") != NULL ? "/" : fields[2]); /* outside of what we see */
}

static char *path_of(const char *membership, const struct version *version)
{
  char *path = NULL;
  g_auto(GStrv) lines = g_strsplit(membership, "\n", -1);
  for (char **line = lines; *line != NULL && path == NULL; line++)
    path = path_in(*line, version);
  return path;
}

bool pressure_of_limit(const char *cgroups, const char *membership, double *percent)
{
  static const struct version *const versions[] = {&version_2, &version_1};
  *percent = -1;
  for (unsigned i = 0; i < G_N_ELEMENTS(versions); i++) {
    g_autofree char *path = path_of(membership, versions[i]);
    double of_version = path != NULL ? percent_of(cgroups, path, versions[i]) : -1;
    *percent = MAX(*percent, of_version);
  }
  return *percent >= 0;
}

/* "some avg10=1.50 avg60=..." */
static bool read_stall(const char *text, double *percent)
{
  static const char start[] = "some avg10=";
  const char *at = text != NULL ? strstr(text, start) : NULL;
  if (at == NULL)
    return false;
  *percent = g_ascii_strtod(at + strlen(start), NULL);
  return true;
}

bool pressure_stall(const char *cgroups, const char *membership, const char *machine, double *percent)
{
  g_autofree char *path = path_of(membership, &version_2);
  g_autofree char *of_group = path != NULL ? read_text(cgroups, path, "memory.pressure") : NULL;
  if (read_stall(of_group, percent))
    return true;
  g_autofree char *of_machine = NULL;
  (void)g_file_get_contents(machine, &of_machine, NULL, NULL);
  return read_stall(of_machine, percent);
}
