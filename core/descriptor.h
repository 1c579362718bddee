/* SPDX-License-Identifier: MIT */
/* A descriptor for a moment, out of the program's way (hazard U1).
 *
 * Another thread may close descriptors that it did not open (daemons close all), and get their numbers for files of its own, which
 * what we do next would write to, or close. New files get the lowest free numbers. So ours are moved upwards at once, where a number
 * that was closed behind our back stays unused for longer than we need it: the next call fails with EBADF, which is a reason to try
 * again. What remains is the moment between seeing that the lower number is still ours and closing it.
 *
 * Threads, signals, fork: safe everywhere. O_CLOEXEC is implied.
 */
#ifndef HEAPPROF_DESCRIPTOR_H
#define HEAPPROF_DESCRIPTOR_H

#include <stddef.h>

enum { DESCRIPTOR_ATTEMPTS = 3 };

/* As sys_open. -EBADF: it was closed meanwhile; a file that was to be created is there. Where RLIMIT_NOFILE leaves no upwards, the
 * lowest free number. */
int descriptor_open(const char *path, int flags, unsigned mode);

/* The first `size_bytes` of a file, or all of it when it is smaller, by one read, as files of /proc want to be read. `flags` go with
 * O_RDONLY. Returns how many bytes those are, nothing behind them is written; or a negative errno, -EBADF as above. */
long descriptor_read_file(const char *path, int flags, void *buffer, size_t size_bytes);

#endif
