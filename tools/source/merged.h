/* SPDX-License-Identifier: MIT */
/* Files of profiles as one heap. Of parents and their forked children, what a child inherited is counted once.
 *
 * Failure: NULL and *error, which names the file. Chatter: progress, and a line for two files of one process.
 */
#ifndef HEAPPROF_MERGED_H
#define HEAPPROF_MERGED_H

#include "tools/heap/heap.h"

/* At least one path. */
struct heap *merged_of_files(char *const *paths, guint count, GError **error);

#endif
