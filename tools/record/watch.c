/* SPDX-License-Identifier: MIT */
#include "tools/record/watch.h"

#include "tools/heap/save.h"
#include "tools/record/condition.h"
#include "tools/record/moment.h"
#include "tools/record/pressure.h"
#include "tools/terminal/say.h"
#include "tools/views/change.h"
#include "tools/views/limit.h"

struct watch {
  const GArray *conditions;
  unsigned last;
  GHashTable *kept; /* "PROCESS CONDITION" of what holds -> double *: the value that was kept last */
  GHashTable *said; /* of conditions: that somebody's value is not known */
};

/* A moment of a process, and the one that it is compared with. */
struct watched {
  struct recorder *recorder;
  int64_t process, time_ns, in_use;
  int pid;
  const char *program;
};

struct watch *watch_new(const GArray *conditions, unsigned last)
{
  struct watch *watch = g_new0(struct watch, 1);
  watch->conditions = conditions;
  watch->last = last;
  watch->kept = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  watch->said = g_hash_table_new(g_str_hash, g_str_equal);
  return watch;
}

void watch_free(struct watch *watch)
{
  g_hash_table_destroy(watch->kept);
  g_hash_table_destroy(watch->said);
  g_free(watch);
}

void watch_forget(struct watch *watch)
{
  g_hash_table_remove_all(watch->kept);
}

/* --- values --- */

static const char pressure_of_machine[] = "/proc/pressure/memory";

/* Once of each condition: others of --all may have what this one lacks. */
static void say_unknown(struct watch *watch, const struct watched *watched, const struct condition *condition)
{
  if (!g_hash_table_add(watch->said, (char *)condition->text))
    return;
  if (condition->kind == CONDITION_CGROUP)
    say("%s is not known of %s (%d): neither its control group nor one above it has a limit of memory", condition->text,
        watched->program, watched->pid);
  else
    say("%s is not known of %s (%d): neither its control group nor %s tells what waits for memory", condition->text,
        watched->program, watched->pid, pressure_of_machine);
}

static bool pressure_of(struct watch *watch, const struct watched *watched, const struct condition *condition,
                        double *value)
{
  static const char cgroups[] = "/sys/fs/cgroup";
  g_autofree char *name = g_strdup_printf("/proc/%d/cgroup", watched->pid), *membership = NULL;
  if (!g_file_get_contents(name, &membership, NULL, NULL)) /* it has ended */
    return false;
  bool is_known = condition->kind == CONDITION_CGROUP ? pressure_of_limit(cgroups, membership, value)
                                                      : pressure_stall(cgroups, membership, pressure_of_machine, value);
  if (!is_known)
    say_unknown(watch, watched, condition);
  return is_known;
}

static double variance_of_change(const struct heap *old, const struct heap *new)
{
  int old_type = heap_find_type(old, "inuse_space"), type = heap_find_type(new, "inuse_space");
  return old_type >= 0 && type >= 0 ? change_variance_of_totals(old, old_type, new, type) : 0;
}

static struct heap *read_moment(const struct watched *watched, int64_t time_ns, GError **error)
{
  return moment_read(watched->recorder->store, watched->recorder->texts, watched->process, &time_ns, error);
}

/* Would that much growth not be there by chance? */
static bool is_beyond_chance(const struct watched *watched, int64_t then_ns, double excess, bool *is_so, GError **error)
{
  struct heap *old = read_moment(watched, then_ns, error);
  struct heap *new = old != NULL ? read_moment(watched, watched->time_ns, error) : NULL;
  if (new != NULL) {
    *is_so = limit_is_broken(excess, variance_of_change(old, new), 1);
    heap_free(new);
  }
  if (old != NULL)
    heap_free(old);
  return new != NULL;
}

/* The moment that growth is counted from: the last one that is so old, or the first there is. */
static bool find_then(const struct watched *watched, int64_t window_ns, int64_t *then_ns, GError **error)
{
  struct store *store = watched->recorder->store;
  return store_number(store, error, then_ns, 0, "SELECT max(time_ns) FROM moment WHERE process = ? AND time_ns <= ?",
                      "ii", watched->process, watched->time_ns - window_ns) &&
         (*then_ns != 0 || store_number(store, error, then_ns, 0, "SELECT min(time_ns) FROM moment WHERE process = ?",
                                        "i", watched->process));
}

