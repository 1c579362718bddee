/* SPDX-License-Identifier: MIT */
#include "tools/scrape/served.h"

#include "tools/state/process_maps.h"
#include "tools/state/target_names.h"

#include <string.h>

enum { STATUS_NOT_FOUND = 404, STATUS_CONFLICT = 409 };

static const gint64 fresh_us = G_USEC_PER_SEC;

struct served {
  char *const *operands;
  GPtrArray *all;    /* struct target * */
  gint64 scanned_us; /* 0: not yet */
};

static void free_target(gpointer target)
{
  target_free(target);
}

char **served_pin(char *const *operands)
{
  return target_names_pin(operands);
}

struct served *served_new(char *const *operands)
{
  struct served *served = g_new0(struct served, 1);
  served->operands = operands;
  served->all = g_ptr_array_new_with_free_func(free_target);
  return served;
}

void served_free(struct served *served)
{
  g_ptr_array_free(served->all, TRUE);
  g_free(served);
}

GPtrArray *served_all(struct served *served)
{
  gint64 now_us = g_get_monotonic_time();
  if (served->scanned_us != 0 && now_us - served->scanned_us < fresh_us)
    return served->all;
  g_autoptr(GPtrArray) targets = target_names_scan(served->operands);
  g_ptr_array_set_size(served->all, 0);
  for (guint i = 0; i < targets->len; i++) {
    const struct target *target = g_ptr_array_index(targets, i);
    if (target->is_alive)
      g_ptr_array_add(served->all, g_steal_pointer(&g_ptr_array_index(targets, i)));
  }
  served->scanned_us = now_us;
  return served->all;
}

GPtrArray *served_missing(struct served *served)
{
  return target_names_missing(served->operands, served_all(served));
}

static struct target *fail(GError **error, int status, const char *format, ...) G_GNUC_PRINTF(3, 4);

static struct target *fail(GError **error, int status, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error_literal(error, SERVED_ERROR, status, message);
  return NULL;
}

static bool has_number(char *const *operands, int pid)
{
  for (int number; *operands != NULL; operands++)
    if (target_names_is_number(*operands, &number) && number == pid)
      return true;
  return false;
}

static struct target *find_by_number(struct served *served, int pid, GError **error)
{
  g_autoptr(GError) problem = NULL;
  if (!process_runs(pid))
    return fail(error, STATUS_NOT_FOUND, "there is no process %d", pid);
  struct target *target = target_find_living(pid, &problem);
  if (target == NULL)
    return fail(error, STATUS_NOT_FOUND, "%s", problem->message);
  if (target_names_mean(served->operands, target))
    return target;
  target_free(target);
  if (has_number(served->operands, pid))
    return fail(error, STATUS_NOT_FOUND, "process %d has ended; another process has its number now", pid);
  return fail(error, STATUS_NOT_FOUND, "process %d is not served", pid);
}

static struct target *find_one(struct served *served, const char *name, GError **error)
{
  g_autoptr(GString) numbers = g_string_new(NULL);
  GPtrArray *all = served_all(served);
  int found = 0, count = 0;
  for (guint i = 0; i < all->len; i++) {
    const struct target *target = g_ptr_array_index(all, i);
    if (name[0] != '\0' && !target_names_is(target, name))
      continue;
    found = target->pid;
    g_string_append_printf(numbers, "%s%d", count++ > 0 ? ", " : "", target->pid);
  }
  if (count == 1)
    return find_by_number(served, found, error);
  if (count == 0)
    return name[0] != '\0'
               ? fail(error, STATUS_NOT_FOUND, "no profiled process is called '%s'", name)
               : fail(error, STATUS_NOT_FOUND, "no profiled process runs; heapprof run -- COMMAND starts one");
  return fail(error, STATUS_CONFLICT, "%d processes: %s; ask for one: /PID/debug/pprof/", count, numbers->str);
}

/* It is meant to be one, whether or not it can be. */
static bool looks_like_number(const char *text)
{
  text += text[0] == '-';
  return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

bool served_check(char *const *operands, GError **error)
{
  for (; *operands != NULL; operands++) {
    int pid;
    bool is_number = target_names_is_number(*operands, &pid);
    if (!is_number && !looks_like_number(*operands))
      continue;
    struct served *served = served_new(operands);
    struct target *target = is_number ? find_by_number(served, pid, error)
                                      : fail(error, STATUS_NOT_FOUND, "there is no process %s", *operands);
    served_free(served);
    if (target == NULL)
      return false;
    target_free(target);
  }
  return true;
}

struct target *served_find(struct served *served, const char *process, GError **error)
{
  int pid;
  if (process[0] == '\0' && served->operands[0] != NULL)
    process = served->operands[0];
  return target_names_is_number(process, &pid) ? find_by_number(served, pid, error) : find_one(served, process, error);
}
