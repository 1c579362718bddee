/* SPDX-License-Identifier: MIT */
/* The records of a state region in memory that somebody else may be writing, or has made up (docs/region-format.md, 4 to 6).
 *
 * Every field is loaded once, checked, and used as it was checked. The work is linear in the size, whatever the sizes inside
 * say.
 */
#ifndef HEAPPROF_REGION_LOG_H
#define HEAPPROF_REGION_LOG_H

#include "core/tally.h"

#include <glib.h>
#include <stdbool.h>

#define REGION_ERROR g_quark_from_static_string("heapprof-region")

enum region_error {
  REGION_ERROR_UNUSABLE,
  REGION_ERROR_UNREADY, /* its process has not finished making it */
};

struct region_log {
  const uint8_t *bytes;
  uint64_t end; /* of the log in the file */
  uint64_t header_bytes, first_segment_bytes;
  uint64_t position;
  uint64_t wasted_words; /* hashed for records that turned out to be none */
  bool is_whole;         /* false: the log goes on in private memory of its owner */
};

/* Checks the header and stands before the first record. False and *error: not a region, or one of another version. */
bool region_log_open(struct region_log *log, const uint8_t *bytes, size_t size, const char *name, GError **error);

static inline const struct region_header *region_log_header(const struct region_log *log)
{
  return (const struct region_header *)log->bytes;
}

void region_log_rewind(struct region_log *log);

/* After a walk: so much of it looked like records and was none that the rest was given up. */
bool region_log_is_hostile(const struct region_log *log);

/* The next stack, NULL at the end. Its pcs are copied to `pcs`, of uint64_t, emptied first. */
const struct stack_record *region_log_next_stack(struct region_log *log, GArray *pcs);

/* What was allocated and is in use at one stack, so that the two agree as well as may be while others write. */
struct stack_sums region_log_sums(const struct stack_record *stack);

/* A variance found in a file: 0 if it is none. */
double region_log_variance(double value);

struct region_log_module {
  uint64_t start, limit, file_offset;
  bool is_main;
  unsigned build_id_bytes;
  uint8_t build_id[MODULE_BUILD_ID_MAX];
  char *path;
};

/* The next module; false at the end. The caller frees its path. */
bool region_log_next_module(struct region_log *log, struct region_log_module *module);

#endif
