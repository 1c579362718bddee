/* SPDX-License-Identifier: MIT */
/* Who writes a recording: what it knows of each process, from moment to moment. What cannot be stored for now (a full
 * disk) costs these moments, and the next ones are tried again.
 *
 * Failure: false and *error, with the file as it was before the moment.
 */
#ifndef HEAPPROF_RECORDER_H
#define HEAPPROF_RECORDER_H

#include "tools/record/tracked.h"
#include "tools/record/upkeep.h"

struct recorder {
  struct store *store;
  struct texts *texts;
  GHashTable *tracked; /* int64_t *: the process -> struct tracked */
  struct upkeep upkeep;
};

/* The store is the recorder's from now on. NULL and *error; then the store is gone, too. */
struct recorder *recorder_new(struct store *store, const struct upkeep *upkeep, GError **error);
void recorder_free(struct recorder *recorder);

/* What belongs together is stored between them. */
bool recorder_begin(struct recorder *recorder, GError **error);
bool recorder_end(struct recorder *recorder, GError **error);
void recorder_give_up(struct recorder *recorder);

/* Stores the heap of a process as it was read. It is of no further use. 0 and *error; else the process. */
struct recorded_process {
  int pid;
  uint64_t created_unix_ns;
  const char *program, *command;
  int64_t resident_bytes; /* 0: not known */
};
int64_t recorder_put(struct recorder *recorder, const struct recorded_process *process, struct heap *heap,
                     tracked_name *name, void *data, GError **error);

/* A process has ended, as far as is known after its last moment. */
bool recorder_end_process(struct recorder *recorder, int64_t process, GError **error);

/* It runs on, but is not recorded any more. */
bool recorder_leave_process(struct recorder *recorder, int64_t process, GError **error);

/* Outside of begin and end. */
bool recorder_keep_up(struct recorder *recorder, struct upkeep_time now, GError **error);

#endif
