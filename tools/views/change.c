/* SPDX-License-Identifier: MIT */
#include "tools/views/change.h"

#include "core/comments.h"
#include "tools/views/facts.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* A value of a stack, and its variance. */
struct number {
  double value, variance;
};

/* What a profile says about one stack. */
struct moment {
  struct number allocated, in_use, peak;
};

/* A stack in two profiles of one process, where its addresses are the same. Equal stacks of one profile are one. */
struct shared_stack {
  const struct heap *heap;
  uint32_t sample; /* in heap: one that has this stack; it carries the variance */
  struct moment old, new;
};

static struct change_variances *variances_new(const struct heap *old, const struct heap *new)
{
  struct change_variances *variances = g_new0(struct change_variances, 1);
  variances->old = g_new0(double, old->samples->len);
  variances->new = g_new0(double, new->samples->len);
  return variances;
}

void change_variances_free(struct change_variances *variances)
{
  if (variances == NULL)
    return;
  g_free(variances->old);
  g_free(variances->new);
  g_free(variances);
}

static void copy_variances(double *variances, const struct heap *heap, int type)
{
  for (uint32_t i = 0; i < heap->samples->len; i++)
    variances[i] = heap_variance(heap, i, type);
}

/* Stacks by their addresses. */

static uint64_t address_of(const struct shared_stack *stack, uint32_t frame)
{
  const uint32_t *frames = heap_frames(stack->heap, heap_sample(stack->heap, stack->sample));
  return heap_location(stack->heap, frames[frame])->address;
}

static guint hash_stack(gconstpointer key)
{
  const struct shared_stack *stack = key;
  uint32_t count = heap_sample(stack->heap, stack->sample)->frame_count;
  uint64_t hash = count;
  for (uint32_t i = 0; i < count; i++) {
    hash = (hash ^ address_of(stack, i)) * 0x9fb21c651e98df25u;
    hash ^= hash >> 29;
  }
  return (guint)hash;
}

static gboolean is_same_stack(gconstpointer a, gconstpointer b)
{
  const struct shared_stack *one = a, *other = b;
  uint32_t count = heap_sample(one->heap, one->sample)->frame_count;
  if (count != heap_sample(other->heap, other->sample)->frame_count)
    return FALSE;
  for (uint32_t i = 0; i < count; i++)
    if (address_of(one, i) != address_of(other, i))
      return FALSE;
  return TRUE;
}

static struct shared_stack *find_stack(GHashTable *stacks, const struct heap *heap, uint32_t sample)
{
  struct shared_stack wanted = {.heap = heap, .sample = sample};
  struct shared_stack *stack = g_hash_table_lookup(stacks, &wanted);
  if (stack == NULL) {
    stack = g_memdup2(&wanted, sizeof wanted);
    g_hash_table_add(stacks, stack);
  }
  return stack;
}

enum kind { KIND_ALLOCATED, KIND_IN_USE, KIND_PEAK, KINDS };

static const char *const kind_starts[KINDS] = {"alloc_", "inuse_", "peak_"};

/* Types that belong together: alloc_space, inuse_space and, -1 if it has none, peak_space. */
struct kinds {
  int types[KINDS];
  enum kind kind; /* which of them is meant */
};

static bool find_kinds(const struct heap *heap, int type, struct kinds *kinds)
{
  const char *name = heap_type(heap, (uint32_t)type)->name;
  kinds->kind = KIND_ALLOCATED;
  while (kinds->kind < KINDS && !g_str_has_prefix(name, kind_starts[kinds->kind]))
    kinds->kind++;
  if (kinds->kind == KINDS)
    return false;
  const char *what = name + strlen(kind_starts[kinds->kind]);
  for (unsigned kind = 0; kind < KINDS; kind++) {
    g_autofree char *other = g_strconcat(kind_starts[kind], what, NULL);
    kinds->types[kind] = heap_find_type(heap, other);
  }
  return kinds->types[KIND_ALLOCATED] >= 0 && kinds->types[KIND_IN_USE] >= 0;
}

static void add_number(struct number *number, const struct heap *heap, uint32_t sample, int type)
{
  if (type < 0)
    return;
  number->value += (double)heap_values(heap, sample)[type];
  number->variance += heap_variance(heap, sample, type);
}

static void add_moment(struct moment *moment, const struct heap *heap, uint32_t sample, const struct kinds *kinds)
{
  add_number(&moment->allocated, heap, sample, kinds->types[KIND_ALLOCATED]);
  add_number(&moment->in_use, heap, sample, kinds->types[KIND_IN_USE]);
  add_number(&moment->peak, heap, sample, kinds->types[KIND_PEAK]);
}

/* Files hold variances in single precision: the difference of two may be off by a step of the larger. */
static double variance_of_allocations(const struct moment *old, const struct moment *new)
{
  if (old->allocated.value == new->allocated.value)
    return 0;
  return fmax(new->allocated.variance - old->allocated.variance, 0) + FLT_EPSILON * new->allocated.variance;
}

static double variance_of_in_use(const struct moment *old, const struct moment *new)
{
  double allocations = variance_of_allocations(old, new);
  double frees = fmax(allocations - (new->in_use.variance - old->in_use.variance), 0);
  return fmin(old->in_use.variance + new->in_use.variance, allocations + frees);
}

