/* SPDX-License-Identifier: MIT */
#include "tools/run/run_limits.h"

#include "tools/run/leaks.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/say.h"
#include "tools/views/limit.h"

#include <math.h>
#include <string.h>

enum { TOLD_MAX = 10 }; /* of one limit: a build has a thousand processes */

enum kind { PEAK, LEAKED, LEAKED_OBJECTS };

static const struct limit_kind kinds[] = {
    [PEAK] = {.name = "peak", .is_of_bytes = true},
    [LEAKED] = {.name = "leaked", .is_of_bytes = true},
    [LEAKED_OBJECTS] = {.name = "leaked_objects"},
    {.name = NULL},
};

GArray *run_limits_read(const char *const *texts)
{
  return limits_read(texts, kinds,
                     "peak>SIZE, leaked>SIZE (100M, 1.5GB, 0) or leaked_objects>NUMBER, in quotes for the shell");
}

double run_limits_peak(const GArray *limits)
{
  double least = INFINITY;
  for (guint i = 0; i < limits->len; i++) {
    const struct limit *limit = &g_array_index(limits, struct limit, i);
    if (limit->kind == PEAK)
      least = MIN(least, limit->bound);
  }
  return least;
}

/* A limit, and what a process had. */
struct judgement {
  const struct limit *limit;
  const struct collected_profile *profile;
  unsigned judged; /* in all */
  double value, variance;
  GArray *broken; /* struct broken: what comes of it */
};

struct broken {
  const struct limit *limit;
  double excess;
  char *text;
};

static void clear_broken(gpointer data)
{
  g_free(((struct broken *)data)->text);
}

/* Limit by limit in the order in which they were given, the most first. */
static int compare_broken(gconstpointer a, gconstpointer b)
{
  const struct broken *one = a, *other = b;
  if (one->limit != other->limit)
    return one->limit < other->limit ? -1 : 1;
  return (one->excess < other->excess) - (one->excess > other->excess);
}

static bool is_broken(const struct judgement *judgement)
{
  double excess = judgement->value - judgement->limit->bound;
  bool is_certain = judgement->limit->kind != PEAK && judgement->limit->bound == 0; /* what was sampled is there */
  return limit_is_broken(excess, is_certain ? 0 : judgement->variance, judgement->judged);
}

static void note(const struct judgement *judgement, const char *site, double of_site)
{
  const struct limit *limit = judgement->limit;
  bool is_of_bytes = kinds[limit->kind].is_of_bytes, has_error = judgement->variance > 0;
  const char *unit = is_of_bytes ? "bytes" : "count";
  g_autoptr(GString) text = g_string_new(NULL);
  g_string_append_printf(text, "%s (%d) had %s%s%s%s %s, ", judgement->profile->program, judgement->profile->pid,
                         quantity(judgement->value, unit).text, has_error ? " " : "",
                         has_error ? quantity_error(judgement->value, judgement->variance, unit).text : "",
                         is_of_bytes ? "" : " objects", limit->kind == PEAK ? "at its peak" : "in use at exit");
  g_string_append_printf(text, "%s too much", quantity(judgement->value - limit->bound, unit).text);
  if (site != NULL && site[0] != '\0')
    g_string_append_printf(text, "; most in %s: %s", site, quantity(of_site, unit).text);
  struct broken broken = {limit, judgement->value - limit->bound, g_string_free(g_steal_pointer(&text), FALSE)};
  g_array_append_val(judgement->broken, broken);
}

static void report(GArray *all, GArray *outcomes)
{
  guint of_limit = 0;
  g_array_sort(all, compare_broken);
  for (guint i = 0; i < all->len; i++) {
    const struct broken *broken = &g_array_index(all, struct broken, i);
    bool is_last = i + 1 == all->len || broken[1].limit != broken->limit;
    of_limit++;
    if (of_limit <= TOLD_MAX)
      limits_note(outcomes, broken->limit, LIMIT_BROKEN, broken->text);
    else if (is_last) {
      g_autofree char *more = g_strdup_printf("and %u more processes", of_limit - TOLD_MAX);
      limits_note(outcomes, broken->limit, LIMIT_BROKEN, more);
    }
    of_limit = is_last ? 0 : of_limit;
  }
}

/* Peaks. */

static void judge_peak(struct judgement *judgement)
{
  const struct collected_profile *profile = judgement->profile;
  judgement->value = profile->peak_bytes;
  judgement->variance = profile->peak_variance;
  if (is_broken(judgement))
    note(judgement, profile->peak_site, profile->peak_site_bytes);
}

/* Leaks. */

static void judge_leak(struct judgement *judgement)
{
  const struct leaks *leaks = &judgement->profile->leaks;
  const struct leaks_sum *sum = judgement->limit->kind == LEAKED ? &leaks->bytes : &leaks->objects;
  judgement->value = sum->value;
  judgement->variance = sum->variance;
  if (is_broken(judgement))
    note(judgement, sum->site, sum->of_site);
}

bool run_limits_are_of_leaks(const GArray *limits)
{
  for (guint i = 0; i < limits->len; i++)
    if (g_array_index(limits, struct limit, i).kind != PEAK)
      return true;
  return false;
}

/* Who was killed, or became another program, has left nothing behind by mistake. */
static void judge_process(const struct run_limits *limits, const struct collected_profile *profile, GArray *broken)
{
  for (guint i = 0; i < limits->limits->len; i++) {
    struct judgement judgement = {.limit = &g_array_index(limits->limits, struct limit, i),
                                  .profile = profile,
                                  .judged = limits->judged,
                                  .broken = broken};
    if (judgement.limit->kind == PEAK)
      judge_peak(&judgement);
    else if (profile->has_status)
      judge_leak(&judgement);
  }
}

static void judge_all(const struct run_limits *limits, const struct collection *collection, bool is_profiled,
                      struct leaks_left_out *left_out, GArray *outcomes)
{
  bool is_known = collection->folder != NULL && collection->kept == 0;
  g_autoptr(GArray) broken = g_array_new(FALSE, FALSE, sizeof(struct broken));
  g_array_set_clear_func(broken, clear_broken);
  for (guint i = 0; i < collection->profiles->len; i++) {
    const struct collected_profile *profile = g_ptr_array_index(collection->profiles, i);
    judge_process(limits, profile, broken);
    leaks_add_left_out(left_out, &profile->leaks.left_out);
    is_known = is_known && profile->is_whole;
  }
  report(broken, outcomes);
  if (!is_known || (collection->profiles->len == 0 && !is_profiled))
    limits_note_unknown(outcomes, "not every process left a whole profile");
}

GArray *run_limits_judge(const struct run_limits *limits, const struct collection *collection, bool is_profiled,
                         bool is_quiet)
{
  struct leaks_left_out left_out = {0};
  struct run_limits all = *limits;
  GArray *outcomes = limits_outcomes_new(limits->limits);
  if (limits->limits->len == 0)
    return outcomes;
  all.judged = limits->limits->len * collection->profiles->len;
  judge_all(&all, collection, is_profiled, &left_out, outcomes);
  limits_tell(outcomes);
  if (!is_quiet)
    leaks_tell(&left_out);
  if (collection->profiles->len == 0 && limits_verdict(outcomes) == LIMIT_HOLDS)
    say("--fail-if found nothing: no process was sampled, which counts as 0 bytes (HEAPPROF_VERBOSE=1 tells why)");
  return outcomes;
}
