/* SPDX-License-Identifier: MIT */
/* What the header and the tallies of a region say, without its stacks and modules.
 *
 * Texts are as they stand in the file: not printable, not UTF-8, but terminated.
 */
#ifndef HEAPPROF_REGION_SUMMARY_H
#define HEAPPROF_REGION_SUMMARY_H

#include "core/losses.h"
#include "tools/state/region_log.h"

struct region_summary {
  int pid, parent_pid; /* as the process sees itself */
  uint64_t created_unix_ns;
  uint64_t created_boot_ns, pid_namespace; /* 0: not known */
  uint64_t sample_interval_bytes;
  unsigned depth;
  char program[65], allocator[257];
  uint32_t hooks;                  /* enum region_hooks */
  uint64_t attachments;            /* 0: it was started with the library */
  char command[COMMAND_BYTES + 1]; /* with its arguments; "": not known */
  uint64_t origin_unix_ns;         /* of the region that all that was inherited goes back to ... */
  int origin_pid;                  /* 0: it inherited nothing */
  bool has_ended;                  /* and had the time to say so: it was not killed */
  int exit_status;
  uint64_t resident_bytes, resident_most_bytes; /* 0: not known */
  uint64_t samples, stacks;
  uint64_t exact_units;
  uint64_t lost[REGION_LOSSES];
  uint64_t lost_samples; /* those losses that dropped a sample */
  uint64_t own_bytes, own_unused_bytes;
  uint64_t sampling_ns;                                                    /* 0: not known yet */
  uint64_t cpu_ns;                                                         /* of the process; 0: not known */
  double in_use_bytes, in_use_objects, allocated_bytes, allocated_objects; /* estimates */
  double in_use_bytes_variance;
  double inherited_bytes;     /* of those in use, what a forked child has from its parent */
  double peak_bytes;          /* the highest estimate of in_use_bytes so far */
  uint64_t uncovered_objects; /* that allocate past the profiler, and the first of them */
  char uncovered_names[UNCOVERED_NAMES][UNCOVERED_NAME_BYTES + 1]; /* "": none */
  double rounding_bytes;      /* of those in use, what the allocator gave beyond what was asked for */
  uint64_t seen[SEEN_PLACES]; /* addresses of samples; 0: none */
  uint64_t own_starts[OWN_RANGES], own_limits[OWN_RANGES]; /* what the profiler has mapped; equal: none */
  uint64_t allocator_counters[ALLOCATOR_COUNTERS];         /* by enum allocator_counter; 0 all: not known */
  bool is_whole; /* false: part of the log is in private memory of the process */
  uint64_t file_bytes;
};

/* Since when a process that had been running is profiled, as profiles say it; NULL: since its start. */
const char *region_summary_since(const struct region_summary *summary);

/* What the allocator gave beyond what was asked for at this stack, as a share of that. */
double region_summary_rounding(const struct stack_record *stack);

/* One pass over the log, to its end. */
void region_summary_read(struct region_log *log, struct region_summary *summary);

#endif
