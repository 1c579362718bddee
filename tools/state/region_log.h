/* SPDX-License-Identifier: MIT */
/* The records of a state file that somebody else may be writing, or has made up (docs/region-format.md, 4 to 6).
 *
 * The file is read in windows, each twice: what is the same in both was so at the moment between them. So a record is
 * one of one moment, and memory does not grow with the file. The work is linear in the data of the file, whatever the
 * sizes inside say; holes are stepped over.
 *
 * Memory: a record that is given out is good until the next one is asked for.
 */
#ifndef HEAPPROF_REGION_LOG_H
#define HEAPPROF_REGION_LOG_H

#include "core/peak.h"
#include "tools/state/region_bytes.h"

#include <glib.h>
#include <stdbool.h>

#define REGION_ERROR g_quark_from_static_string("heapprof-region")

enum region_error {
  REGION_ERROR_UNUSABLE,
  REGION_ERROR_UNREADY, /* its process has not finished making it */
};

struct region_log {
  struct region_header header; /* as it was when the log was opened */
  uint64_t end;                /* of the log in the file */
  bool is_whole;               /* false: the log goes on in private memory of its owner */
  /* Of region_log.c. */
  struct region_bytes *bytes;
  uint64_t header_bytes, first_segment_bytes;
  uint64_t position;
  uint64_t wasted_words;    /* hashed for records that turned out to be none */
  uint8_t *before, *window; /* what was read first and again */
  uint64_t window_at;
  size_t window_bytes;
  struct peak_moments window_moments; /* in force when all of it was there */
  struct peak_moments moments;        /* in force when the stack that was given out was read */
};

/* Checks the header and stands before the first record. False and *error: not a region, or one of another version. */
bool region_log_open(struct region_log *log, struct region_bytes *bytes, uint64_t size, GError **error);
void region_log_close(struct region_log *log);

/* The moments of the peak that are in force now, not when the log was opened. */
struct peak_moments region_log_moments(const struct region_log *log);

void region_log_rewind(struct region_log *log);

/* After a walk: so much of it looked like records and was none that the rest was given up. */
bool region_log_is_hostile(const struct region_log *log);

/* The next stack, NULL at the end. Its pcs are copied to `pcs`, of uint64_t, emptied first. */
const struct stack_record *region_log_next_stack(struct region_log *log, GArray *pcs);

/* The same of what was mapped there. */
const struct stack_record *region_log_next_mapped(struct region_log *log, GArray *pcs);

/* The position by which ranges name it. */
uint64_t region_log_granule(const struct region_log *log, const struct stack_record *stack);

struct region_range {
  uint64_t start, limit;
  uint64_t stack; /* granule of what mapped it */
};

/* Adds those of the next record to struct region_range, in no order; false at the end. */
bool region_log_next_ranges(struct region_log *log, GArray *ranges);

/* Reads the sums of that stack once more, and the moments after them. */
void region_log_reread(struct region_log *log, const struct stack_record *stack);

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
