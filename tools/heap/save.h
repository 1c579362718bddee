/* SPDX-License-Identifier: MIT */
/* Writes a heap as a gzip'd pprof profile (rules of readers: ids 1..N in order, every string once, the main program
 * first; samples whose values are all zero are left out). Written to a temporary name beside it, mode 0600, and then
 * given its own: whole or not at all.
 *
 * Failure: false or NULL and *error; the temporary file is gone, and what stood under the name is left alone.
 */
#ifndef HEAPPROF_SAVE_H
#define HEAPPROF_SAVE_H

#include "tools/heap/heap.h"

/* Takes the place of a file of that name: the user named it and said that it may go (-f). A pipe or device is
 * written to; "-" is standard output, unless that is a terminal. */
bool save_replacing(const struct heap *heap, const char *path, GError **error);

/* The same, but fails with G_FILE_ERROR_EXIST if there is a file or directory of that name. */
bool save_new(const struct heap *heap, const char *path, GError **error);

/* The same of any bytes. */
bool save_file_replacing(GBytes *bytes, const char *path, GError **error);
bool save_file_new(GBytes *bytes, const char *path, GError **error);

/* The message, gzip'd. NULL and *error: it is larger than what load.h reads. */
GBytes *save_bytes(const struct heap *heap, GError **error);

/* That error, for who knows without having made the message. */
void save_fail_too_large(const char *name, GError **error);

/* A name that the shim would have given: heapprof.PROGRAM.PID.N.pb.gz in `directory`, with the first N from 1 on
 * that is free. Written there; returns the path. */
char *save_under_free_name(const struct heap *heap, const char *directory, const char *program, int pid,
                           GError **error);

#endif
