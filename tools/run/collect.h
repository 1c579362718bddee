/* SPDX-License-Identifier: MIT */
/* run/: a program under the profiler, and what it leaves. The program runs as if we were not there; what goes wrong
 * with profiling is said, and never changes how the program ends.
 *
 * From the state that processes left in a run folder to profiles with names and lines.
 *
 * A process of our own does it, so that we can go on passing signals, and so that a file that is too much for the
 * library that reads debug information costs the lines, not the profile. What cannot be written keeps its state file.
 *
 * Signals: call with all of them held back (child_start does that). Threads: from the only one.
 */
#ifndef HEAPPROF_COLLECT_H
#define HEAPPROF_COLLECT_H

#include "tools/run/leaks.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A profile that was written. */
struct collected_profile {
  int pid;
  char program[65];
  char command[1025];
  char *path;
  uint64_t samples;
  double peak_bytes, peak_variance, in_use_bytes;
  double most_bytes, most_variance; /* to be shown: the peak, or what is in use, if that came out higher, by chance */
  char peak_site[256]; /* what owned most of a peak above `peak_limit_bytes`, and how much; "": not known */
  double peak_site_bytes;
  uint64_t resident_most_bytes; /* 0: not known */
  bool has_status;              /* it ended by itself, with this: */
  int exit_status;
  struct leaks leaks; /* of one that ended by itself, where a limit asks for it */
  bool is_whole;      /* false: some of its samples were in memory of the process only */
};

struct collection {
  const char *folder, *pattern; /* the caller's; without a folder there is nothing to collect */
  pid_t program;                /* the process that was started */
  double peak_limit_bytes;      /* what holds a peak above it is looked up; INFINITY at first */
  bool finds_leaks;             /* false at first */
  const struct filter *ignored; /* no leaks; NULL at first */
  GPtrArray *profiles;          /* struct collected_profile * */
  struct collected_profile
      *lost;     /* of those that could not be written, the one with the highest peak; its path leads to
                                     what would have been written. NULL: there was none */
  char *problem; /* why the first that could not be written could not; NULL: there was none */
  unsigned kept; /* state files that stay therefore */
  /* Of collect.c. */
  bool has_ended; /* the program */
  pid_t worker;   /* 0: none is at work */
  int reports;    /* its file, -1: none yet */
  int draft;      /* the file of the profile that is lost, -1: none yet */
  guint reports_read;
  guint patience; /* as many files may lie there */
};

void collection_init(struct collection *collection, const char *folder, const char *pattern);
void collection_clear(struct collection *collection);

/* While the program runs, about once a second: where many processes come and go, their state does not pile up. */
void collection_keep_up(void *collection);

/* Writes what is left. SIGINT and SIGTERM, SIGHUP, SIGQUIT cut it short, and so does time: then lines, or names as
 * well, are left out and a message says so. */
void collection_finish(struct collection *collection);

#endif
