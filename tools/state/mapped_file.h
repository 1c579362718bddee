/* SPDX-License-Identifier: MIT */
/* A file that others write while we read it through a mapping. When it is cut under our hands, a load from the lost part would
 * raise SIGBUS: between begin and end it gives zeros instead, and end tells.
 *
 * Threads: one, and one file at a time between begin and end. Signals: SIGBUS is handled between begin and end only.
 */
#ifndef HEAPPROF_MAPPED_FILE_H
#define HEAPPROF_MAPPED_FILE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct mapped_file;

/* A regular file of `owner`, (uid_t)-1: of anybody; symbolic links are not followed. NULL and *error, a GFileError. */
struct mapped_file *mapped_file_open(const char *path, uid_t owner, GError **error);

/* A copy of the bytes that behaves like a file. */
struct mapped_file *mapped_file_of_bytes(const void *bytes, size_t size, const char *name);
void mapped_file_close(struct mapped_file *file);

/* As it was when it was opened. */
const struct stat *mapped_file_status(const struct mapped_file *file);
const char *mapped_file_name(const struct mapped_file *file);

/* What the file holds now, at most `limit` bytes: larger files are refused. Aligned to 16 bytes. */
const uint8_t *mapped_file_begin(struct mapped_file *file, size_t limit, size_t *size, GError **error);

/* False and *error: something was cut off since begin. */
bool mapped_file_end(struct mapped_file *file, GError **error);

#endif
