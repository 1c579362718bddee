/* SPDX-License-Identifier: MIT */
/* From the region to a file: at exit, on a signal, by API.
 *
 * Takes no lock, waits for nobody, calls no libc function that allocates or locks; runs on a stack of its own with
 * signals blocked, so it may be called from a handler that interrupted anything, with less than 2 KiB of stack left.
 * While it runs, a file is open; a fork at that moment gives the child a copy of the descriptor. A forked child numbers
 * its own from 1.
 *
 * Failure: -errno and one line on standard error; no partial file is left under the final name.
 */
#ifndef HEAPPROF_DUMP_H
#define HEAPPROF_DUMP_H

#include "core/config.h"

#include <stdbool.h>

/* From the constructor: remembers where the process was started. `config` and `program` must live as long as the
 * process. */
void dump_init(const struct config *config, const char *program);

/* Why the profiles of an inert process are empty, for their comments. */
void dump_set_inert_reason(const char *reason);

/* Writes a profile to `path`, or where HEAPPROF_OUT says for NULL. An existing file is never replaced: under a pattern
 * the profile gets a name beside it, under a path of its own the result is -EEXIST. `reason` goes into the comments. */
int dump_write(const char *path, const char *reason);

/* As dump_write(NULL), at the end of the process: what was mapped for it stays, for the kernel to take with all
 * else. */
int dump_write_last(const char *reason);

/* As dump_write(NULL), unless one of these is running: then that one writes another profile when it is done. For
 * handlers. */
void dump_request(const char *reason);

/* What lasts from begin to end is waited for by other threads that end the process. */
unsigned dump_begin(void);
void dump_end(unsigned turn);

/* Before the process ends: waits at most DUMP_WAIT_MS for what other threads have begun, not at all in a thread that
 * has begun something itself. False: something takes longer; it leaves no temporary file. */
enum { DUMP_WAIT_MS = 100 };
bool dump_wait_for_others(void);

/* What took longer was the profile of this process's end. */
void dump_tell_cut_off(void);

#endif
