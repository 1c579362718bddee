/* SPDX-License-Identifier: MIT */
/* Memory for one dump: mapped in chunks, handed out by bumping, given back all at once.
 *
 * Threads: one at a time. Signals: safe, only mmap is called. Failure: NULL, and the arena remembers that it failed.
 */
#ifndef HEAPPROF_ARENA_H
#define HEAPPROF_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
  struct arena_chunk *chunks; /* newest first */
  size_t used, capacity;      /* of the newest */
  bool failed;
};

/* Begins with memory of the caller's, zeroed and aligned for any type, which outlives the arena. */
void arena_begin(struct arena *arena, void *memory, size_t size);

/* Zeroed, aligned for any type. */
void *arena_get(struct arena *arena, size_t size);

/* An array of `count` elements; NULL when the product overflows, too. */
void *arena_get_array(struct arena *arena, size_t count, size_t element_size);

char *arena_copy_text(struct arena *arena, const char *text, size_t length);

void arena_release(struct arena *arena);

#endif
