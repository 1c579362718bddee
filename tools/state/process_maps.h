/* SPDX-License-Identifier: MIT */
/* Which processes map which files from their start, shared and writable: that is how a state file shows whose it is.
 * Read from /proc/PID/maps, which neither stops nor signals anybody.
 *
 * Failure: a process that cannot be looked into is left out.
 */
#ifndef HEAPPROF_PROCESS_MAPS_H
#define HEAPPROF_PROCESS_MAPS_H

#include "core/resident.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct file_mapping {
  int pid;       /* in our pid namespace */
  int inner_pid; /* as the process sees itself */
  dev_t device;
  ino_t inode;
  uint64_t start, limit;
  char *path; /* as the process knows it, or we do */
  bool is_deleted;
  char *proc; /* "/proc/PID", "/proc/PID/task/TID" where the first thread has ended */
};

/* A process whose maps are not for us to read. */
struct closed_process {
  int pid, inner_pid;
  uid_t owner;
};

struct process_maps {
  GArray *mappings; /* struct file_mapping */
  GArray *closed;   /* struct closed_process */
  bool has_shim;    /* a file called libheapprof.so is loaded, somewhere */
};

/* Of all processes. */
struct process_maps *process_maps_scan(void);
/* Of one; `closed` is empty or has it. */
struct process_maps *process_maps_of(int pid);
void process_maps_free(struct process_maps *maps);

/* Is it this file? `status` is that of the file opened at `path`. */
bool process_maps_is_file(const struct file_mapping *mapping, const struct stat *status, const char *path);

/* "Name: rest" of /proc/PID/status; NULL if there is no such process. To be freed. */
char *process_status_field(const char *proc, const char *name);

/* How much memory it has, and has had; zeros: nobody can tell. */
struct resident process_resident(int pid);

/* When it began, exec or not, by CLOCK_BOOTTIME, a hundredth of a second too early at most; UINT64_MAX: there is none.
 */
uint64_t process_start_boot_ns(int pid);

/* Is there a process, ended ones that nobody has waited for not counted? */
bool process_runs(int pid);

#endif
