/* SPDX-License-Identifier: MIT */
#include "tools/push/aside.h"

#include <string.h>

struct held {
  gint64 since_us;
  unsigned tries, tries_when_well;
};

void aside_init(struct aside *aside)
{
  *aside = (struct aside){.pids = g_hash_table_new(g_direct_hash, g_direct_equal),
                          .entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free)};
}

void aside_clear(struct aside *aside)
{
  g_hash_table_destroy(aside->pids);
  g_hash_table_destroy(aside->entries);
}

void aside_take(struct aside *aside, int pid)
{
  g_hash_table_remove(aside->pids, GINT_TO_POINTER(pid));
}

void aside_fail(struct aside *aside, int pid)
{
  g_hash_table_add(aside->pids, GINT_TO_POINTER(pid));
}

bool aside_has_process(const struct aside *aside, int pid)
{
  return g_hash_table_contains(aside->pids, GINT_TO_POINTER(pid));
}

void aside_hold(struct aside *aside, const char *entry, gint64 now_us)
{
  if (aside_has(aside, entry))
    return;
  struct held held = {.since_us = now_us};
  if (aside_count(aside) == 0) {
    patience_end(&aside->patience);
    patience_lose(&aside->patience, now_us, 0);
  }
  g_hash_table_insert(aside->entries, g_strdup(entry), g_memdup2(&held, sizeof held));
}

bool aside_has(const struct aside *aside, const char *entry)
{
  return g_hash_table_contains(aside->entries, entry);
}

guint aside_count(const struct aside *aside)
{
  return g_hash_table_size(aside->entries);
}

void aside_forget(struct aside *aside, const char *entry)
{
  g_hash_table_remove(aside->entries, entry);
}

void aside_succeed(struct aside *aside)
{
  patience_end(&aside->patience);
}

/* After one that is given up the next is due at once: where many come, they must go as fast. */
bool aside_fail_again(struct aside *aside, const char *entry, bool is_well, gint64 now_us)
{
  struct held *held = g_hash_table_lookup(aside->entries, entry);
  if (held == NULL)
    return false;
  held->tries++;
  held->tries_when_well += is_well;
  bool is_given_up =
      held->tries_when_well >= ASIDE_TRIES_MIN && now_us - held->since_us >= ASIDE_SECONDS_MAX * (gint64)G_USEC_PER_SEC;
  if (is_given_up)
    patience_end(&aside->patience);
  else
    patience_lose(&aside->patience, now_us, 0);
  return is_given_up;
}

const char *aside_due(const struct aside *aside, gint64 now_us)
{
  GHashTableIter all;
  gpointer name, value;
  const char *best = NULL;
  unsigned best_tries = 0;
  g_hash_table_iter_init(&all, aside->entries);
  while (now_us >= aside->patience.until_us && g_hash_table_iter_next(&all, &name, &value)) {
    unsigned tries = ((const struct held *)value)->tries;
    if (best == NULL || tries < best_tries || (tries == best_tries && strcmp(name, best) < 0)) {
      best = name;
      best_tries = tries;
    }
  }
  return best;
}
