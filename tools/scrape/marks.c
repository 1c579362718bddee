/* SPDX-License-Identifier: MIT */
#include "tools/scrape/marks.h"

#include "core/comments.h"

#include <string.h>

enum { ALLOC_OBJECTS = 0, ALLOC_SPACE = 1, TYPES = 2 };

static const char magic[8] = "hpmarks";

struct marks_header {
  char magic[sizeof magic];
  int64_t time_unix_ns;
  uint64_t created_unix_ns, pid;
};

struct mark {
  struct stack_key key;
  int64_t allocated[TYPES];
  double variances[TYPES];
};

static struct marks_header header_of(const struct heap *heap)
{
  struct marks_header header = {.time_unix_ns = heap->time_unix_ns};
  memcpy(header.magic, magic, sizeof magic);
  (void)heap_comment_number(heap, COMMENT_created_unix_ns, &header.created_unix_ns);
  (void)heap_comment_number(heap, COMMENT_pid, &header.pid);
  return header;
}

static struct mark mark_of(const struct heap *heap, const GArray *keys, uint32_t sample)
{
  struct mark mark;
  memset(&mark, 0, sizeof mark);
  mark.key = g_array_index(keys, struct stack_key, sample);
  for (int type = 0; type < TYPES; type++) {
    mark.allocated[type] = heap_values(heap, sample)[type];
    mark.variances[type] = heap_variance(heap, sample, type);
  }
  return mark;
}

GBytes *marks_of(const struct heap *heap, const GArray *keys)
{
  struct marks_header header = header_of(heap);
  GByteArray *bytes = g_byte_array_new();
  g_byte_array_append(bytes, (const guint8 *)&header, sizeof header);
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    struct mark mark = mark_of(heap, keys, i);
    g_byte_array_append(bytes, (const guint8 *)&mark, sizeof mark);
  }
  return g_byte_array_free_to_bytes(bytes);
}

/* Subtracting. */

/* Marks by their keys, which begin them. They belong to `bytes`. */
static GHashTable *marks_by_key(GBytes *bytes)
{
  GHashTable *marks = g_hash_table_new(stack_key_hash, stack_key_equal);
  gsize size;
  const char *start = g_bytes_get_data(bytes, &size);
  for (gsize at = sizeof(struct marks_header); at + sizeof(struct mark) <= size; at += sizeof(struct mark))
    g_hash_table_add(marks, (gpointer)(uintptr_t)(start + at));
  return marks;
}

static bool read_header(GBytes *bytes, struct marks_header *header)
{
  gsize size;
  const void *start = bytes != NULL ? g_bytes_get_data(bytes, &size) : NULL;
  if (start == NULL || size < sizeof *header)
    return false;
  memcpy(header, start, sizeof *header);
  return memcmp(header->magic, magic, sizeof magic) == 0;
}

int64_t marks_time(GBytes *marks)
{
  struct marks_header header;
  return read_header(marks, &header) ? header.time_unix_ns : 0;
}

/* Whatever the clock said then: it may have been set back. */
static bool is_of_process(GBytes *bytes, const struct heap *heap, struct marks_header *header)
{
  struct marks_header ours = header_of(heap);
  return read_header(bytes, header) && header->pid == ours.pid && header->created_unix_ns == ours.created_unix_ns;
}

static void subtract(struct heap *heap, uint32_t sample, const struct mark *then)
{
  for (int type = 0; type < TYPES; type++) {
    int64_t *value = &heap_values(heap, sample)[type];
    *value = MAX(*value - then->allocated[type], 0);
    if (heap->variances == NULL)
      continue;
    double *variance = &g_array_index(heap->variances, double, (size_t)sample * heap->types->len + (size_t)type);
    *variance = *value > 0 ? MAX(*variance - then->variances[type], 0) : 0;
  }
}

static void subtract_all(struct heap *heap, const GArray *keys, GBytes *bytes)
{
  g_autoptr(GHashTable) marks = marks_by_key(bytes);
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    const void *found = g_hash_table_lookup(marks, &g_array_index(keys, struct stack_key, i));
    if (found == NULL)
      continue;
    struct mark then;
    memcpy(&then, found, sizeof then);
    subtract(heap, i, &then);
  }
}

void marks_drop_totals(struct heap *heap)
{
  static const char *const keys[] = {COMMENT_samples, COMMENT_exact_units, COMMENT_estimated_units,
                                     COMMENT_standard_error};
  for (guint i = heap->comments->len; i-- > 0;)
    for (size_t key = 0; key < G_N_ELEMENTS(keys); key++) {
      g_autofree char *start = g_strconcat(COMMENT_START, keys[key], NULL);
      if (g_str_has_prefix(g_ptr_array_index(heap->comments, i), start)) {
        g_ptr_array_remove_index(heap->comments, i);
        break;
      }
    }
}

void marks_subtract(struct heap *heap, const GArray *keys, GBytes *marks)
{
  struct marks_header then;
  uint64_t created_unix_ns = 0;
  int64_t now_unix_ns = heap->time_unix_ns;
  bool has_marks = is_of_process(marks, heap, &then);
  (void)heap_comment_number(heap, COMMENT_created_unix_ns, &created_unix_ns);
  if (has_marks)
    subtract_all(heap, keys, marks);
  heap->time_unix_ns = MIN(has_marks ? then.time_unix_ns : (int64_t)created_unix_ns, now_unix_ns);
  heap->duration_ns = now_unix_ns - heap->time_unix_ns;
  marks_drop_totals(heap);
  heap_add_comment(heap, COMMENT_delta, "alloc_* of %.3f s%s, inuse_* of their end", (double)heap->duration_ns / 1e9,
                   has_marks ? "" : ", since the start");
}
