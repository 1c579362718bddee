/* SPDX-License-Identifier: MIT */
/* A recording as it is read: which processes it has, and which moment of which is meant.
 *
 * Failure: NULL or false and *error.
 */
#ifndef HEAPPROF_RECORDED_H
#define HEAPPROF_RECORDED_H

#include "tools/record/process_row.h"

struct recorded {
  struct store *store;
  struct texts *texts;
  GArray *processes; /* struct process_row, by their first moments */
};

/* As it is now: what is recorded meanwhile is not seen. */
struct recorded *recorded_open(const char *path, GError **error);
void recorded_free(struct recorded *recorded);

/* What is meant by words. NULL: the only process there is; the last moment. */
struct recorded_words {
  const char *process; /* its number or name, or "id:N" for the one of that row */
  const char *time;    /* as amount.h has it, "first", "last" or "largest" */
};

/* The heap of that moment. Where a number or a name was used again, the process is the one that ran then. */
struct heap *recorded_heap(struct recorded *recorded, const struct recorded_words *words, GError **error);

/* The process of that moment. It is the recorded's. */
const struct process_row *recorded_row(const struct recorded *recorded, const struct recorded_words *words,
                                       GError **error);

/* What conditions have kept: its number, time, program, condition, value, and the number of its process, or NULL. */
sqlite3_stmt *recorded_query_kept(const struct recorded *recorded, GError **error);

/* The profile that a condition has kept under this number; it must be of `process`, if that is not NULL. */
GBytes *recorded_kept(struct recorded *recorded, int64_t number, const char *process, GError **error);

#endif
