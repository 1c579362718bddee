/* SPDX-License-Identifier: MIT */
/* The processes of a recording, and what each has once: a heap of all the stacks it ever had, with names and without
 * values.
 *
 * Failure: false or NULL and *error.
 */
#ifndef HEAPPROF_PROCESS_ROW_H
#define HEAPPROF_PROCESS_ROW_H

#include "tools/record/part.h"

struct process_row {
  int64_t id;
  int pid;
  uint64_t created_unix_ns;
  char *program, *command;
  int64_t ended_ns;          /* its last moment, once there were to be no more; 0: there may be */
  bool is_left;              /* it ran on then */
  int64_t first_ns, last_ns; /* of its moments; 0: none is left */
  uint32_t moments;
};

/* struct process_row, by their first moments. */
GArray *process_rows(struct store *store, GError **error);

/* The one of this number and start, the latest where there are several. 0 and no *error: there is none. */
int64_t process_row_find(struct store *store, int pid, uint64_t created_unix_ns, GError **error);

/* A new one, of the heap's types, period and so on; 0 and *error. */
int64_t process_row_add(struct store *store, const struct heap *heap, int pid, uint64_t created_unix_ns,
                        const char *program, const char *command, GError **error);

/* Its stacks. */
struct heap *process_row_stacks(struct store *store, int64_t process, const struct texts *texts, GError **error);

/* How many types of values it has; 0 and *error. */
unsigned process_row_types(struct store *store, int64_t process, GError **error);

/* With all that goes by it, but what is kept. */
bool process_row_remove(struct store *store, int64_t process, GError **error);

#endif
