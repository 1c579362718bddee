/* SPDX-License-Identifier: MIT */
/* The names of profiles, from a pattern as HEAPPROF_OUT has it: %e program, %p process id, %h host, %n number, %t time,
 * %%.
 *
 * Failure: NULL and *error; no file is overwritten.
 */
#ifndef HEAPPROF_OUTPUT_NAME_H
#define HEAPPROF_OUTPUT_NAME_H

#include "tools/heap/heap.h"

#include <stdbool.h>
#include <sys/stat.h>

/* The pattern for what the user asked for: NULL, the usual name; a directory, or a name that ends with a slash: the
 * usual name in there; else a pattern. Absolute, so that it means the same to programs that are started elsewhere. To
 * be freed. */
char *output_pattern(const char *given);

/* One name; `program` may be any text. To be freed. */
char *output_name(const char *pattern, const char *program, int pid, unsigned number);

/* Writes the heap under the first name, by number, that is free. The path, to be freed; NULL and *error. */
char *output_save(const struct heap *heap, const char *pattern, const char *program, int pid, GError **error);

/* Could a file be written in the folder that the pattern names? What depends on the process is not known yet, and
 * passes. errno. */
bool output_folder_is_usable(const char *pattern);

/* As it is typed in the current directory. To be freed. */
char *output_shown(const char *path);

/* Now, by the clock that files are stamped with: it lags behind by up to some ms. */
gint64 output_clock_ns(void);

/* When a file was written, by that clock. */
gint64 output_clock_of(const struct stat *status);

/* Paths (char *) of files that are named as profiles of this process are, whatever its program, and were written after
 * that, sorted. */
GPtrArray *output_names_since(const char *pattern, int pid, gint64 clock_ns);

#endif
