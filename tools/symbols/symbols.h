/* SPDX-License-Identifier: MIT */
/* symbols/: names, files and lines for addresses in files. It knows nothing of processes' memory. A damaged or hostile
 * file costs the names that are in it, nothing else. One thread; what cannot be found is a problem in the result, never
 * a failure.
 *
 * Names for addresses: functions, inlined frames, files and lines, demangled.
 *
 * From the files that mappings name, checked by build id, by elfutils' libdw: DWARF 4 and 5, split, dwz, debuglink,
 * build-id directories, minidebuginfo, debuginfod where $DEBUGINFOD_URLS asks for it. Results are cached by build id.
 * Files are hostile input.
 */
#ifndef HEAPPROF_SYMBOLS_H
#define HEAPPROF_SYMBOLS_H

#include "tools/heap/heap.h"

#include <sys/types.h>

enum symbols_detail {
  SYMBOLS_NAMES, /* function names from symbol tables: fast */
  SYMBOLS_LINES, /* inlined frames, files and lines as well, where debug information is to be had */
};

struct symbols_options {
  enum symbols_detail detail;
  const char *root; /* put before the paths of mappings: a process in another mount namespace; NULL or "": ours */
  int pid;          /* of a living process whose heap it is, which still has files that are gone; 0: none */
  uid_t owner;      /* root opens what he could open himself (owner_rights.h); 0: all that we can */
  bool replaces;    /* also where a location has lines already */
  bool shows_progress;
  bool may_download; /* debuginfod */
  bool skips_cache;  /* neither reads nor writes it */
  /* Of the monotonic clock, in microseconds: from then on no file is looked into. One that takes long is left then, and
   * is not looked into again for a while, and then for longer. 0: all are, as long as it takes. */
  int64_t until_us;
};

struct symbols_result {
  uint32_t locations;         /* in files */
  uint32_t named, with_lines; /* of those, now */
  uint32_t found;             /* got lines, or a stand-in, by this call */
  bool is_cut;                /* for want of time: not all files were looked into */
  GPtrArray *problems;        /* char *: one line for each file that gave nothing, or not all it has: why */
  GPtrArray *without_debug;   /* char *: paths of files without debug information, if lines were wanted */
};

/* Gives lines to the locations of the heap; those that nobody has a name for get a stand-in (stand_in.h), so that every
 * one has a function. What a process finds out it remembers, so that doing it again for the same program is cheap.
 * Files are read in a process of its own: see symbol_worker.h. */
void symbols_add(struct heap *heap, const struct symbols_options *options, struct symbols_result *result);
void symbols_result_clear(struct symbols_result *result);

#endif
