/* SPDX-License-Identifier: MIT */
#include "tools/run/run_limits.h"

#include "core/inherited.h"
#include "tools/filter/filter.h"
#include "tools/heap/load.h"
#include "tools/source/source.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/say.h"
#include "tools/views/limit.h"
#include "tools/views/view.h"

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
  g_string_append_printf(text, "--fail-if '%s': %s (%d) had %s%s%s%s %s, ", limit->text, judgement->profile->program,
                         judgement->profile->pid, quantity(judgement->value, unit).text, has_error ? " " : "",
                         has_error ? quantity_error(judgement->value, judgement->variance, unit).text : "",
                         is_of_bytes ? "" : " objects", limit->kind == PEAK ? "at its peak" : "in use at exit");
  g_string_append_printf(text, "%s too much", quantity(judgement->value - limit->bound, unit).text);
  if (site != NULL && site[0] != '\0')
    g_string_append_printf(text, "; most in %s: %s", site, quantity(of_site, unit).text);
  struct broken broken = {limit, judgement->value - limit->bound, g_string_free(g_steal_pointer(&text), FALSE)};
  g_array_append_val(judgement->broken, broken);
}

static void tell(GArray *all)
{
  guint of_limit = 0;
  g_array_sort(all, compare_broken);
  for (guint i = 0; i < all->len; i++) {
    const struct broken *broken = &g_array_index(all, struct broken, i);
    bool is_last = i + 1 == all->len || broken[1].limit != broken->limit;
    of_limit++;
    if (of_limit <= TOLD_MAX)
      say("%s", broken->text);
    else if (is_last)
      say("--fail-if '%s': and %u more processes", broken->limit->text, of_limit - TOLD_MAX);
    of_limit = is_last ? 0 : of_limit;
  }
}

/* Peaks. */

static bool judge_peak(struct judgement *judgement)
{
  const struct collected_profile *profile = judgement->profile;
  judgement->value = profile->peak_bytes;
  judgement->variance = profile->peak_variance;
  if (!is_broken(judgement))
    return false;
  note(judgement, profile->peak_site, profile->peak_site_bytes);
  return true;
}

/* Leaks. */

static bool is_inherited(const struct heap *heap, const struct heap_sample *sample)
{
  for (uint32_t i = 0; i < sample->label_count; i++)
    if (strcmp(g_array_index(heap->labels, struct heap_label, sample->first_label + i).key, INHERITED_LABEL) == 0)
      return true;
  return false;
}

/* What is the parent's is for the parent to free. */
static void forget_inherited(struct heap *heap)
{
  for (uint32_t i = 0; i < heap->samples->len; i++)
    if (is_inherited(heap, heap_sample(heap, i)))
      for (uint32_t type = 0; type < heap->types->len; type++) {
        heap_values(heap, i)[type] = 0;
        if (heap->variances != NULL)
          g_array_index(heap->variances, double, (size_t)i * heap->types->len + type) = 0;
      }
}

static bool judge_leak(struct judgement *judgement, const struct heap *heap)
{
  const char *type = judgement->limit->kind == LEAKED ? "inuse_space" : "inuse_objects";
  struct rows *rows = rows_of(heap, heap_find_type(heap, type), ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  judgement->value = rows->total;
  judgement->variance = rows->total_variance;
  bool broken = is_broken(judgement);
  if (broken) {
    const struct row *row = rows->rows->len > 0 ? &g_array_index(rows->rows, struct row, 0) : NULL;
    g_autofree char *site = row != NULL ? view_row_name(row) : NULL;
    note(judgement, site, row != NULL ? row->flat : 0);
  }
  rows_free(rows);
  return broken;
}

/* One process. */

static struct heap *read_profile(const struct collected_profile *profile)
{
  g_autoptr(GError) error = NULL;
  struct heap *heap = load_file(profile->path, &error);
  if (heap == NULL) {
    say("%s", error->message);
    return NULL;
  }
  forget_inherited(heap);
  source_drop_frames(heap);
  filter_apply(NULL, heap);
  return heap;
}

static bool has_leak_limit(const GArray *limits)
{
  for (guint i = 0; i < limits->len; i++)
    if (g_array_index(limits, struct limit, i).kind != PEAK)
      return true;
  return false;
}

/* Who was killed, or became another program, has left nothing behind by mistake. */
static enum run_limits_verdict judge_process(const GArray *limits, const struct collected_profile *profile,
                                             unsigned judged, GArray *broken)
{
  enum run_limits_verdict verdict = profile->is_whole ? RUN_LIMITS_HOLD : RUN_LIMITS_UNKNOWN;
  bool reads = has_leak_limit(limits) && profile->has_status;
  struct heap *heap = reads ? read_profile(profile) : NULL;
  if (reads && heap == NULL)
    verdict = RUN_LIMITS_UNKNOWN;
  for (guint i = 0; i < limits->len; i++) {
    struct judgement judgement = {
        .limit = &g_array_index(limits, struct limit, i), .profile = profile, .judged = judged, .broken = broken};
    bool is_peak = judgement.limit->kind == PEAK;
    if (is_peak ? judge_peak(&judgement) : heap != NULL && judge_leak(&judgement, heap))
      verdict = RUN_LIMITS_BROKEN;
  }
  if (heap != NULL)
    heap_free(heap);
  return verdict;
}

static enum run_limits_verdict judge_all(const GArray *limits, const struct collection *collection)
{
  bool is_known = collection->folder != NULL && collection->kept == 0;
  unsigned judged = limits->len * collection->profiles->len;
  g_autoptr(GArray) broken = g_array_new(FALSE, FALSE, sizeof(struct broken));
  g_array_set_clear_func(broken, clear_broken);
  for (guint i = 0; i < collection->profiles->len; i++) {
    const struct collected_profile *profile = g_ptr_array_index(collection->profiles, i);
    is_known = judge_process(limits, profile, judged, broken) != RUN_LIMITS_UNKNOWN && is_known;
  }
  tell(broken);
  if (broken->len > 0)
    return RUN_LIMITS_BROKEN;
  return is_known ? RUN_LIMITS_HOLD : RUN_LIMITS_UNKNOWN;
}

enum run_limits_verdict run_limits_judge(const GArray *limits, const struct collection *collection, bool is_profiled)
{
  if (limits->len == 0)
    return RUN_LIMITS_HOLD;
  enum run_limits_verdict verdict = judge_all(limits, collection);
  if (collection->profiles->len == 0 && !is_profiled)
    verdict = RUN_LIMITS_UNKNOWN;
  if (verdict == RUN_LIMITS_UNKNOWN)
    say("--fail-if could not be checked: not every process left a whole profile");
  else if (collection->profiles->len == 0)
    say("--fail-if found nothing: no process was sampled, which counts as 0 bytes (HEAPPROF_VERBOSE=1 tells why)");
  return verdict;
}
