/* SPDX-License-Identifier: MIT */
/* A descriptor for a moment, out of the program's way (hazard U1).
 *
 * Another thread may close descriptors that it did not open (daemons close them all) and get the same numbers for files
 * of its own. Our next write or close would then hit those files. New files get the lowest free numbers, so ours move
 * to high numbers at once. There, a number that was closed behind our back stays unused for longer than we need it: the
 * next call fails with EBADF, and we try again. What remains is the moment between seeing that the lower number is
 * still ours and closing it.
 *
 * Threads, signals, fork: safe everywhere. O_CLOEXEC is implied.
 */
#ifndef HEAPPROF_DESCRIPTOR_H
#define HEAPPROF_DESCRIPTOR_H

#include <stddef.h>

enum { DESCRIPTOR_ATTEMPTS = 3 };

/* As sys_open. -EBADF: it was closed meanwhile; a file that was to be created is there. Where RLIMIT_NOFILE leaves no
 * room higher up, the lowest free number. */
int descriptor_open(const char *path, int flags, unsigned mode);

/* Reads the first `size_bytes` of a file, or all of a smaller one, in one read, as /proc requires. `flags` are added to
 * O_RDONLY. Returns the number of bytes, and writes nothing beyond them; or a negative errno, -EBADF as above. */
long descriptor_read_file(const char *path, int flags, void *buffer, size_t size_bytes);

#endif
