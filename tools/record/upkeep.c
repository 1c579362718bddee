/* SPDX-License-Identifier: MIT */
#include "tools/record/upkeep.h"

#include "tools/record/chain.h"
#include "tools/record/process_row.h"
#include "tools/terminal/quantity.h"

#define MINUTE_NS (60 * INT64_C(1000000000))
#define HOUR_NS (60 * MINUTE_NS)

struct age {
  int64_t older_ns, step_ns;
};

static const struct age ages[] = {
    {0, 1},
    {HOUR_NS, HOUR_NS / 60},
    {24 * HOUR_NS, HOUR_NS / 6},
    {7 * 24 * HOUR_NS, HOUR_NS},
};

struct chain_name {
  int64_t process, chain_ns;
};

/* Runs `what` as one change. */
static bool change(struct store *store, bool (*what)(struct store *store, const void *data, GError **error),
                   const void *data, GError **error)
{
  if (!store_begin(store, error))
    return false;
  if (what(store, data, error) && store_commit(store, error))
    return true;
  store_rollback(store);
  return false;
}

/* struct chain_name: of chains of a level that began before. */
static GArray *chains_before(struct store *store, int level, int64_t before_ns, GError **error)
{
  g_autoptr(GError) problem = NULL;
  GArray *chains = g_array_new(FALSE, FALSE, sizeof(struct chain_name));
  g_autoptr(sqlite3_stmt) query =
      store_query(store, &problem,
                  "SELECT process, chain_ns FROM moment WHERE level = ? AND time_ns < ? GROUP BY process, chain_ns",
                  "ii", (int64_t)level, before_ns);
  while (query != NULL && store_next(store, query, &problem)) {
    struct chain_name name = {sqlite3_column_int64(query, 0), sqlite3_column_int64(query, 1)};
    g_array_append_val(chains, name);
  }
  if (problem == NULL)
    return chains;
  g_propagate_error(error, g_steal_pointer(&problem));
  g_array_free(chains, TRUE);
  return NULL;
}

static bool newest_of(struct store *store, const struct chain_name *name, int64_t *newest_ns, GError **error)
{
  return store_number(store, error, newest_ns, INT64_MAX,
                      "SELECT max(time_ns) FROM moment WHERE process = ? AND time_ns >= ? AND chain_ns = ?", "iii",
                      name->process, name->chain_ns, name->chain_ns);
}

/* --- thinning --- */

static bool thin_one(struct store *store, const void *data, GError **error)
{
  const struct thinning *thinning = data;
  unsigned types = process_row_types(store, thinning->process, error);
  return types > 0 && chain_thin(store, types, thinning, error);
}

static int level_of_age(int64_t age_ns)
{
  int level = 0;
  for (int i = 1; i < (int)G_N_ELEMENTS(ages); i++)
    if (age_ns > ages[i].older_ns)
      level = i;
  return level;
}

static bool thin_chain(struct store *store, const struct chain_name *name, int from_level, int64_t now_ns,
                       GError **error)
{
  int64_t newest_ns;
  if (!newest_of(store, name, &newest_ns, error))
    return false;
  int level = level_of_age(now_ns - newest_ns);
  struct thinning thinning = {.process = name->process,
                              .chain_ns = name->chain_ns,
                              .since_ns = INT64_MIN,
                              .step_ns = ages[level].step_ns,
                              .level = level};
  return level <= from_level || change(store, thin_one, &thinning, error);
}

static bool thin(struct store *store, int64_t now_ns, GError **error)
{
  bool is_done = true;
  for (int level = 0; is_done && level + 1 < (int)G_N_ELEMENTS(ages); level++) {
    g_autoptr(GArray) chains = chains_before(store, level, now_ns - ages[level + 1].older_ns, error);
    is_done = chains != NULL;
    for (guint i = 0; is_done && i < chains->len; i++)
      is_done = thin_chain(store, &g_array_index(chains, struct chain_name, i), level, now_ns, error);
  }
  return is_done;
}

/* --- forgetting --- */

