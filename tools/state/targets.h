/* SPDX-License-Identifier: MIT */
/* state/: state files of processes, alive or dead, read from outside. No process is stopped, signalled or written to,
 * and nothing that a file says is believed. It gives heaps without names. One thread; failures are NULL or false and
 * *error, one line that names the file or the process.
 *
 * Profiled processes, alive or dead, and their state files.
 *
 * Alive: found by the mapping of the state file in /proc/PID/maps, so in any state directory and mount namespace; the
 * file is reached through /proc/PID/root. Dead: found in $HEAPPROF_STATE_DIR if that is set, else in
 * the usual state directories ($XDG_RUNTIME_DIR/heapprof, /dev/shm/heapprof-UID; for root those of all users), and in
 * run.* folders inside them.
 * Only what belongs to us is read or removed; root reads all.
 */
#ifndef HEAPPROF_TARGETS_H
#define HEAPPROF_TARGETS_H

#include "core/resident.h"
#include "tools/state/region_file.h"

#include <sys/types.h>

struct target {
  int pid; /* in our pid namespace; of a dead one, as it saw itself */
  bool is_alive;
  bool is_replaced; /* not alive, but its process is: it executed a program that is not profiled */
  uid_t owner;
  char *path;         /* of the state file, to open it from here */
  char *root;         /* where its file names start: "/proc/PID/root", "" for our own root */
  struct stat status; /* of the state file: which one it is */
  struct region_summary summary;
};

void target_free(struct target *target);

/* "live", "dead" or "replaced". */
const char *target_state(const struct target *target);

/* Is the process that wrote it still there? Another one may have its number. */
bool target_runs(const struct target *target);

/* What the process says of itself: its arguments, of a dead one those that it was started with. To be freed. */
char *target_command(const struct target *target);

/* As the kernel counts it now; of a dead one, what it said last. 0: not known. */
struct resident target_resident(const struct target *target);

/* region_file_read of its state, with the command among the comments. NULL and *error, also when it has ended meanwhile
 * and taken its state with it. */
struct heap *target_read(const struct target *target, enum region_moment moment, const char *reason, GError **error);

/* REGION_MAPPED with what of it is resident (region_heap.h). */
struct heap *target_read_resident(const struct target *target, GHashTable *resident, const char *reason,
                                  GError **error);

/* What it has mapped itself, struct region_range; NULL and *error. */
GArray *target_ranges(const struct target *target, GError **error);

/* struct target *, sorted by pid, with target_free as element function. Files that cannot be read are left out;
 * `unreadable` (may be NULL) gets one message each, char *. */
GPtrArray *targets_scan(GPtrArray *unreadable);

/* The process, alive if there is one of that pid, else dead (the latest). NULL and *error, which says what that pid is
 * instead: not running, not profiled, not ours. */
struct target *target_find(int pid, GError **error);

/* The same, but only alive: it costs a look at that process, not at all. */
struct target *target_find_living(int pid, GError **error);

/* The state file of a dead process, by path. */
struct target *target_of_file(const char *path, GError **error);

/* Removes the state file of a dead process, and the run.* folder it was in if that is now empty. Never that of a live
 * one. */
bool target_remove(const struct target *target, GError **error);

/* The directory that a process started from here would use, made if missing; NULL and *error: none is usable. */
char *targets_state_directory(GError **error);

#endif
