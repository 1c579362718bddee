/* SPDX-License-Identifier: MIT */
/* An entry of the queue whose profiles are being sent, one after the other or several at once.
 *
 * Memory: what is returned is the entry's, unless it says otherwise. Failure: NULL, if it is damaged.
 */
#ifndef HEAPPROF_ENTRY_H
#define HEAPPROF_ENTRY_H

#include "tools/push/queue.h"

struct entry {
  const struct queue *queue;
  char *name;
  int64_t time_unix_ns;
  GBytes *file;
  GArray *records;   /* struct record */
  GPtrArray *labels; /* GTree *, of each */
  guint first;       /* of those that are neither done nor passed over */
  bool has_skipped;  /* some were passed over: it stays in the queue */
};

struct entry *entry_open(const struct queue *queue, const char *name);
void entry_free(struct entry *entry);

const struct record *entry_record(const struct entry *entry, guint index);
GTree *entry_labels(const struct entry *entry, guint index);

/* New ones, the caller's: its profile, and what tells it from all others. */
GBytes *entry_profile(const struct entry *entry, guint index);
char *entry_profile_name(const struct entry *entry, guint index);

/* Passes over the first: it stays in the queue, and is not done. */
void entry_skip(struct entry *entry);

/* So many from the first on are done. */
void entry_note_done(struct entry *entry, guint count);
bool entry_is_done(const struct entry *entry);

#endif