static bool remove_chain(struct store *store, const void *data, GError **error)
{
  const struct chain_name *name = data;
  return store_do(store, error, "DELETE FROM moment WHERE process = ? AND time_ns >= ? AND chain_ns = ?", "iii",
                  name->process, name->chain_ns, name->chain_ns);
}

static bool forget_old(struct store *store, int64_t since_ns, GError **error)
{
  bool is_done = true;
  for (int level = 0; is_done && level < (int)G_N_ELEMENTS(ages); level++) {
    g_autoptr(GArray) chains = chains_before(store, level, since_ns, error);
    is_done = chains != NULL;
    for (guint i = 0; is_done && i < chains->len; i++) {
      int64_t newest_ns;
      const struct chain_name *name = &g_array_index(chains, struct chain_name, i);
      is_done = newest_of(store, name, &newest_ns, error) &&
                (newest_ns >= since_ns || change(store, remove_chain, name, error));
    }
  }
  return is_done;
}

/* Ended ones that nothing is left of. */
static GArray *empty_processes(struct store *store, GError **error)
{
  g_autoptr(GError) problem = NULL;
  GArray *processes = g_array_new(FALSE, FALSE, sizeof(int64_t));
  g_autoptr(sqlite3_stmt) query = store_query(
      store, &problem,
      "SELECT id FROM process WHERE ended_ns IS NOT NULL AND NOT EXISTS (SELECT 1 FROM moment WHERE process = "
      "process.id)",
      "");
  while (query != NULL && store_next(store, query, &problem)) {
    int64_t id = sqlite3_column_int64(query, 0);
    g_array_append_val(processes, id);
  }
  if (problem == NULL)
    return processes;
  g_propagate_error(error, g_steal_pointer(&problem));
  g_array_free(processes, TRUE);
  return NULL;
}

static bool remove_process(struct store *store, const void *data, GError **error)
{
  return process_row_remove(store, *(const int64_t *)data, error);
}

static bool note_texts(struct store *store, GHashTable *used, GError **error)
{
  g_autoptr(GError) problem = NULL;
  g_autoptr(sqlite3_stmt) query = store_query(store, &problem, "SELECT part FROM part", "");
  while (query != NULL && store_next(store, query, &problem)) {
    size_t size;
    const void *bytes = store_blob(query, 0, &size);
    if (!part_note_texts(bytes, size, used, store->path, &problem))
      break;
  }
  if (problem == NULL)
    return true;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}

static bool sweep(struct store *store, const void *data, GError **error)
{
  (void)data;
  g_autoptr(GHashTable) used = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  return note_texts(store, used, error) && texts_sweep(store, used, error);
}

static bool remove_empty(struct upkeep *upkeep, struct store *store, GError **error)
{
  int64_t left;
  g_autoptr(GArray) processes = empty_processes(store, error);
  bool is_done = processes != NULL;
  for (guint i = 0; is_done && i < processes->len; i++)
    is_done = change(store, remove_process, &g_array_index(processes, int64_t, i), error);
  upkeep->removed += is_done ? processes->len : 0;
  if (!is_done || !store_number(store, error, &left, 0, "SELECT count(*) FROM process", ""))
    return false;
  if (upkeep->removed == 0 || upkeep->removed * 4 < left)
    return true;
  upkeep->removed = 0;
  upkeep->has_swept = true;
  return change(store, sweep, NULL, error);
}

/* --- size --- */

/* What is in use of the file must leave room for what is written before it is put there. */
static bool is_too_large(const struct upkeep *upkeep, struct store *store, bool *is_so, GError **error)
{
  int64_t pages, free_pages, page_bytes;
  if (!store_number(store, error, &pages, 0, "PRAGMA page_count", "") ||
      !store_number(store, error, &free_pages, 0, "PRAGMA freelist_count", "") ||
      !store_number(store, error, &page_bytes, 0, "PRAGMA page_size", ""))
    return false;
  *is_so = (uint64_t)((pages - free_pages) * page_bytes) > upkeep->size_bytes / 4 * 3;
  return true;
}

