/* SPDX-License-Identifier: MIT */
/* The two files of an entry of the queue as bytes: one record for each process.
 *
 * Memory: new arrays are the caller's; texts and bytes in them are those of the file, as long as that lives. Failure:
 * NULL, where the bytes are no such file.
 */
#ifndef HEAPPROF_RECORDS_H
#define HEAPPROF_RECORDS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Of whose profile. */
struct queue_source {
  int pid;
  uint64_t created_unix_ns;
};

struct record {
  struct queue_source source;
  size_t at; /* where its header begins in the file, and its bytes */
  size_t bytes_at;
  const char *text; /* not terminated */
  const uint8_t *bytes;
  uint32_t text_size, size;
  bool is_done; /* nobody needs it any more */
};

/* `text` may be "", `bytes` NULL. */
void records_append(GByteArray *file, struct queue_source source, const char *text, GBytes *bytes);

/* A file of those of its records that lie from there to there. */
GByteArray *records_part(const GByteArray *file, size_t from, size_t to);

/* struct record. */
GArray *records_of(GBytes *file);

/* The byte in the file that says that a record is done, and what it is then. */
size_t records_done_at(const struct record *record);
#define RECORDS_DONE ((uint8_t)1)

#endif