static bool growth_of(const struct watched *watched, const struct condition *condition, double *value, bool *holds,
                      GError **error)
{
  int64_t then_ns, in_use;
  if (!find_then(watched, condition->window_ns, &then_ns, error) ||
      !store_number(watched->recorder->store, error, &in_use, 0,
                    "SELECT in_use FROM moment WHERE process = ? AND time_ns = ?", "ii", watched->process, then_ns))
    return false;
  *value = (double)watched->in_use - (double)in_use;
  return *value <= condition->bound || is_beyond_chance(watched, then_ns, *value - condition->bound, holds, error);
}

static bool judge(struct watch *watch, const struct watched *watched, const struct condition *condition, double *value,
                  bool *holds, GError **error)
{
  *holds = false;
  if (condition->kind == CONDITION_GROWTH)
    return growth_of(watched, condition, value, holds, error);
  *value = (double)watched->in_use;
  bool is_known = condition->kind == CONDITION_INUSE || pressure_of(watch, watched, condition, value);
  *holds = is_known && *value > condition->bound;
  return true;
}

/* --- keeping --- */

static bool forget_others(const struct watch *watch, struct store *store, const char *program, const char *condition,
                          GError **error)
{
  return store_do(
      store, error,
      "DELETE FROM kept WHERE program = ?1 AND condition = ?2 AND id NOT IN (SELECT min(id) FROM kept WHERE "
      "program = ?1 AND condition = ?2) AND id NOT IN (SELECT id FROM kept WHERE program = ?1 AND condition "
      "= ?2 ORDER BY value DESC, id LIMIT 1) AND id NOT IN (SELECT id FROM kept WHERE program = ?1 AND "
      "condition = ?2 ORDER BY id DESC LIMIT ?3)",
      "tti", program, condition, (int64_t)watch->last);
}

static bool keep(const struct watch *watch, const struct watched *watched, const struct condition *condition,
                 double value, GError **error)
{
  struct store *store = watched->recorder->store;
  struct heap *heap = read_moment(watched, watched->time_ns, error);
  if (heap == NULL)
    return false;
  g_autoptr(GBytes) profile = save_bytes(heap, error);
  heap_free(heap);
  return profile != NULL &&
         store_do(store, error,
                  "INSERT INTO kept(process, time_ns, program, condition, value, profile) VALUES(?, ?, ?, ?, ?, ?)",
                  "iittrb", watched->process, watched->time_ns, watched->program, condition->text, value, profile) &&
         forget_others(watch, store, watched->program, condition->text, error);
}

static bool check_one(struct watch *watch, const struct watched *watched, const struct condition *condition,
                      GError **error)
{
  bool holds;
  double value = 0;
  g_autofree char *name = g_strdup_printf("%" G_GINT64_FORMAT " %s", watched->process, condition->text);
  if (!judge(watch, watched, condition, &value, &holds, error))
    return false;
  if (!holds) {
    g_hash_table_remove(watch->kept, name);
    return true;
  }
  const double *before = g_hash_table_lookup(watch->kept, name);
  if (before != NULL && value <= *before * 1.1)
    return true;
  if (!keep(watch, watched, condition, value, error))
    return false;
  g_hash_table_replace(watch->kept, g_steal_pointer(&name), g_memdup2(&value, sizeof value));
  return true;
}

bool watch_check(struct watch *watch, struct recorder *recorder, int64_t process, int pid, const char *program,
                 GError **error)
{
  g_autofree char *valid = g_utf8_make_valid(program, -1);
  struct watched watched = {.recorder = recorder, .process = process, .pid = pid, .program = valid};
  if (watch->conditions->len == 0)
    return true;
  if (!store_number(recorder->store, error, &watched.time_ns, 0, "SELECT max(time_ns) FROM moment WHERE process = ?",
                    "i", process) ||
      !store_number(recorder->store, error, &watched.in_use, 0,
                    "SELECT in_use FROM moment WHERE process = ? AND time_ns = ?", "ii", process, watched.time_ns))
    return false;
  for (guint i = 0; i < watch->conditions->len; i++)
    if (!check_one(watch, &watched, &g_array_index(watch->conditions, struct condition, i), error))
      return false;
  return true;
}
