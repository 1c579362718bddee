/* SPDX-License-Identifier: MIT */
/* The processes of a recording, and the profiles that conditions have kept, as heapprof-record lists them.
 *
 * Memory: a list owns what is in it. Failure: NULL and *error.
 */
#ifndef HEAPPROF_RECORDED_LIST_H
#define HEAPPROF_RECORDED_LIST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct recorded_process {
  int64_t id;
  int pid;
  const char *program, *command;
  int64_t first_ms, last_ms, moments;
  double in_use_bytes, allocated_bytes; /* at its last moment */
  bool has_ended;
};

struct recorded_kept {
  int64_t number, time_ms;
  int pid; /* 0: of a process that was forgotten */
  const char *program, *condition;
};

struct recorded_list {
  char *path;
  GArray *processes; /* struct recorded_process, by their first moments */
  GArray *kept;      /* struct recorded_kept */
  GBytes *pulses;    /* of all (live/pulse.h), whose pid is the id here */
  void *json;
};

struct recorded_list *recorded_list_read(const char *path, GError **error);
void recorded_list_free(struct recorded_list *list);

/* By its number, its name, or "id:N"; "": the only one. Where a number or name was used again, who has not ended, or
 * else the last. NULL and *error, whose code is the status of an answer. */
const struct recorded_process *recorded_list_find(const struct recorded_list *list, const char *process,
                                                  GError **error);

/* By which it is told from all others here, for paths: its number, or "id:N". A new text. */
char *recorded_list_name(const struct recorded_list *list, const struct recorded_process *process);

#endif
