/* SPDX-License-Identifier: MIT */
/* resident/: where the resident memory of a live process is, from outside: nothing is stopped, traced, signalled or
 * written. One thread; failures are NULL or false and *error, one line that names the process.
 *
 * The mappings of a process, as the kernel tells them in /proc/PID/smaps. Its text is input: paths in it are whatever
 * the process called its files. */
#ifndef HEAPPROF_SMAPS_H
#define HEAPPROF_SMAPS_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

struct smaps_mapping {
  uint64_t start, limit;
  char permissions[5]; /* "rw-p" */
  uint64_t inode;      /* 0: it is no file's */
  uint64_t resident_bytes, swapped_bytes;
  char *path; /* or "[heap]"; "": neither */
};

/* struct smaps_mapping, in the order of the text, which is that of addresses; what is not in order, empty, or no line
 * of the kernel's is left out. */
GArray *smaps_parse(const char *text, size_t size);

#endif
