/* SPDX-License-Identifier: MIT */
#include "tools/views/neighbours.h"

#include <math.h>
#include <string.h>

struct counted {
  struct neighbour edge;
  uint32_t sample; /* plus 1: in which it was counted last */
};

static guint hash_edge(gconstpointer key)
{
  const struct neighbour *edge = key;
  uint64_t hash = ((uint64_t)edge->caller << 32 | edge->callee) * 0x9fb21c651e98df25u;
  return (guint)(hash >> 32);
}

static gboolean is_same_edge(gconstpointer a, gconstpointer b)
{
  const struct neighbour *one = a, *other = b;
  return one->caller == other->caller && one->callee == other->callee;
}

static struct counted *find_edge(GHashTable *edges, uint32_t caller, uint32_t callee)
{
  struct counted wanted = {.edge = {.caller = caller, .callee = callee, .is_inlined = true}};
  struct counted *counted = g_hash_table_lookup(edges, &wanted.edge);
  if (counted == NULL) {
    counted = g_memdup2(&wanted, sizeof wanted);
    g_hash_table_add(edges, counted);
  }
  return counted;
}

static void add_stack(GHashTable *edges, const struct stack_place *stack, uint32_t count, const bool *is_wanted,
                      uint32_t sample, double value, double variance)
{
  for (uint32_t i = 0; i + 1 < count; i++) {
    uint32_t callee = stack[i].place, caller = stack[i + 1].place;
    if (callee == caller || !(is_wanted[callee] || is_wanted[caller]))
      continue;
    struct counted *counted = find_edge(edges, caller, callee);
    counted->edge.is_inlined &= stack[i].is_inlined;
    if (counted->sample == sample + 1)
      continue;
    counted->sample = sample + 1;
    counted->edge.value += value;
    counted->edge.variance += variance;
  }
}

/* The same edges twice, so that those of a place lie side by side. */
struct neighbours {
  GArray *by_callee, *by_caller; /* struct neighbour */
};

static int compare_values(const struct neighbour *one, const struct neighbour *other)
{
  return (fabs(one->value) < fabs(other->value)) - (fabs(one->value) > fabs(other->value));
}

static int compare_places(const struct places *places, uint32_t one, uint32_t other)
{
  const struct place *a = place_of(places, one), *b = place_of(places, other);
  int order = strcmp(a->name, b->name);
  if (order == 0)
    order = strcmp(a->file, b->file);
  return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

static int compare_numbers(uint32_t a, uint32_t b)
{
  return (a > b) - (a < b);
}

static gint order_by_callee(gconstpointer a, gconstpointer b, gpointer places)
{
  const struct neighbour *one = a, *other = b;
  int order = compare_numbers(one->callee, other->callee);
  if (order == 0)
    order = compare_values(one, other);
  return order != 0 ? order : compare_places(places, one->caller, other->caller);
}

static gint order_by_caller(gconstpointer a, gconstpointer b, gpointer places)
{
  const struct neighbour *one = a, *other = b;
  int order = compare_numbers(one->caller, other->caller);
  if (order == 0)
    order = compare_values(one, other);
  return order != 0 ? order : compare_places(places, one->callee, other->callee);
}

static GArray *sorted(GHashTable *edges, GCompareDataFunc compare, struct places *places)
{
  GArray *array = g_array_new(FALSE, FALSE, sizeof(struct neighbour));
  GHashTableIter iterator;
  gpointer key;
  g_hash_table_iter_init(&iterator, edges);
  while (g_hash_table_iter_next(&iterator, &key, NULL))
    g_array_append_val(array, ((struct counted *)key)->edge);
  g_array_sort_with_data(array, compare, places);
  return array;
}

struct neighbours *neighbours_of(const struct heap *heap, int type, const struct rows *rows, const bool *is_wanted)
{
  g_autoptr(GHashTable) edges = g_hash_table_new_full(hash_edge, is_same_edge, g_free, NULL);
  struct heap_places *places = heap_places_new(rows->places, heap);
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    double value = (double)heap_values(heap, i)[type];
    uint32_t count;
    const struct stack_place *stack = heap_places_stack(places, i, &count);
    if (value != 0)
      add_stack(edges, stack, count, is_wanted, i, value, heap_variance(heap, i, type));
  }
  heap_places_free(places);
  struct neighbours *neighbours = g_new0(struct neighbours, 1);
  neighbours->by_callee = sorted(edges, order_by_callee, rows->places);
  neighbours->by_caller = sorted(edges, order_by_caller, rows->places);
  return neighbours;
}

void neighbours_free(struct neighbours *neighbours)
{
  if (neighbours == NULL)
    return;
  g_array_free(neighbours->by_callee, TRUE);
  g_array_free(neighbours->by_caller, TRUE);
  g_free(neighbours);
}

static uint32_t callee_of(const struct neighbour *edge)
{
  return edge->callee;
}

static uint32_t caller_of(const struct neighbour *edge)
{
  return edge->caller;
}

/* The first edge whose place is not below `place`. */
static uint32_t lower_bound(GArray *edges, uint32_t (*place_in)(const struct neighbour *), uint32_t place)
{
  uint32_t low = 0, high = edges->len;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (place_in(&g_array_index(edges, struct neighbour, middle)) < place)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static const struct neighbour *edges_of(GArray *edges, uint32_t (*place_in)(const struct neighbour *), uint32_t place,
                                        uint32_t *count)
{
  uint32_t first = lower_bound(edges, place_in, place);
  *count = lower_bound(edges, place_in, place + 1) - first;
  return (const struct neighbour *)edges->data + first;
}

const struct neighbour *neighbours_callers(const struct neighbours *neighbours, uint32_t place, uint32_t *count)
{
  return edges_of(neighbours->by_callee, callee_of, place, count);
}

const struct neighbour *neighbours_callees(const struct neighbours *neighbours, uint32_t place, uint32_t *count)
{
  return edges_of(neighbours->by_caller, caller_of, place, count);
}
