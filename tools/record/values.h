/* SPDX-License-Identifier: MIT */
/* What each stack of a process has at a moment, and as the bytes that tell how it came from the moment before: all of
 * it, or what has changed since. Values are whole, not differences, so that two such steps make one where the later one
 * counts.
 *
 * Memory: owned by the values. Failure: false and *error, for bytes that are none.
 */
#ifndef HEAPPROF_VALUES_H
#define HEAPPROF_VALUES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum { VALUES_STACKS_MAX = 1 << 22 };

struct values {
  unsigned types;
  GArray *numbers;     /* int64_t, types for each stack */
  GArray *variances;   /* float, the same */
  GArray *changed;     /* uint8_t, by stack: since it was packed last */
  GPtrArray *comments; /* char * */
};

struct values *values_new(unsigned types);
void values_free(struct values *values);

static inline uint32_t values_count(const struct values *values)
{
  return values->changed->len;
}
static inline int64_t *values_numbers(const struct values *values, uint32_t stack)
{
  return &g_array_index(values->numbers, int64_t, (size_t)stack * values->types);
}
static inline float *values_variances(const struct values *values, uint32_t stack)
{
  return &g_array_index(values->variances, float, (size_t)stack * values->types);
}

/* New stacks have zeros. */
void values_set_count(struct values *values, uint32_t count);
void values_set(struct values *values, uint32_t stack, const int64_t *numbers, const double *variances);

/* What has changed, or all that is not zero. Nothing has changed then. */
GBytes *values_pack(struct values *values, bool is_whole);

/* Makes them those of the next moment. Stacks are below `limit`; there are as many as are needed. */
bool values_unpack(struct values *values, const void *bytes, size_t size, uint32_t limit, const char *name,
                   GError **error);

#endif
