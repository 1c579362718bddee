/* SPDX-License-Identifier: MIT */
#include "tools/record/chain.h"

bool chain_find(struct chain *chain, struct store *store, int64_t process, GError **error)
{
  int64_t moments;
  *chain = (struct chain){.process = process};
  if (!store_number(store, error, &chain->last_ns, 0, "SELECT max(time_ns) FROM moment WHERE process = ?", "i",
                    process) ||
      !store_number(store, error, &chain->start_ns, 0, "SELECT chain_ns FROM moment WHERE process = ? AND time_ns = ?",
                    "ii", process, chain->last_ns) ||
      !store_number(store, error, &moments, 0,
                    "SELECT count(*) FROM moment WHERE process = ? AND time_ns >= ? AND chain_ns = ?", "iii", process,
                    chain->start_ns, chain->start_ns))
    return false;
  chain->moments = (unsigned)moments;
  return true;
}

static bool insert(struct store *store, const struct chain *chain, int64_t time_ns, int level,
                   const struct moment_totals *totals, GBytes *step, GError **error)
{
  return store_do(store, error,
                  "INSERT INTO moment(process, time_ns, chain_ns, level, in_use, allocated, resident, step) VALUES(?, "
                  "?, ?, ?, ?, ?, ?, ?)",
                  "iiiiiiib", chain->process, time_ns, chain->start_ns, (int64_t)level, totals->in_use_bytes,
                  totals->allocated_bytes, totals->resident_bytes, step);
}

bool chain_add(struct chain *chain, struct store *store, struct values *values, int64_t *time_ns,
               const struct moment_totals *totals, GError **error)
{
  *time_ns = MAX(*time_ns, chain->last_ns + 1);
  bool begins =
      chain->moments == 0 || chain->moments >= CHAIN_MOMENTS_MAX || *time_ns / CHAIN_NS != chain->start_ns / CHAIN_NS;
  struct chain next = *chain;
  next.start_ns = begins ? *time_ns : chain->start_ns;
  next.moments = begins ? 1 : chain->moments + 1;
  next.last_ns = *time_ns;
  g_autoptr(GBytes) step = values_pack(values, begins);
  if (!insert(store, &next, *time_ns, 0, totals, step, error))
    return false;
  *chain = next;
  return true;
}

/* Those of a chain, from its start to a time. */
static sqlite3_stmt *query_steps(struct store *store, int64_t process, int64_t chain_ns, int64_t until_ns,
                                 GError **error)
{
  return store_query(store, error,
                     "SELECT time_ns, step, in_use, allocated, resident FROM moment WHERE process = ? AND time_ns >= ? "
                     "AND time_ns <= ? AND chain_ns = ? ORDER BY time_ns",
                     "iiii", process, chain_ns, until_ns, chain_ns);
}

static bool take_step(struct store *store, sqlite3_stmt *query, struct values *values, GError **error)
{
  size_t size;
  const void *bytes = store_blob(query, 1, &size);
  return values_unpack(values, bytes, size, VALUES_STACKS_MAX, store->path, error);
}

bool chain_read(struct store *store, int64_t process, struct values *values, int64_t *time_ns, GError **error)
{
  int64_t chain_ns, until_ns = *time_ns;
  g_autoptr(GError) problem = NULL;
  if (!store_number(store, error, &chain_ns, INT64_MIN,
                    "SELECT chain_ns FROM moment WHERE process = ? AND time_ns <= ? ORDER BY time_ns DESC LIMIT 1",
                    "ii", process, until_ns) ||
      chain_ns == INT64_MIN)
    return false;
  g_autoptr(sqlite3_stmt) query = query_steps(store, process, chain_ns, until_ns, &problem);
  bool is_any = false;
  while (query != NULL && store_next(store, query, &problem) && take_step(store, query, values, &problem)) {
    *time_ns = sqlite3_column_int64(query, 0);
    is_any = true;
  }
  if (problem == NULL)
    return is_any;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}

