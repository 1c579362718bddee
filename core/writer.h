/* SPDX-License-Identifier: MIT */
/* A new file, written whole under a temporary name beside its final one, then renamed: what stands under the final name
 * is complete, and was not there before. Created O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode 0600.
 *
 * Threads: one per writer. Signals: safe. Failure: -errno; the temporary file is removed. RLIMIT_FSIZE is asked first,
 * because exceeding it raises a signal that kills.
 */
#ifndef HEAPPROF_WRITER_H
#define HEAPPROF_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WRITER_PATH_MAX = 1280 };

struct writer {
  int fd;
  int place; /* among those that writer_remove_unfinished knows */
  uint64_t written;
  uint64_t limit;             /* RLIMIT_FSIZE */
  char path[WRITER_PATH_MAX]; /* of the temporary file */
};

/* What stands at a path. */
enum writer_place {
  WRITER_FILE,    /* nothing, or a file or directory, which is left alone */
  WRITER_NOWHERE, /* the null device: there is nothing to write */
  WRITER_NO_FILE, /* another device, a pipe, or a link to one: nothing is written there or beside it */
};

enum writer_place writer_look(const char *path);

int writer_open(struct writer *writer, const char *final_path);
int writer_put(struct writer *writer, const void *bytes, size_t size);

/* Gives the file its final name; -EEXIST when something stands there, which is left alone: try another name or discard.
 */
int writer_commit(struct writer *writer, const char *final_path);

void writer_discard(struct writer *writer);

/* Before the process ends: removes the temporary files of all writers, whatever their threads are doing. No file gets
 * its name after that. */
void writer_remove_unfinished(void);

#endif
