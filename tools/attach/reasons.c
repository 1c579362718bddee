/* SPDX-License-Identifier: MIT */
#include "tools/attach/reasons.h"

#include <string.h>

struct reason {
  const char *why; /* the same text is the same pointer */
  bool is_of_moment;
  unsigned round;
};

struct reasons {
  GHashTable *by_thread; /* struct reason * */
  unsigned round;
};

struct tally {
  const char *why;
  unsigned threads;
};

struct reasons *reasons_new(void)
{
  struct reasons *reasons = g_new0(struct reasons, 1);
  reasons->by_thread = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
  return reasons;
}

void reasons_free(struct reasons *reasons)
{
  g_hash_table_destroy(reasons->by_thread);
  g_free(reasons);
}

void reasons_begin_round(struct reasons *reasons)
{
  reasons->round++;
}

void reasons_note(struct reasons *reasons, pid_t thread, const char *why, bool is_of_moment)
{
  struct reason *reason = g_hash_table_lookup(reasons->by_thread, GINT_TO_POINTER(thread));
  if (reason == NULL) {
    reason = g_new0(struct reason, 1);
    g_hash_table_insert(reasons->by_thread, GINT_TO_POINTER(thread), reason);
  }
  if (reason->why == NULL || !is_of_moment || reason->is_of_moment)
    *reason = (struct reason){.why = g_intern_string(why), .is_of_moment = is_of_moment};
  reason->round = reasons->round;
}

static void count(GArray *tallies, const char *why)
{
  for (guint i = 0; i < tallies->len; i++)
    if (g_array_index(tallies, struct tally, i).why == why) {
      g_array_index(tallies, struct tally, i).threads++;
      return;
    }
  struct tally tally = {why, 1};
  g_array_append_val(tallies, tally);
}

static int by_threads(const void *a, const void *b)
{
  const struct tally *one = a, *other = b;
  int order = (one->threads < other->threads) - (one->threads > other->threads);
  return order != 0 ? order : strcmp(one->why, other->why);
}

/* The most common first. */
static GArray *tallies_of(const struct reasons *reasons, unsigned *threads)
{
  GArray *tallies = g_array_new(FALSE, FALSE, sizeof(struct tally));
  GHashTableIter iter;
  void *value;
  *threads = 0;
  g_hash_table_iter_init(&iter, reasons->by_thread);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const struct reason *reason = value;
    if (reason->round != reasons->round)
      continue;
    count(tallies, reason->why);
    (*threads)++;
  }
  g_array_sort(tallies, by_threads);
  return tallies;
}

char *reasons_text(const struct reasons *reasons)
{
  enum { TOLD_MAX = 2 };
  unsigned threads, told = 0;
  g_autoptr(GArray) tallies = tallies_of(reasons, &threads);
  if (threads < 2)
    return g_strdup_printf("the only one %s", threads == 1 ? g_array_index(tallies, struct tally, 0).why : "was gone");
  GString *text = g_string_new("");
  for (guint i = 0; i < tallies->len && i < TOLD_MAX; i++) {
    const struct tally *tally = &g_array_index(tallies, struct tally, i);
    if (i == 0)
      g_string_append_printf(text, "%u of %u threads: %s", tally->threads, threads, tally->why);
    else
      g_string_append_printf(text, "; %u: %s", tally->threads, tally->why);
    told += tally->threads;
  }
  if (told < threads)
    g_string_append_printf(text, "; %u: something else", threads - told);
  return g_string_free(text, FALSE);
}
