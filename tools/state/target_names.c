/* SPDX-License-Identifier: MIT */
#include "tools/state/target_names.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TARGET_NAMES_ERROR g_quark_from_static_string("heapprof-target-names")

/* True also of what is not there. */
static bool is_program_or_nothing(const char *path)
{
  char start[SELFMAG];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return access(path, F_OK) != 0;
  bool is_program = pread(fd, start, sizeof start, 0) == SELFMAG && memcmp(start, ELFMAG, SELFMAG) == 0;
  (void)close(fd);
  return is_program;
}

bool target_names_may_be(const char *text)
{
  return text[0] != '\0' && strcmp(text, "-") != 0 && strchr(text, '/') == NULL && is_program_or_nothing(text);
}

bool target_names_is(const struct target *target, const char *name)
{
  if (strcmp(target->summary.program, name) == 0)
    return true;
  g_autofree char *command = target_command(target);
  command[strcspn(command, " ")] = '\0';
  g_autofree char *base = g_path_get_basename(command);
  return strcmp(base, name) == 0;
}

GPtrArray *target_names_all(const char *name)
{
  GPtrArray *targets = targets_scan(NULL);
  for (guint i = targets->len; i-- > 0;)
    if (!target_names_is(g_ptr_array_index(targets, i), name))
      g_ptr_array_remove_index(targets, i);
  return targets;
}

static bool is_better(const struct target *target, const struct target *than)
{
  if (target->is_alive != than->is_alive)
    return target->is_alive;
  return target->summary.created_unix_ns > than->summary.created_unix_ns;
}

struct target *target_names_find(const char *name, GError **error)
{
  g_autoptr(GPtrArray) targets = target_names_all(name);
  g_autoptr(GString) living = g_string_new(NULL);
  guint best = 0, count = 0;
  for (guint i = 0; i < targets->len; i++) {
    const struct target *target = g_ptr_array_index(targets, i);
    if (is_better(target, g_ptr_array_index(targets, best)))
      best = i;
    if (target->is_alive)
      g_string_append_printf(living, "%s%d", count++ > 0 ? ", " : "", target->pid);
  }
  if (count > 1)
    g_set_error(error, TARGET_NAMES_ERROR, 0, "%u processes are called '%s': %s; which one?", count, name, living->str);
  return targets->len > 0 && count <= 1 ? g_ptr_array_steal_index(targets, best) : NULL;
}
