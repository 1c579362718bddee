/* SPDX-License-Identifier: MIT */
/* heap/: a profile in memory and as pprof bytes. What reads takes every byte for hostile input, what writes leaves a
 * whole file or none. It knows nothing of processes, names of functions or screens. One thread; failures are NULL or
 * false and *error, one line that names the file.
 *
 * A heap profile in memory: what the commands work on, whatever it was read from (load.h: a pprof file; region_file.h:
 * the state of a process).
 *
 * Things refer to each other by index, HEAP_NONE for nothing. Strings are interned: equal text, equal pointer, never
 * NULL.
 *
 * Threads: one at a time. Memory: owned by the heap, GLib's allocator, which ends the program when there is none.
 */
#ifndef HEAPPROF_HEAP_H
#define HEAPPROF_HEAP_H

#include "tools/heap/function.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define HEAP_NONE UINT32_MAX

enum { HEAP_TYPES_MAX = 16 };

/* What one value of every sample counts: "inuse_space" in "bytes". */
struct heap_type {
  const char *name;
  const char *unit;
};

struct heap_mapping {
  uint64_t start, limit, file_offset; /* addresses are those of locations */
  const char *path;                   /* "" or "//anon" for memory without a file, "[vdso]" */
  const char *build_id;               /* lowercase hex, "" if unknown */
  bool has_functions, has_filenames, has_line_numbers, has_inline_frames; /* of the lines of its locations */
};

struct heap_line {
  uint32_t function;
  int64_t line; /* 0 if unknown */
};

/* A place in the code. More than one line: inlined functions, innermost first. None: not symbolized. */
struct heap_location {
  uint64_t address;
  uint32_t mapping;
  uint32_t first_line, line_count; /* in heap.lines */
  bool is_folded;
};

/* An attribute of a sample: a text, or a number when text is "". */
struct heap_label {
  const char *key, *text, *unit;
  int64_t number;
};

/* One call stack. Its values are values[i * types .. ] of the heap. */
struct heap_sample {
  uint32_t first_frame, frame_count; /* in heap.frames: locations, innermost first */
  uint32_t first_label, label_count; /* in heap.labels */
};

struct heap {
  GArray *types;            /* struct heap_type */
  GArray *mappings;         /* struct heap_mapping; the main program first */
  GArray *functions;        /* struct heap_function */
  GArray *lines;            /* struct heap_line */
  GArray *locations;        /* struct heap_location */
  GArray *frames;           /* uint32_t */
  GArray *labels;           /* struct heap_label */
  GArray *samples;          /* struct heap_sample */
  GArray *values;           /* int64_t, types->len for each sample */
  GArray *variances;        /* double, as many as values: of the estimates; all 0 when exact. NULL: nobody knows */
  GArray *places;           /* uint64_t, of each sample: of its stack in the state file, for good. NULL: not known */
  GPtrArray *comments;      /* const char *; those of ours are "# heapprof KEY: VALUE" */
  const char *default_type; /* name of a type, or "" */
  const char *drop_frames, *keep_frames, *doc_url;
  struct heap_type period_type;
  int64_t period, time_unix_ns, duration_ns;
  const char *name; /* of the file or process it came from, for messages */
  bool is_of_text;  /* it was read from a text profile, which is not written again */

  GStringChunk *strings;
  GHashTable *function_index; /* of heap_add_function */
};

struct heap *heap_new(const char *name);
void heap_free(struct heap *heap);

/* The interned copy. NULL counts as "". Bytes that are not UTF-8 are replaced. */
const char *heap_text(struct heap *heap, const char *text);
/* The same of text that may hold anything, NUL too. */
const char *heap_text_of_bytes(struct heap *heap, const char *bytes, size_t size);

/* The four types of a heap profile, in pprof's order: alloc_objects, alloc_space, inuse_objects, inuse_space; the
 * last is the default. */
void heap_set_usual_types(struct heap *heap);
/* And behind them what was in use at the peak: peak_objects, peak_space. */
#define HEAP_PEAK_SPACE "peak_space"
void heap_add_peak_types(struct heap *heap);
bool heap_is_of_peak(const struct heap_type *type);
/* Drops all behind the first `count`, and their values. */
void heap_keep_types(struct heap *heap, uint32_t count);

/* Each returns the index of what was added. Texts given are interned. */
uint32_t heap_add_mapping(struct heap *heap, struct heap_mapping mapping);
uint32_t heap_add_location(struct heap *heap, uint64_t address, uint32_t mapping);
/* The function with these four attributes, added if it is new. */
uint32_t heap_add_function(struct heap *heap, struct heap_function function);
/* Replaces the lines of a location. */
void heap_set_lines(struct heap *heap, uint32_t location, const struct heap_line *lines, uint32_t count);
/* `values` and `variances` (NULL: zeros) have types->len elements. */
uint32_t heap_add_sample(struct heap *heap, const uint32_t *frames, uint32_t frame_count, const int64_t *values,
                         const double *variances);
/* The same, of frames that are in the heap. */
uint32_t heap_add_sample_of(struct heap *heap, uint32_t first_frame, uint32_t frame_count, const int64_t *values,
                            const double *variances);
/* Makes this the frames of a heap that has none: of uint32_t, with memory. Some may be of no sample. */
void heap_take_frames(struct heap *heap, GArray *frames);
/* To the sample added last. */
void heap_add_label(struct heap *heap, const char *key, const char *text, int64_t number, const char *unit);

/* Comments "# heapprof KEY: VALUE". */
void heap_add_comment(struct heap *heap, const char *key, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* NULL if there is none. */
const char *heap_comment(const struct heap *heap, const char *key);
bool heap_comment_number(const struct heap *heap, const char *key, uint64_t *number);

/* The index of a type by its name; also "space", "objects" for inuse_space, inuse_objects and the reverse; "" or
 * NULL: the default type. -1 if there is none. */
int heap_find_type(const struct heap *heap, const char *name);
/* "alloc_objects, alloc_space": what there is to choose from, as a new string. */
char *heap_type_names(const struct heap *heap);

static inline struct heap_type *heap_type(const struct heap *heap, uint32_t index)
{
  return &g_array_index(heap->types, struct heap_type, index);
}
static inline struct heap_mapping *heap_mapping(const struct heap *heap, uint32_t index)
{
  return &g_array_index(heap->mappings, struct heap_mapping, index);
}
static inline struct heap_function *heap_function(const struct heap *heap, uint32_t index)
{
  return &g_array_index(heap->functions, struct heap_function, index);
}
static inline struct heap_location *heap_location(const struct heap *heap, uint32_t index)
{
  return &g_array_index(heap->locations, struct heap_location, index);
}
static inline struct heap_sample *heap_sample(const struct heap *heap, uint32_t index)
{
  return &g_array_index(heap->samples, struct heap_sample, index);
}
static inline const struct heap_line *heap_lines(const struct heap *heap, const struct heap_location *location)
{
  return &g_array_index(heap->lines, struct heap_line, location->first_line);
}
static inline const uint32_t *heap_frames(const struct heap *heap, const struct heap_sample *sample)
{
  return &g_array_index(heap->frames, uint32_t, sample->first_frame);
}
static inline int64_t *heap_values(const struct heap *heap, uint32_t sample)
{
  return &g_array_index(heap->values, int64_t, (size_t)sample * heap->types->len);
}
/* 0 when nobody knows. */
static inline double heap_variance(const struct heap *heap, uint32_t sample, int type)
{
  return heap->variances ? g_array_index(heap->variances, double, (size_t)sample * heap->types->len + (size_t)type) : 0;
}

#endif
