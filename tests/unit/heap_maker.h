/* SPDX-License-Identifier: MIT */
/* Heaps made by hand, for tests of what is shown of them. */
#ifndef HEAPPROF_HEAP_MAKER_H
#define HEAPPROF_HEAP_MAKER_H

#include "tools/heap/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

enum { ALLOC_OBJECTS, ALLOC_SPACE, INUSE_OBJECTS, INUSE_SPACE, TYPES };

/* The four values of a sample, with the variances of the bytes. */
struct numbers {
  int64_t objects, allocated, in_use_objects, in_use;
  double allocated_variance, in_use_variance;
};

static inline struct heap *make_heap(bool has_variances)
{
  struct heap *heap = heap_new("test");
  heap_set_usual_types(heap);
  if (has_variances)
    heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
  (void)heap_add_mapping(heap, (struct heap_mapping){.start = 0, .limit = 1 << 20, .path = "/usr/lib/libfoo.so.1"});
  return heap;
}

/* Named after its functions, "inner>outer": inlined ones, innermost first; "" has no lines. */
static inline uint32_t add_place(struct heap *heap, const char *names, int64_t line)
{
  uint32_t location = heap_add_location(heap, 0x1000 + heap->locations->len, 0);
  g_auto(GStrv) parts = g_strsplit(names, ">", -1);
  GArray *lines = g_array_new(FALSE, FALSE, sizeof(struct heap_line));
  for (char **part = parts; *part != NULL; part++) {
    struct heap_line one = {
        heap_add_function(heap, (struct heap_function){.name = *part, .system_name = *part, .file = "a.c"}), line};
    g_array_append_val(lines, one);
  }
  if (names[0] != '\0')
    heap_set_lines(heap, location, (const struct heap_line *)lines->data, lines->len);
  g_array_free(lines, TRUE);
  return location;
}

static inline void add(struct heap *heap, const uint32_t *frames, uint32_t count, struct numbers n)
{
  (void)heap_add_sample(heap, frames, count, (const int64_t[]){n.objects, n.allocated, n.in_use_objects, n.in_use},
                        (const double[]){0, n.allocated_variance, 0, n.in_use_variance});
}

#endif
