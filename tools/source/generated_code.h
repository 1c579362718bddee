/* SPDX-License-Identifier: MIT */
/* Names for code that a runtime generated, in memory that belongs to no file: from the perf maps and dumps that it
 * wrote (perf_map.h, jitdump.h), as long as they are there, whether or not the process is.
 *
 * The process is the one that the comments of the profile name, as it saw itself: the runtime saw the same. Files are
 * hostile input: regular ones of the process's user or of root are read, links are not followed.
 */
#ifndef HEAPPROF_GENERATED_CODE_H
#define HEAPPROF_GENERATED_CODE_H

#include "tools/heap/heap.h"

#include <sys/types.h>

struct generated_code_process {
  const char *root; /* where its files start: before "/tmp"; NULL or "": ours */
  int pid;          /* in our pid namespace, if it lives; 0: not */
  uid_t owner;
};

/* Only to places without a name. Returns how many have got one. `problems` (char *) gets a line for each file that was
 * not used. */
uint32_t generated_code_add_names(struct heap *heap, const struct generated_code_process *process, GPtrArray *problems);

#endif