/* 0 and no *error: there is none. */
static bool oldest_chain(struct store *store, struct chain_name *name, GError **error)
{
  int64_t oldest_ns = INT64_MAX;
  *name = (struct chain_name){0, 0};
  for (int level = 0; level < (int)G_N_ELEMENTS(ages); level++) {
    int64_t time_ns, process;
    if (!store_number(store, error, &time_ns, INT64_MAX, "SELECT min(time_ns) FROM moment WHERE level = ?", "i",
                      (int64_t)level) ||
        !store_number(store, error, &process, 0, "SELECT process FROM moment WHERE level = ? AND time_ns = ?", "ii",
                      (int64_t)level, time_ns))
      return false;
    if (process != 0 && time_ns < oldest_ns) {
      oldest_ns = time_ns;
      *name = (struct chain_name){process, time_ns};
    }
  }
  return true;
}

static bool remove_oldest_kept(struct store *store, const void *data, GError **error)
{
  (void)data;
  return store_do(store, error, "DELETE FROM kept WHERE id = (SELECT min(id) FROM kept)", "");
}

/* Chains first, then what conditions have kept. */
static bool forget_oldest(struct store *store, bool *has_any, GError **error)
{
  int64_t kept;
  struct chain_name name;
  if (!oldest_chain(store, &name, error))
    return false;
  *has_any = name.process != 0;
  if (*has_any)
    return change(store, remove_chain, &name, error);
  if (!store_number(store, error, &kept, 0, "SELECT count(*) FROM kept", ""))
    return false;
  *has_any = kept > 0;
  return kept == 0 || change(store, remove_oldest_kept, NULL, error);
}

static bool cut_to_size(struct upkeep *upkeep, struct store *store, GError **error)
{
  bool is_so, has_any = true;
  if (!is_too_large(upkeep, store, &is_so, error))
    return false;
  while (is_so && has_any)
    if (!forget_oldest(store, &has_any, error) || !remove_empty(upkeep, store, error) ||
        !is_too_large(upkeep, store, &is_so, error))
      return false;
  if (!is_so)
    return true;
  g_set_error(error, STORE_ERROR, STORE_ERROR_NO_ROOM, "%s: its processes have more stacks than fit into %s",
              store->path, quantity((double)upkeep->size_bytes, "bytes").text);
  return false;
}

static bool is_all_old(const struct upkeep *upkeep, struct store *store, int64_t now_ns)
{
  int64_t newest_ns = 0;
  return store_number(store, NULL, &newest_ns, 0, "SELECT max(time_ns) FROM moment", "") && newest_ns != 0 &&
         newest_ns < now_ns - upkeep->keep_ns;
}

/* At the start there is nothing to compare the clock with but what was recorded before. */
static bool is_believed(struct upkeep *upkeep, struct store *store, struct upkeep_time now)
{
  int64_t ahead_ns = now.real_ns - now.boot_ns;
  bool is_start = !upkeep->has_begun;
  if (is_start ? is_all_old(upkeep, store, now.real_ns) : ahead_ns - upkeep->ahead_ns > MINUTE_NS)
    upkeep->believed_ns = now.boot_ns + HOUR_NS;
  upkeep->has_begun = true;
  upkeep->ahead_ns = ahead_ns;
  return now.boot_ns >= upkeep->believed_ns;
}

static bool look_at_ages(struct upkeep *upkeep, struct store *store, struct upkeep_time now, GError **error)
{
  int64_t since_ns = now.real_ns - upkeep->looked_ns;
  if (!is_believed(upkeep, store, now) || (since_ns >= 0 && since_ns < MINUTE_NS))
    return true;
  upkeep->looked_ns = now.real_ns;
  return forget_old(store, now.real_ns - upkeep->keep_ns, error) && thin(store, now.real_ns, error) &&
         remove_empty(upkeep, store, error);
}

bool upkeep_run(struct upkeep *upkeep, struct store *store, struct upkeep_time now, GError **error)
{
  int64_t free_pages;
  return look_at_ages(upkeep, store, now, error) && cut_to_size(upkeep, store, error) &&
         store_number(store, error, &free_pages, 0, "PRAGMA freelist_count", "") &&
         (free_pages == 0 || store_shrink(store, error));
}
