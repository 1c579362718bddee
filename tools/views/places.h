/* SPDX-License-Identifier: MIT */
/* What a stack is made of for people: places, each a function, or a line of one. Places of several heaps are numbered
 * together, so that what has the same name is the same place, wherever the code was mapped.
 *
 * Memory: places own their texts; the heaps may go. A heap_places lives no longer than its heap. */
#ifndef HEAPPROF_PLACES_H
#define HEAPPROF_PLACES_H

#include "tools/heap/heap.h"

enum places_by { PLACES_BY_FUNCTION, PLACES_BY_LINE };

struct place {
  const char *name; /* of the function; "[libfoo.so]" if it has none, "<unknown>" if it is in no file either */
  const char *file; /* by line; "" if unknown */
  int64_t line;
  enum function_role role;
};

struct places {
  enum places_by by;
  GArray *places; /* struct place */
  GStringChunk *texts;
  GHashTable *numbers;
};

struct places *places_new(enum places_by by);
void places_free(struct places *places);

static inline const struct place *place_of(const struct places *places, uint32_t number)
{
  return &g_array_index(places->places, struct place, number);
}

/* Where the locations of one heap are. */
struct heap_places {
  const struct heap *heap;
  const struct places *places;
  uint32_t *of_lines;     /* by index in heap->lines */
  uint32_t *of_locations; /* of those without lines */
  GArray *stack;          /* that heap_places_stack returned */
};

/* Adds the places of the heap that are new. */
struct heap_places *heap_places_new(struct places *places, const struct heap *heap);
void heap_places_free(struct heap_places *of_heap);

struct stack_place {
  uint32_t place;
  bool is_inlined; /* into the next one */
  enum function_role role;
};

/* Of stacks that are deeper the innermost places count. */
enum { STACK_PLACES_MAX = 1 << 16 };

/* The stack of a sample, innermost first, with inlined functions. Valid until the next call. */
const struct stack_place *heap_places_stack(struct heap_places *of_heap, uint32_t sample, uint32_t *count);

/* Which of them owns what was allocated (filter/plumbing.h): 0, the innermost, where functions have no roles. */
uint32_t stack_owner(const struct stack_place *stack, uint32_t count);

#endif
