/* SPDX-License-Identifier: MIT */
#include "tools/scrape/stack_keys.h"

#include <string.h>

static void add_text(GChecksum *sum, const char *text)
{
  g_checksum_update(sum, (const guchar *)text, (gssize)strlen(text) + 1);
}

static struct stack_key digest_of(const struct heap *heap, uint32_t index)
{
  struct stack_key key;
  const struct heap_sample *sample = heap_sample(heap, index);
  const uint32_t *frames = heap_frames(heap, sample);
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  for (uint32_t i = 0; i < sample->frame_count; i++)
    g_checksum_update(sum, (const guchar *)&heap_location(heap, frames[i])->address, sizeof(uint64_t));
  for (uint32_t i = 0; i < sample->label_count; i++) {
    const struct heap_label *label = &g_array_index(heap->labels, struct heap_label, sample->first_label + i);
    add_text(sum, label->key);
    add_text(sum, label->text);
  }
  guint8 digest[32];
  gsize size = sizeof digest;
  g_checksum_get_digest(sum, digest, &size);
  memcpy(key.bytes, digest, sizeof key.bytes);
  return key;
}

struct stack_key stack_key_of(const struct heap *heap, uint32_t index)
{
  struct stack_key key = {.bytes = {0}};
  if (heap->places == NULL)
    return digest_of(heap, index);
  memcpy(key.bytes, &g_array_index(heap->places, uint64_t, index), sizeof(uint64_t));
  return key;
}

GArray *stack_keys_of(const struct heap *heap)
{
  GArray *keys = g_array_sized_new(FALSE, FALSE, sizeof(struct stack_key), heap->samples->len);
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    struct stack_key key = stack_key_of(heap, i);
    g_array_append_val(keys, key);
  }
  return keys;
}

guint stack_key_hash(gconstpointer key)
{
  guint hash;
  memcpy(&hash, key, sizeof hash);
  return hash;
}

gboolean stack_key_equal(gconstpointer a, gconstpointer b)
{
  return memcmp(a, b, STACK_KEY_BYTES) == 0;
}
