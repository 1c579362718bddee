/* SPDX-License-Identifier: MIT */
#include "tools/record/recorder.h"

#include "tools/record/amount.h"

static void free_tracked(gpointer tracked)
{
  tracked_free(tracked);
}

struct recorder *recorder_new(struct store *store, const struct upkeep *upkeep, GError **error)
{
  struct recorder *recorder = g_new0(struct recorder, 1);
  recorder->store = store;
  recorder->upkeep = *upkeep;
  recorder->tracked = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_tracked);
  if ((recorder->texts = texts_load(store, error)) != NULL)
    return recorder;
  recorder_free(recorder);
  return NULL;
}

void recorder_free(struct recorder *recorder)
{
  if (recorder == NULL)
    return;
  g_hash_table_destroy(recorder->tracked);
  texts_free(recorder->texts);
  store_free(recorder->store);
  g_free(recorder);
}

bool recorder_begin(struct recorder *recorder, GError **error)
{
  if (recorder->texts == NULL && (recorder->texts = texts_load(recorder->store, error)) == NULL)
    return false;
  return store_begin(recorder->store, error);
}

/* What is known may not be in the file: it is read again. */
static void forget(struct recorder *recorder)
{
  g_hash_table_remove_all(recorder->tracked);
  g_clear_pointer(&recorder->texts, texts_free);
}

void recorder_give_up(struct recorder *recorder)
{
  store_rollback(recorder->store);
  forget(recorder);
}

bool recorder_end(struct recorder *recorder, GError **error)
{
  if (store_commit(recorder->store, error))
    return true;
  recorder_give_up(recorder);
  return false;
}

static int64_t find_or_add(struct recorder *recorder, const struct recorded_process *process, const struct heap *heap,
                           GError **error)
{
  g_autoptr(GError) problem = NULL;
  int64_t id = process_row_find(recorder->store, process->pid, process->created_unix_ns, &problem);
  if (problem != NULL)
    return g_propagate_error(error, g_steal_pointer(&problem)), 0;
  if (id == 0)
    return process_row_add(recorder->store, heap, process->pid, process->created_unix_ns, process->program,
                           process->command, error);
  bool lives = store_do(recorder->store, error,
                        "UPDATE process SET ended_ns = NULL WHERE id = ? AND ended_ns IS NOT "
                        "NULL",
                        "i", id);
  return lives ? id : 0;
}

static struct tracked *tracked_of(struct recorder *recorder, int64_t process, GError **error)
{
  struct tracked *tracked = g_hash_table_lookup(recorder->tracked, &process);
  if (tracked == NULL && (tracked = tracked_load(recorder->store, process, recorder->texts, error)) != NULL)
    g_hash_table_insert(recorder->tracked, g_memdup2(&process, sizeof process), tracked);
  return tracked;
}

/* What has moments of a time that is yet to come, for the clock was set back, is left, and begun anew: times are those
 * that the clock told. A second may be a correction. */
static struct tracked *tracked_now(struct recorder *recorder, int64_t *id, const struct recorded_process *process,
                                   const struct heap *heap, GError **error)
{
  struct tracked *tracked = tracked_of(recorder, *id, error);
  if (tracked == NULL || heap->time_unix_ns > tracked->chain.last_ns - AMOUNT_SECOND_NS)
    return tracked;
  if (!recorder_leave_process(recorder, *id, error))
    return NULL;
  *id = process_row_add(recorder->store, heap, process->pid, process->created_unix_ns, process->program,
                        process->command, error);
  return *id != 0 ? tracked_of(recorder, *id, error) : NULL;
}

int64_t recorder_put(struct recorder *recorder, const struct recorded_process *process, struct heap *heap,
                     tracked_name *name, void *data, GError **error)
{
  int64_t id = find_or_add(recorder, process, heap, error);
  struct tracked *tracked = id != 0 ? tracked_now(recorder, &id, process, heap, error) : NULL;
  bool is_put = tracked != NULL && tracked_put(tracked, recorder->store, recorder->texts, heap, process->resident_bytes,
                                               name, data, error);
  return is_put ? id : 0;
}

static bool set_end(struct recorder *recorder, int64_t process, int64_t sign, GError **error)
{
  if (!store_do(recorder->store, error,
                "UPDATE process SET ended_ns = ? * coalesce((SELECT max(time_ns) FROM moment WHERE moment.process = "
                "process.id), created_unix_ns) WHERE id = ?",
                "ii", sign, process))
    return false;
  g_hash_table_remove(recorder->tracked, &process);
  return true;
}

bool recorder_end_process(struct recorder *recorder, int64_t process, GError **error)
{
  return set_end(recorder, process, 1, error);
}

bool recorder_leave_process(struct recorder *recorder, int64_t process, GError **error)
{
  return set_end(recorder, process, -1, error);
}

/* A chain that is gone is not continued. */
static bool check_chains(struct recorder *recorder, GError **error)
{
  GHashTableIter iterator;
  gpointer value;
  g_hash_table_iter_init(&iterator, recorder->tracked);
  while (g_hash_table_iter_next(&iterator, NULL, &value)) {
    struct tracked *tracked = value;
    int64_t there;
    if (!store_number(recorder->store, error, &there, 0,
                      "SELECT count(*) FROM moment WHERE process = ? AND time_ns = ? AND level = 0", "ii",
                      tracked->process, tracked->chain.start_ns))
      return false;
    if (there == 0)
      tracked->chain = (struct chain){.process = tracked->process, .last_ns = tracked->chain.last_ns};
  }
  return true;
}

bool recorder_keep_up(struct recorder *recorder, struct upkeep_time now, GError **error)
{
  recorder->upkeep.has_swept = false;
  bool is_done = upkeep_run(&recorder->upkeep, recorder->store, now, error);
  if (recorder->upkeep.has_swept)
    forget(recorder);
  return check_chains(recorder, is_done ? error : NULL) && is_done;
}
