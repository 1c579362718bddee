/* SPDX-License-Identifier: MIT */
#include "tools/live/owners.h"

#include "tools/live/moment.h"
#include "tools/views/places.h"

#include <string.h>

static const double least_share = 0.01; /* of what the largest has: less is not seen */

struct owner {
  const char *name;
  double most;
  GArray *bytes; /* double, by moment */
};

struct owners {
  GPtrArray *by_sample; /* struct owner *; NULL: it has no frames */
  GHashTable *by_stack; /* struct stack_key * -> struct owner * */
  GArray *keys;
  GHashTable *by_name;
  GPtrArray *all; /* struct owner * */
  struct owner *rest;
  GStringChunk *texts;
  guint moments;
};

static void free_owner(gpointer data)
{
  struct owner *owner = data;
  g_array_free(owner->bytes, TRUE);
  g_free(owner);
}

static struct owner *add_owner(struct owners *owners, const char *name)
{
  struct owner *owner = g_new0(struct owner, 1);
  owner->name = g_string_chunk_insert(owners->texts, name);
  owner->bytes = g_array_new(FALSE, TRUE, sizeof(double));
  return owner;
}

static struct owner *owner_called(struct owners *owners, const char *name)
{
  struct owner *owner = g_hash_table_lookup(owners->by_name, name);
  if (owner == NULL) {
    owner = add_owner(owners, name);
    g_hash_table_insert(owners->by_name, (gpointer)(uintptr_t)owner->name, owner);
    g_ptr_array_add(owners->all, owner);
  }
  return owner;
}

static void place_stacks(struct owners *owners, const struct heap *heap)
{
  struct places *places = places_new(PLACES_BY_FUNCTION);
  struct heap_places *of_heap = heap_places_new(places, heap);
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    uint32_t count;
    const struct stack_place *stack = heap_places_stack(of_heap, i, &count);
    struct owner *owner =
        count > 0 ? owner_called(owners, place_of(places, stack[stack_owner(stack, count)].place)->name) : NULL;
    g_ptr_array_add(owners->by_sample, owner);
    if (owner != NULL && i < owners->keys->len)
      g_hash_table_insert(owners->by_stack, &g_array_index(owners->keys, struct stack_key, i), owner);
  }
  heap_places_free(of_heap);
  places_free(places);
}

struct owners *owners_of(const struct heap *heap, const GArray *keys)
{
  struct owners *owners = g_new0(struct owners, 1);
  owners->by_sample = g_ptr_array_new();
  owners->by_stack = g_hash_table_new(stack_key_hash, stack_key_equal);
  owners->keys = g_array_new(FALSE, FALSE, sizeof(struct stack_key));
  if (keys != NULL)
    g_array_append_vals(owners->keys, keys->data, keys->len);
  owners->by_name = g_hash_table_new(g_str_hash, g_str_equal);
  owners->all = g_ptr_array_new_with_free_func(free_owner);
  owners->texts = g_string_chunk_new(1024);
  owners->rest = add_owner(owners, "[other]");
  place_stacks(owners, heap);
  return owners;
}

void owners_free(struct owners *owners)
{
  g_ptr_array_free(owners->by_sample, TRUE);
  g_hash_table_destroy(owners->by_stack);
  g_hash_table_destroy(owners->by_name);
  g_array_free(owners->keys, TRUE);
  g_ptr_array_free(owners->all, TRUE);
  free_owner(owners->rest);
  g_string_chunk_free(owners->texts);
  g_free(owners);
}

static double *bytes_at(struct owner *owner, guint moment)
{
  return &g_array_index(owner->bytes, double, moment);
}

static void add_bytes(struct owner *owner, guint moment, double bytes)
{
  if (owner->bytes->len <= moment)
    g_array_set_size(owner->bytes, moment + 1);
  double *sum = bytes_at(owner, moment);
  *sum += bytes;
  owner->most = MAX(owner->most, *sum);
}

void owners_add_moment(struct owners *owners, const void *bytes, size_t size)
{
  for (size_t i = 0; i < moment_count(size); i++) {
    struct moment_stack stack = moment_stack_at(bytes, i);
    struct owner *owner = g_hash_table_lookup(owners->by_stack, &stack.key);
    add_bytes(owner != NULL ? owner : owners->rest, owners->moments, (double)MAX(stack.values[MOMENT_IN_USE], 0));
  }
  owners_end_moment(owners);
}

void owners_add_sample(struct owners *owners, uint32_t sample, double bytes)
{
  struct owner *owner = sample < owners->by_sample->len ? g_ptr_array_index(owners->by_sample, sample) : NULL;
  add_bytes(owner != NULL ? owner : owners->rest, owners->moments, bytes);
}

void owners_end_moment(struct owners *owners)
{
  owners->moments++;
}

static gint compare_most(gconstpointer a, gconstpointer b)
{
  const struct owner *one = *(struct owner *const *)a, *other = *(struct owner *const *)b;
  if (one->most != other->most)
    return one->most > other->most ? -1 : 1;
  return strcmp(one->name, other->name);
}

static void add_to_rest(struct owners *owners, struct owner *owner)
{
  for (guint moment = 0; moment < owner->bytes->len; moment++)
    add_bytes(owners->rest, moment, *bytes_at(owner, moment));
}

static void show(struct owners *owners, GArray *shown, struct owner *owner)
{
  g_array_set_size(owner->bytes, owners->moments);
  struct owner_past past = {owner->name, (const double *)(const void *)owner->bytes->data, owner == owners->rest};
  g_array_append_val(shown, past);
}

GArray *owners_shown(struct owners *owners)
{
  GArray *shown = g_array_new(FALSE, FALSE, sizeof(struct owner_past));
  g_ptr_array_sort(owners->all, compare_most);
  for (guint i = 0; i < owners->all->len; i++) {
    struct owner *owner = g_ptr_array_index(owners->all, i);
    const struct owner *largest = g_ptr_array_index(owners->all, 0);
    if (i >= OWNERS_SHOWN || owner->most < least_share * largest->most)
      add_to_rest(owners, owner);
    else if (owner->most > 0)
      show(owners, shown, owner);
  }
  if (owners->rest->most > 0)
    show(owners, shown, owners->rest);
  return shown;
}
