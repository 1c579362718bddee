/* SPDX-License-Identifier: MIT */
/* What a victim says it allocated, counted by hand beneath its functions named victim_*, so that a test can compare a profile
 * with it. Requested sizes; a realloc is a free and an allocation; a failed call is nothing.
 *
 * Threads: all of it is safe. Main allocates once before it has any (of glibc, pthread_create does): what threads sample beside the first
 * sample of all may be lost. fork: a child calls shadow_become_child. Memory: only shadow_print may allocate.
 */
#ifndef SHADOW_H
#define SHADOW_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The compiler must leave these frames and calls where they are. extern "C": the name is the one in the source. */
#ifdef __cplusplus
#define VICTIM extern "C" __attribute__((noinline))
#else
#define VICTIM __attribute__((noinline))
#endif

static struct {
  unsigned long alloc_objects, alloc_bytes, free_objects, free_bytes;
} shadow;

static inline void shadow_count(unsigned long *objects, unsigned long *bytes, size_t size)
{
  __atomic_fetch_add(objects, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(bytes, size, __ATOMIC_RELAXED);
}

/* Counts what an allocation function returned, if it did return something. Also hides p from the optimiser. */
static inline void *shadow_add(void *p, size_t size)
{
  __asm__ volatile("" : "+r"(p) : : "memory");
  if (p != NULL)
    shadow_count(&shadow.alloc_objects, &shadow.alloc_bytes, size);
  return p;
}

static inline void shadow_remove(size_t size)
{
  shadow_count(&shadow.free_objects, &shadow.free_bytes, size);
}

/* A child starts with what its parent had in use. */
static inline void shadow_become_child(void)
{
  shadow.alloc_objects -= shadow.free_objects;
  shadow.alloc_bytes -= shadow.free_bytes;
  shadow.free_objects = shadow.free_bytes = 0;
}

static inline void shadow_print(void)
{
  dprintf(STDOUT_FILENO, "shadow alloc_objects=%lu alloc_bytes=%lu inuse_objects=%lu inuse_bytes=%lu pid=%d\n",
          shadow.alloc_objects, shadow.alloc_bytes, shadow.alloc_objects - shadow.free_objects,
          shadow.alloc_bytes - shadow.free_bytes, (int)getpid());
}

/* A victim that cannot do its work says so and stops, without running any exit handler. */
#define REQUIRE(condition)                                                                                             \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      dprintf(STDERR_FILENO, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition);                                  \
      _exit(99);                                                                                                       \
    }                                                                                                                  \
  } while (0)

/* A small generator of its own: rand() may take locks. */
static inline unsigned shadow_random(unsigned long *state)
{
  *state = *state * 6364136223846793005UL + 1442695040888963407UL;
  return (unsigned)(*state >> 33);
}

#endif
