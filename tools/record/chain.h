/* SPDX-License-Identifier: MIT */
/* The moments of a process. They come in chains: the first of one has all values, each other what has changed since the
 * one before. What was long ago is thinned out, a chain at a time.
 *
 * Failure: false and *error.
 */
#ifndef HEAPPROF_CHAIN_H
#define HEAPPROF_CHAIN_H

#include "tools/record/store.h"
#include "tools/record/values.h"

enum { CHAIN_MOMENTS_MAX = 360 };
/* Of full hours: no step of a thinned chain reaches over its end. */
#define CHAIN_NS (3600 * INT64_C(1000000000))

/* The chain that a process has last. */
struct chain {
  int64_t process, start_ns, last_ns; /* of its moments; 0: there is none */
  unsigned moments;
};

/* What is known of a moment without reading it. */
struct moment_totals {
  int64_t in_use_bytes, allocated_bytes, resident_bytes;
};

/* Continues the last one. */
bool chain_find(struct chain *chain, struct store *store, int64_t process, GError **error);

/* Adds a moment, a nanosecond after the last one if the clock was set back; *time_ns is when it is said to be. */
bool chain_add(struct chain *chain, struct store *store, struct values *values, int64_t *time_ns,
               const struct moment_totals *totals, GError **error);

/* The values at the last moment that is not after `time_ns`, whose time that becomes. False and no *error: there is
 * none. */
bool chain_read(struct store *store, int64_t process, struct values *values, int64_t *time_ns, GError **error);

/* All moments, the oldest first, with the values then. False: that is enough. */
typedef bool (*chain_visit)(int64_t time_ns, const struct values *values, void *data);
bool chain_walk(struct store *store, int64_t process, struct values *values, chain_visit visit, void *data,
                GError **error);

/* Keeps the last moment of every `step_ns`, and what is not before `since_ns`; the chain is of that level then. */
struct thinning {
  int64_t process, chain_ns, since_ns, step_ns;
  int level;
};
bool chain_thin(struct store *store, unsigned types, const struct thinning *thinning, GError **error);

#endif
