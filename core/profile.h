/* SPDX-License-Identifier: MIT */
/* A profile between snapshot and encoder: samples, locations, functions and mappings in plain arrays, pprof's rules
 * applied (docs: ids 1..N in order, addresses unique and non-zero, every string once, the main program first). Every
 * location has a function.
 *
 * Threads: one at a time. Signals: safe. Memory: the arena given; everything lives as long as it does. Failure: false,
 * with nothing to undo but the arena.
 */
#ifndef HEAPPROF_PROFILE_H
#define HEAPPROF_PROFILE_H

#include "core/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum profile_value {
  PROFILE_ALLOC_OBJECTS,
  PROFILE_ALLOC_SPACE,
  PROFILE_INUSE_OBJECTS,
  PROFILE_INUSE_SPACE,
  PROFILE_PEAK_OBJECTS,
  PROFILE_PEAK_SPACE,
  PROFILE_VALUES,
};

enum { PROFILE_COMMENTS_MAX = 64 };

/* An index into profile.strings; 0 is "". */
typedef uint32_t profile_string;

struct string_entry {
  const char *text;
  size_t length;
  uint32_t function; /* id of the function of that name, 0: none */
};

struct profile_sample {
  int64_t values[PROFILE_VALUES];
  float variances[PROFILE_VALUES]; /* of the values, as estimates */
  const uint32_t *locations;       /* ids, innermost first */
  uint32_t location_count;
  profile_string cut; /* why outermost frames are missing, 0: none are */
  uint32_t stack;     /* the number of its record */
  bool is_inherited;  /* inherited.h */
};

struct profile_location {
  uint64_t address;
  uint32_t mapping;  /* id, 0: none */
  uint32_t function; /* id, 0: unknown */
};

struct profile_function {
  profile_string name;
};

struct profile_value_type {
  profile_string name, unit;
};

struct profile_mapping {
  uint64_t start, limit, file_offset;
  profile_string path;
  profile_string build_id;
};

/* The totals of one kind of value and the standard error of the estimate. */
struct profile_total {
  double estimate;
  double standard_error;
};

struct profile {
  struct profile_sample *samples;
  size_t sample_count;
  struct profile_location *locations; /* id - 1 */
  size_t location_count;
  struct profile_function *functions; /* id - 1 */
  size_t function_count;
  struct profile_mapping *mappings; /* id - 1 */
  size_t mapping_count;
  struct string_table {
    struct string_entry *entries;
    size_t count, capacity;
    uint32_t *slots; /* hash index of ids */
    size_t slot_count;
  } strings;
  profile_string comments[PROFILE_COMMENTS_MAX];
  size_t comment_count;
  struct profile_value_type value_types[PROFILE_VALUES], period_type;
  profile_string drop_frames;
  /* Of the labels that say why frames are missing, and what was inherited. */
  profile_string cut_key, inherited_key, inherited_text;
  uint64_t period_bytes;
  uint64_t time_unix_ns;
  struct profile_total totals[PROFILE_VALUES];
};

/* Names of the sample types, in order, and their units. */
extern const char *const profile_value_names[PROFILE_VALUES];
extern const char *const profile_value_units[PROFILE_VALUES];

/* Builds the profile of the calling process from its region, with names from the ELF files; time and comments are the
 * caller's. */
bool profile_build(struct profile *profile, struct arena *arena);

/* Adds a line to the comments. */
bool profile_add_comment(struct profile *profile, struct arena *arena, const char *line);

#endif
