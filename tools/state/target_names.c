/* SPDX-License-Identifier: MIT */
#include "tools/state/target_names.h"

#include "tools/state/process_maps.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
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

bool target_names_is_pid(const char *operand, int *pid)
{
  guint64 number;
  if (!g_ascii_string_to_unsigned(operand, 10, 1, INT_MAX, &number, NULL))
    return false;
  *pid = (int)number;
  return true;
}

/* Of a process, and when it began; UINT64_MAX: whenever. */
struct number {
  int pid;
  uint64_t start_boot_ns;
};

static bool read_number(const char *operand, struct number *number)
{
  const char *at = strchr(operand, '@');
  g_autofree char *pid = at != NULL ? g_strndup(operand, (gsize)(at - operand)) : g_strdup(operand);
  number->start_boot_ns = UINT64_MAX;
  return target_names_is_pid(pid, &number->pid) &&
         (at == NULL || g_ascii_string_to_unsigned(at + 1, 10, 0, UINT64_MAX, &number->start_boot_ns, NULL));
}

bool target_names_is_number(const char *operand, int *pid)
{
  struct number number;
  bool is_number = read_number(operand, &number);
  if (is_number)
    *pid = number.pid;
  return is_number;
}

char **target_names_pin(char *const *operands)
{
  GPtrArray *pinned = g_ptr_array_new();
  for (; *operands != NULL; operands++) {
    int pid;
    uint64_t start_boot_ns = target_names_is_pid(*operands, &pid) ? process_start_boot_ns(pid) : UINT64_MAX;
    g_ptr_array_add(pinned, start_boot_ns != UINT64_MAX ? g_strdup_printf("%d@%" G_GUINT64_FORMAT, pid, start_boot_ns)
                                                        : g_strdup(*operands));
  }
  g_ptr_array_add(pinned, NULL);
  return (char **)g_ptr_array_free(pinned, FALSE);
}

GPtrArray *target_names_reused(char *const *operands)
{
  GPtrArray *reused = g_ptr_array_new_with_free_func(g_free);
  for (; *operands != NULL; operands++) {
    struct number number;
    if (!read_number(*operands, &number) || number.start_boot_ns == UINT64_MAX)
      continue;
    uint64_t start_boot_ns = process_start_boot_ns(number.pid);
    if (start_boot_ns != UINT64_MAX && start_boot_ns != number.start_boot_ns)
      g_ptr_array_add(
          reused,
          g_strdup_printf("process %d has ended; another process has its number now, and is left out", number.pid));
  }
  return reused;
}

/* Of one that has ended only its state tells: it must not be from before. */
static bool is_that_process(const struct number *number, const struct target *target)
{
  if (number->pid != target->pid)
    return false;
  if (number->start_boot_ns == UINT64_MAX)
    return true;
  if (!target->is_alive)
    return target->summary.created_boot_ns >= number->start_boot_ns;
  uint64_t start_boot_ns = process_start_boot_ns(target->pid);
  return start_boot_ns == number->start_boot_ns || start_boot_ns == UINT64_MAX; /* it has just ended */
}

static bool means(const char *operand, const struct target *target)
{
  struct number number;
  return read_number(operand, &number) ? is_that_process(&number, target) : target_names_is(target, operand);
}

bool target_names_mean(char *const *operands, const struct target *target)
{
  for (char *const *operand = operands; *operand != NULL; operand++)
    if (means(*operand, target))
      return true;
  return operands[0] == NULL;
}

static bool are_pids(char *const *operands)
{
  int pid;
  char *const *operand = operands;
  while (*operand != NULL && target_names_is_number(*operand, &pid))
    operand++;
  return operand > operands && *operand == NULL;
}

static int compare_pids(gconstpointer a, gconstpointer b)
{
  return *(const int *)a - *(const int *)b;
}

static void free_target(gpointer target)
{
  target_free(target);
}

static GPtrArray *find_pids(char *const *operands)
{
  GPtrArray *targets = g_ptr_array_new_with_free_func(free_target);
  g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(int));
  char *const *operand = operands;
  for (int pid; *operand != NULL && target_names_is_number(*operand, &pid); operand++)
    g_array_append_val(pids, pid);
  g_array_sort(pids, compare_pids);
  for (guint i = 0; i < pids->len; i++) {
    int pid = g_array_index(pids, int, i);
    bool is_again = i > 0 && g_array_index(pids, int, i - 1) == pid;
    struct target *target = is_again ? NULL : target_find_living(pid, NULL);
    if (target != NULL && target_names_mean(operands, target))
      g_ptr_array_add(targets, target);
    else
      target_free(target);
  }
  return targets;
}

GPtrArray *target_names_scan(char *const *operands)
{
  if (are_pids(operands))
    return find_pids(operands);
  GPtrArray *targets = targets_scan(NULL);
  for (guint i = targets->len; i-- > 0;)
    if (!target_names_mean(operands, g_ptr_array_index(targets, i)))
      g_ptr_array_remove_index(targets, i);
  return targets;
}

static bool has_living(const GPtrArray *targets, const char *operand)
{
  for (guint i = 0; i < targets->len; i++) {
    const struct target *target = g_ptr_array_index(targets, i);
    if (target->is_alive && (operand == NULL || means(operand, target)))
      return true;
  }
  return false;
}

GPtrArray *target_names_missing(char *const *operands, const GPtrArray *targets)
{
  int pid;
  GPtrArray *missing = g_ptr_array_new_with_free_func(g_free);
  if (operands[0] == NULL && !has_living(targets, NULL))
    g_ptr_array_add(missing, g_strdup("no profiled process runs"));
  for (; *operands != NULL; operands++)
    if (!has_living(targets, *operands))
      g_ptr_array_add(missing, target_names_is_number(*operands, &pid)
                                   ? g_strdup_printf("no profiled process has the number %d", pid)
                                   : g_strdup_printf("no profiled process is called '%s'", *operands));
  return missing;
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
