/* SPDX-License-Identifier: MIT */
#include "tools/run/oom_kills.h"

#include <glib.h>
#include <string.h>

/* "oom_kill 3", on a line of its own. */
static int64_t read_counter(const char *folder, const char *path, const char *file)
{
  g_autofree char *name = g_build_filename(folder, path, file, NULL), *text = NULL;
  if (!g_file_get_contents(name, &text, NULL, NULL))
    return -1;
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    if (g_str_has_prefix(*line, "oom_kill "))
      return g_ascii_strtoll(*line + strlen("oom_kill "), NULL, 10);
  return -1;
}

/* In a container the path may be the host's, and what is mounted the container's part alone. */
static int64_t read_at_or_above(const char *folder, const char *path, const char *file)
{
  int64_t count = read_counter(folder, path, file);
  return count >= 0 ? count : read_counter(folder, "/", file);
}

/* "0::/path" is version 2, "4:memory:/path" version 1 with that controller. */
static int64_t read_line(const char *cgroups, const char *line)
{
  g_auto(GStrv) fields = g_strsplit(line, ":", 3);
  if (g_strv_length(fields) < 3)
    return -1;
  if (fields[1][0] == '\0')
    return read_at_or_above(cgroups, fields[2], "memory.events");
  g_auto(GStrv) controllers = g_strsplit(fields[1], ",", -1);
  if (!g_strv_contains((const char *const *)controllers, "memory"))
    return -1;
  g_autofree char *folder = g_build_filename(cgroups, "memory", NULL);
  return read_at_or_above(folder, fields[2], "memory.oom_control");
}

int64_t oom_kills_at(const char *cgroups, const char *membership)
{
  g_auto(GStrv) lines = g_strsplit(membership, "\n", -1);
  int64_t count = -1;
  for (char **line = lines; *line != NULL && count < 0; line++)
    count = read_line(cgroups, *line);
  return count;
}

int64_t oom_kills(void)
{
  g_autofree char *membership = NULL;
  if (!g_file_get_contents("/proc/self/cgroup", &membership, NULL, NULL))
    return -1;
  return oom_kills_at("/sys/fs/cgroup", membership);
}
