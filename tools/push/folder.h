/* SPDX-License-Identifier: MIT */
/* A folder instead of a server: each profile is a file, SERVICE.PID.TIME.pb.gz, which whoever has a network later takes
 * away. A profile that comes twice is the same file.
 *
 * Failure: false and *error.
 */
#ifndef HEAPPROF_FOLDER_H
#define HEAPPROF_FOLDER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Makes it, if need be. */
bool folder_check(const char *path, GError **error);

/* `name`: of the entry (queue.h). Not if there are more than so many bytes in the folder then. */
bool folder_put(const char *path, uint64_t bytes_max, const char *name, GTree *labels, GBytes *profile, GError **error);

#endif