/* Peaks. */

static bool is_equal(struct number one, struct number other)
{
  return one.value == other.value && one.variance == other.variance;
}

/* It has not changed since the peak: these come from the same samples. */
static bool is_as_at_peak(const struct moment *moment)
{
  return is_equal(moment->peak, moment->in_use);
}

static bool is_untouched(const struct moment *old, const struct moment *new)
{
  return is_equal(old->allocated, new->allocated) && is_equal(old->in_use, new->in_use);
}

/* Is what both profiles say of the peak of one moment? Of stacks that have changed since it is the same then; and some
 * may have changed between the profiles. */
static bool is_one_peak(GHashTable *stacks)
{
  GHashTableIter iterator;
  gpointer key;
  bool is_one = false;
  g_hash_table_iter_init(&iterator, stacks);
  while (g_hash_table_iter_next(&iterator, &key, NULL)) {
    const struct moment *old = &((const struct shared_stack *)key)->old,
                        *new = &((const struct shared_stack *)key)->new;
    if (is_equal(old->peak, new->peak))
      is_one |= !is_as_at_peak(old) && !is_as_at_peak(new);
    else if (!is_as_at_peak(old) || is_as_at_peak(new) || is_untouched(old, new))
      return false;
  }
  return is_one;
}

/* Where both peaks are what was in use when the profiles were taken, they are two moments of that. Else nobody knows
 * what was held at both peaks: it is in both with the same samples, so two processes would be further apart. */
static double variance_of_peak(const struct moment *old, const struct moment *new, bool is_one)
{
  if (is_equal(old->peak, new->peak) && (is_one || is_untouched(old, new)))
    return 0;
  return is_as_at_peak(old) && is_as_at_peak(new) ? variance_of_in_use(old, new)
                                                  : old->peak.variance + new->peak.variance;
}

/* One process. */

static GHashTable *shared_stacks(const struct heap *old, const struct kinds *old_kinds, const struct heap *new,
                                 const struct kinds *new_kinds)
{
  GHashTable *stacks = g_hash_table_new_full(hash_stack, is_same_stack, g_free, NULL);
  for (uint32_t i = 0; i < old->samples->len; i++)
    add_moment(&find_stack(stacks, old, i)->old, old, i, old_kinds);
  for (uint32_t i = 0; i < new->samples->len; i++)
    add_moment(&find_stack(stacks, new, i)->new, new, i, new_kinds);
  return stacks;
}

static double variance_of(const struct shared_stack *stack, enum kind kind, bool is_one)
{
  return kind == KIND_ALLOCATED ? variance_of_allocations(&stack->old, &stack->new)
         : kind == KIND_IN_USE  ? variance_of_in_use(&stack->old, &stack->new)
                                : variance_of_peak(&stack->old, &stack->new, is_one);
}

static struct change_variances *variances_of_one_process(const struct heap *old, const struct kinds *old_kinds,
                                                         const struct heap *new, const struct kinds *new_kinds)
{
  g_autoptr(GHashTable) stacks = shared_stacks(old, old_kinds, new, new_kinds);
  struct change_variances *variances = variances_new(old, new);
  bool is_one = is_one_peak(stacks);
  GHashTableIter iterator;
  gpointer key;
  g_hash_table_iter_init(&iterator, stacks);
  while (g_hash_table_iter_next(&iterator, &key, NULL)) {
    const struct shared_stack *stack = key;
    double *carrier = stack->heap == old ? variances->old : variances->new;
    carrier[stack->sample] = variance_of(stack, old_kinds->kind, is_one);
  }
  return variances;
}

/* Of a profile of the peak, what is in use and what was allocated are of two moments. */
static bool is_of_peak(const struct heap *heap)
{
  return heap_comment(heap, COMMENT_moment) != NULL;
}

static bool share_samples(const struct heap *old, const struct heap *new, enum kind kind)
{
  return facts_same_process(old, new) && (kind == KIND_ALLOCATED || !(is_of_peak(old) || is_of_peak(new)));
}

struct change_variances *change_variances_new(const struct heap *old, int old_type, const struct heap *new,
                                              int new_type)
{
  struct kinds old_kinds, new_kinds;
  if (find_kinds(old, old_type, &old_kinds) && find_kinds(new, new_type, &new_kinds) &&
      old_kinds.kind == new_kinds.kind && share_samples(old, new, old_kinds.kind))
    return variances_of_one_process(old, &old_kinds, new, &new_kinds);
  struct change_variances *variances = variances_new(old, new);
  copy_variances(variances->old, old, old_type);
  copy_variances(variances->new, new, new_type);
  return variances;
}

double change_variance_of_totals(const struct heap *old, int old_type, const struct heap *new, int new_type)
{
  struct change_variances *variances = change_variances_new(old, old_type, new, new_type);
  double variance = 0;
  for (uint32_t i = 0; i < old->samples->len; i++)
    variance += variances->old[i];
  for (uint32_t i = 0; i < new->samples->len; i++)
    variance += variances->new[i];
  change_variances_free(variances);
  return variance;
}
