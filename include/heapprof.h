/* SPDX-License-Identifier: MIT */
/* heapprof from inside the program.
 *
 * All functions are weak: a program that calls them links and runs without the library, and learns by their address
 * whether it runs under it:
 *
 * #include <heapprof.h>
 *     if (heapprof_dump != NULL)
 *       heapprof_dump("after-load.pb.gz");
 *
 * Link with nothing. Start with LD_PRELOAD=libheapprof.so.
 *
 * Threads: all functions may be called from any thread. Signals: all are async-signal-safe, but for heapprof_count_*.
 * Fork: a child has its own profile.
 */
#ifndef HEAPPROF_H
#define HEAPPROF_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Set when the library itself is built. */
#ifndef HEAPPROF_API
#define HEAPPROF_API __attribute__((weak))
#endif

/* Writes a profile to `path`, or where HEAPPROF_OUT says for NULL. An existing file is never replaced (EEXIST). Takes
 * some milliseconds for thousands of stacks; other threads go on allocating. Returns 0, or -1 with errno. */
HEAPPROF_API int heapprof_dump(const char *path);

/* Stops and starts the sampling of new allocations, for all threads. Frees of objects sampled before are always
 * followed. */
HEAPPROF_API void heapprof_stop(void);
HEAPPROF_API void heapprof_start(void);

struct heapprof_stats {
  uint64_t sampling_interval_bytes; /* mean bytes between samples; 1: every allocation */
  uint64_t samples;                 /* allocations recorded */
  uint64_t stacks;                  /* distinct call stacks */
  uint64_t live_samples;            /* of those recorded, not yet freed */

  /* Estimates for the whole program; exact with an interval of 1. */
  uint64_t alloc_objects;
  uint64_t alloc_bytes;
  uint64_t inuse_objects;
  uint64_t inuse_bytes;
  uint64_t peak_inuse_bytes; /* the highest value that inuse_bytes has had */

  /* Bytes allocated plus one per allocation: counted, within one interval per thread, and estimated from the samples.
   */
  uint64_t exact_units;
  uint64_t estimated_units;

  /* Samples and frames lost, by reason. */
  uint64_t lost_live_table;   /* no memory for the live table: the sample was dropped */
  uint64_t lost_region;       /* no state region: the sample was dropped */
  uint64_t lost_stack_table;  /* no room for a new stack: counted under [stack table full] */
  uint64_t lost_short_stack;  /* no memory to walk a stack in: only the caller was recorded */
  uint64_t lost_compile_busy; /* libraries were being loaded or unloaded: the stack was cut there */

  uint64_t own_bytes;   /* memory mapped by the profiler */
  uint64_t sampling_ns; /* time spent in samples and their frees, from some of them */

  const char *inert_reason; /* NULL: profiling; else why there is nothing to see */
};

/* Fills in *stats. Returns 0, or -1 with errno: EINVAL for NULL. Walks all stacks: microseconds to milliseconds. */
HEAPPROF_API int heapprof_stats(struct heapprof_stats *stats);

/* Exact counts of a part of the program, such as a benchmark: of all threads. They need an interval of 1
 * (HEAPPROF_SAMPLE=1, heapprof run -s 1): at a larger one not every allocation is seen, and nothing is counted. What is
 * resized is allocated anew and its old size freed. What was allocated while sampling was stopped is not known when it
 * is freed. */
struct heapprof_counts {
  uint64_t alloc_objects; /* every allocation */
  uint64_t alloc_bytes;   /* as they were asked for, without what the allocator adds */
  uint64_t peak_bytes;    /* the most that was in use at a moment, above what was at the beginning */
  int64_t growth_objects; /* in use at the end, less those at the beginning */
  int64_t growth_bytes;
  uint64_t lost; /* allocations that were not counted, for want of memory; 0: the counts are exact */
};

/* Begins to count, and to sample if that was stopped: then it stops again at the end. So a program that calls
 * heapprof_stop first has only what it counts in its profile, and everything else goes on nearly as fast as without.
 * Returns 0, or -1 with errno: ENOTSUP if the interval is not 1 or nothing is profiled (heapprof_stats says why), EBUSY
 * if somebody else is counting, ENOMEM. */
HEAPPROF_API int heapprof_count_begin(void);

/* Ends it, and fills in *counts, of which the caller knows `size` bytes: sizeof *counts. Returns 0, or -1 with errno:
 * EINVAL if there was no beginning in this process. */
HEAPPROF_API int heapprof_count_end(struct heapprof_counts *counts, size_t size);

/* The version of the library, such as "0.1.0". */
HEAPPROF_API const char *heapprof_version(void);

#ifdef __cplusplus
}
#endif

#endif
