/* SPDX-License-Identifier: MIT */
/* The folder run.PID of one `heapprof run`, in the usual state directory: the program and its descendants leave their
 * state files there. Only ours to read and write.
 *
 * Failure: NULL and *error, after which the program runs without being collected from.
 */
#ifndef HEAPPROF_RUN_FOLDER_H
#define HEAPPROF_RUN_FOLDER_H

#include "tools/state/region_file.h"

/* Makes it. Its path, without symbolic links, to be freed; NULL and *error. */
char *run_folder_make(GError **error);

/* Paths (char *) of the state files in it, sorted. */
GPtrArray *run_folder_list(const char *folder);

/* A process that has ended and left its state. */
struct left_state {
  char *path;
  struct region_file *file;
  struct region_summary summary;
};

/* struct left_state, with a clear function. Files that were never finished are removed on the way. */
GArray *run_folder_left(const char *folder);

/* Removes the file, if it still is that one. */
void run_folder_remove_file(const struct left_state *left);

struct running_process {
  int pid;
  char program[17]; /* as the kernel calls it */
};

/* struct running_process, by pid: those that have a state file in the folder, or share that of their parent. */
GArray *run_folder_running(const char *folder);

/* Removes the folder if there is nothing in it any more. */
bool run_folder_remove(const char *folder);

#endif
