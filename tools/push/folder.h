/* SPDX-License-Identifier: MIT */
/* A folder instead of a server: each profile is a file, SERVICE.PID.TIME.pb.gz, which whoever has a network later takes
 * away. A profile that comes twice is the same file; another that would have its name is SERVICE.PID.TIME.2.pb.gz.
 *
 * Failure: false and *error.
 */
#ifndef HEAPPROF_FOLDER_H
#define HEAPPROF_FOLDER_H

#include "tools/push/records.h"

struct folder_file {
  struct queue_source source;
  int64_t time_unix_ns;
  GTree *labels;
  GBytes *profile;
};

/* Makes it, if need be, but not what it lies in: that would be a wrong name. */
bool folder_check(const char *path, GError **error);

/* What is in it, as far as is known. It is looked at again when it seems full, and from time to time: others use it. */
struct folder {
  const char *path;
  uint64_t bytes_max;
  uint64_t bytes, sure_bytes; /* so many, once there are more than so many: look */
};

/* Not if there are more than bytes_max in the folder then. */
bool folder_put(struct folder *folder, const struct folder_file *file, GError **error);

#endif
