/* SPDX-License-Identifier: MIT */
#include "tools/views/change.h"

#include "core/comments.h"
#include "tools/views/facts.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* What a profile says about one stack. */
struct moment {
  double allocated; /* the value, to see whether it changed */
  double variance_allocated, variance_in_use;
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

/* Types of the pair that a type belongs to: alloc_space and inuse_space. */
struct type_pair {
  int allocated, in_use;
};

static bool find_pair(const struct heap *heap, int type, struct type_pair *pair)
{
  const char *name = heap_type(heap, (uint32_t)type)->name;
  if (!g_str_has_prefix(name, "alloc_") && !g_str_has_prefix(name, "inuse_"))
    return false;
  const char *what = name + strlen("alloc_");
  g_autofree char *allocated = g_strconcat("alloc_", what, NULL), *in_use = g_strconcat("inuse_", what, NULL);
  *pair = (struct type_pair){heap_find_type(heap, allocated), heap_find_type(heap, in_use)};
  return pair->allocated >= 0 && pair->in_use >= 0;
}

static void add_moment(struct moment *moment, const struct heap *heap, uint32_t sample, struct type_pair pair)
{
  moment->allocated += (double)heap_values(heap, sample)[pair.allocated];
  moment->variance_allocated += heap_variance(heap, sample, pair.allocated);
  moment->variance_in_use += heap_variance(heap, sample, pair.in_use);
}

/* Files hold variances in single precision: the difference of two may be off by a step of the larger. */
static double variance_of_allocations(const struct moment *old, const struct moment *new)
{
  if (old->allocated == new->allocated)
    return 0;
  return fmax(new->variance_allocated - old->variance_allocated, 0) + FLT_EPSILON * new->variance_allocated;
}

static double variance_of_in_use(const struct moment *old, const struct moment *new)
{
  double allocations = variance_of_allocations(old, new);
  double frees = fmax(allocations - (new->variance_in_use - old->variance_in_use), 0);
  return fmin(old->variance_in_use + new->variance_in_use, allocations + frees);
}

static struct change_variances *
variances_of_one_process(const struct heap *old, struct type_pair old_pair, const struct heap *new,
                         struct type_pair new_pair, double (*variance)(const struct moment *, const struct moment *))
{
  g_autoptr(GHashTable) stacks = g_hash_table_new_full(hash_stack, is_same_stack, g_free, NULL);
  struct change_variances *variances = variances_new(old, new);
  for (uint32_t i = 0; i < old->samples->len; i++)
    add_moment(&find_stack(stacks, old, i)->old, old, i, old_pair);
  for (uint32_t i = 0; i < new->samples->len; i++)
    add_moment(&find_stack(stacks, new, i)->new, new, i, new_pair);
  GHashTableIter iterator;
  gpointer key;
  g_hash_table_iter_init(&iterator, stacks);
  while (g_hash_table_iter_next(&iterator, &key, NULL)) {
    const struct shared_stack *stack = key;
    double *carrier = stack->heap == old ? variances->old : variances->new;
    carrier[stack->sample] = variance(&stack->old, &stack->new);
  }
  return variances;
}

/* Of a profile of the peak, what is in use and what was allocated are of two moments. */
static bool is_of_peak(const struct heap *heap)
{
  return heap_comment(heap, COMMENT_moment) != NULL;
}

static bool share_samples(const struct heap *old, const struct heap *new, bool of_in_use)
{
  return facts_same_process(old, new) && !(of_in_use && (is_of_peak(old) || is_of_peak(new)));
}

struct change_variances *change_variances_new(const struct heap *old, int old_type, const struct heap *new,
                                              int new_type)
{
  struct type_pair old_pair, new_pair;
  if (find_pair(old, old_type, &old_pair) && find_pair(new, new_type, &new_pair)) {
    bool of_in_use = old_type == old_pair.in_use;
    if (of_in_use == (new_type == new_pair.in_use) && share_samples(old, new, of_in_use))
      return variances_of_one_process(old, old_pair, new, new_pair,
                                      of_in_use ? variance_of_in_use : variance_of_allocations);
  }
  struct change_variances *variances = variances_new(old, new);
  copy_variances(variances->old, old, old_type);
  copy_variances(variances->new, new, new_type);
  return variances;
}