/* Chains follow each other, and each begins with all values. */
bool chain_walk(struct store *store, int64_t process, struct values *values, chain_visit visit, void *data,
                GError **error)
{
  g_autoptr(GError) problem = NULL;
  g_autoptr(sqlite3_stmt) query =
      store_query(store, &problem, "SELECT time_ns, step FROM moment WHERE process = ? ORDER BY time_ns", "i", process);
  while (query != NULL && store_next(store, query, &problem) && take_step(store, query, values, &problem) &&
         visit(sqlite3_column_int64(query, 0), values, data)) {
  }
  if (problem == NULL)
    return true;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}

/* --- thinning --- */

struct thinner {
  struct store *store;
  const struct thinning *thinning;
  struct values *values;
  struct chain chain; /* the new one */
  int64_t time_ns;    /* of the moment that may be the last of its step; 0: there is none */
  struct moment_totals totals;
};

static int64_t step_of(const struct thinner *thinner, int64_t time_ns)
{
  return time_ns / MAX(thinner->thinning->step_ns, 1);
}

static bool put(struct thinner *thinner, GError **error)
{
  if (thinner->time_ns < thinner->thinning->since_ns || thinner->time_ns == 0)
    return true;
  bool begins = thinner->chain.moments++ == 0;
  thinner->chain.start_ns = begins ? thinner->time_ns : thinner->chain.start_ns;
  g_autoptr(GBytes) step = values_pack(thinner->values, begins);
  return insert(thinner->store, &thinner->chain, thinner->time_ns, thinner->thinning->level, &thinner->totals, step,
                error);
}

/* The steps as they are, to be written anew. */
static GPtrArray *read_steps(struct store *store, const struct thinning *thinning, GArray *times, GArray *totals,
                             GError **error)
{
  g_autoptr(GError) problem = NULL;
  GPtrArray *steps = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  g_autoptr(sqlite3_stmt) query = query_steps(store, thinning->process, thinning->chain_ns, INT64_MAX, &problem);
  while (query != NULL && store_next(store, query, &problem)) {
    size_t size;
    const void *bytes = store_blob(query, 1, &size);
    int64_t time_ns = sqlite3_column_int64(query, 0);
    struct moment_totals one = {sqlite3_column_int64(query, 2), sqlite3_column_int64(query, 3),
                                sqlite3_column_int64(query, 4)};
    g_ptr_array_add(steps, g_bytes_new(bytes, size));
    g_array_append_val(times, time_ns);
    g_array_append_val(totals, one);
  }
  if (problem == NULL)
    return steps;
  g_propagate_error(error, g_steal_pointer(&problem));
  g_ptr_array_free(steps, TRUE);
  return NULL;
}

static bool write_anew(struct thinner *thinner, const GPtrArray *steps, const GArray *times, const GArray *totals,
                       GError **error)
{
  for (guint i = 0; i < steps->len; i++) {
    size_t size;
    const void *bytes = g_bytes_get_data(g_ptr_array_index(steps, i), &size);
    int64_t time_ns = g_array_index(times, int64_t, i);
    if (thinner->time_ns != 0 && step_of(thinner, time_ns) != step_of(thinner, thinner->time_ns) &&
        !put(thinner, error))
      return false;
    if (!values_unpack(thinner->values, bytes, size, VALUES_STACKS_MAX, thinner->store->path, error))
      return false;
    thinner->time_ns = time_ns;
    thinner->totals = g_array_index(totals, struct moment_totals, i);
  }
  return put(thinner, error);
}

bool chain_thin(struct store *store, unsigned types, const struct thinning *thinning, GError **error)
{
  g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(int64_t)),
                    totals = g_array_new(FALSE, FALSE, sizeof(struct moment_totals));
  g_autoptr(GPtrArray) steps = read_steps(store, thinning, times, totals, error);
  if (steps == NULL || !store_do(store, error, "DELETE FROM moment WHERE process = ? AND time_ns >= ? AND chain_ns = ?",
                                 "iii", thinning->process, thinning->chain_ns, thinning->chain_ns))
    return false;
  struct thinner thinner = {
      .store = store, .thinning = thinning, .values = values_new(types), .chain.process = thinning->process};
  bool is_done = write_anew(&thinner, steps, times, totals, error);
  values_free(thinner.values);
  return is_done;
}
