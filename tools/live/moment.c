/* SPDX-License-Identifier: MIT */
#include "tools/live/moment.h"

#include <math.h>
#include <string.h>

GBytes *moment_of(const struct heap *heap)
{
  GByteArray *bytes = g_byte_array_new();
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    struct moment_stack stack = {.key = stack_key_of(heap, i)};
    memcpy(stack.values, heap_values(heap, i), sizeof stack.values);
    for (int type = 0; type < MOMENT_TYPES; type++)
      stack.variances[type] = (float)heap_variance(heap, i, type);
    g_byte_array_append(bytes, (const guint8 *)&stack, sizeof stack);
  }
  return g_byte_array_free_to_bytes(bytes);
}

size_t moment_count(size_t size)
{
  return size / sizeof(struct moment_stack);
}

struct moment_stack moment_stack_at(const void *bytes, size_t index)
{
  struct moment_stack stack;
  memcpy(&stack, (const char *)bytes + index * sizeof stack, sizeof stack);
  return stack;
}

static GHashTable *stacks_by_key(const void *bytes, size_t size)
{
  GHashTable *stacks = g_hash_table_new(stack_key_hash, stack_key_equal);
  for (size_t i = 0; i < moment_count(size); i++)
    g_hash_table_add(stacks, (gpointer)(uintptr_t)((const char *)bytes + i * sizeof(struct moment_stack)));
  return stacks;
}

static void put(struct heap *heap, uint32_t sample, const struct moment_stack *stack)
{
  memcpy(heap_values(heap, sample), stack->values, sizeof stack->values);
  for (uint32_t type = 0; heap->variances != NULL && type < MOMENT_TYPES; type++) {
    double variance = (double)stack->variances[type];
    g_array_index(heap->variances, double, (size_t)sample *MOMENT_TYPES + type) =
        isfinite(variance) && variance > 0 ? variance : 0;
  }
}

void moment_put(struct heap *heap, const GArray *keys, const void *bytes, size_t size)
{
  g_autoptr(GHashTable) stacks = stacks_by_key(bytes, size);
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    struct moment_stack stack = {.values = {0}};
    const void *found = g_hash_table_lookup(stacks, &g_array_index(keys, struct stack_key, i));
    if (found != NULL)
      memcpy(&stack, found, sizeof stack);
    put(heap, i, &stack);
  }
}
