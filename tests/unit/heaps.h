/* SPDX-License-Identifier: MIT */
/* Small heaps for the unit tests of the command's parts. */
#ifndef HEAPPROF_UNIT_HEAPS_H
#define HEAPPROF_UNIT_HEAPS_H

#include "tools/heap/heap.h"
#include "unit.h"

/* In the file of that name, 64 KiB from `start` on. */
static inline uint32_t heaps_add_mapping(struct heap *heap, const char *path, uint64_t start)
{
  struct heap_mapping mapping = {
      .start = start, .limit = start + 0x10000, .path = path, .build_id = path[0] == '/' ? "0123abcd" : ""};
  return heap_add_mapping(heap, mapping);
}

/* A place with one function, without one if the name is NULL. */
static inline uint32_t heaps_add_place(struct heap *heap, uint32_t mapping, uint64_t address, const char *name)
{
  uint32_t location = heap_add_location(heap, address, mapping);
  if (name != NULL) {
    struct heap_function function = {.name = name, .system_name = name, .file = "/src/file.c", .start_line = 3};
    struct heap_line line = {heap_add_function(heap, function), 7};
    heap_set_lines(heap, location, &line, 1);
  }
  return location;
}

/* Of the four usual types: alloc_objects, alloc_space, and half of each in use; a variance of 4 for each if they are known. */
static inline void heaps_add_sample(struct heap *heap, const uint32_t *frames, uint32_t count, int64_t objects,
                                    int64_t bytes)
{
  const int64_t values[] = {objects, bytes, objects / 2, bytes / 2};
  const double variances[] = {4, 4, 4, 4};
  heap_add_sample(heap, frames, count, values, variances);
}

/* main > run > make: 10 objects, 1000 bytes. main > run: 6 objects, 60 bytes, labelled. Variances are known. */
static inline struct heap *heaps_make(void)
{
  struct heap *heap = heap_new("made");
  heap_set_usual_types(heap);
  heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
  heap->period = 512;
  heap->time_unix_ns = 1700000000000000000;
  uint32_t program = heaps_add_mapping(heap, "/bin/app", 0x400000), library = heaps_add_mapping(heap, "", 0x700000);
  uint32_t main_place = heaps_add_place(heap, program, 0x400100, "main"),
           run_place = heaps_add_place(heap, program, 0x400200, "run"),
           make_place = heaps_add_place(heap, library, 0x700100, "make");
  const uint32_t deep[] = {make_place, run_place, main_place}, shallow[] = {run_place, main_place};
  heaps_add_sample(heap, deep, 3, 10, 1000);
  heaps_add_sample(heap, shallow, 2, 6, 60);
  heap_add_label(heap, "stack", "truncated", 0, "");
  heap_add_label(heap, "bytes", "", 16, "bytes");
  heap_add_comment(heap, "sampling_interval_bytes", "512");
  heap_add_comment(heap, "program", "app");
  return heap;
}

static inline int64_t heaps_total(const struct heap *heap, uint32_t type)
{
  int64_t total = 0;
  for (uint32_t i = 0; i < heap->samples->len; i++)
    total += heap_values(heap, i)[type];
  return total;
}

#endif
