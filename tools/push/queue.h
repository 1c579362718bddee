/* SPDX-License-Identifier: MIT */
/* What waits to be sent: a folder of entries, each of profiles of several processes, with what those had allocated when
 * they were read (marks.h). An entry comes by one rename, profiles and marks together, so a kill at any moment leaves
 * both or neither: what the next profile takes away is what was put in.
 *
 *   TIME/        in ns since 1970; times rise
 *     profiles   with their labels; gone once all were sent
 *     marks      stay until there are newer ones of the same processes (newest.h)
 *   new/         an entry in the making
 *   lock         held by who uses the folder
 *
 * Files are few, since file systems take long to make one: ext4 looks at each that was removed in the last minutes.
 *
 * Two processes use it at once: one adds, one takes. Nothing is forced to the disk: entries survive the processes, and
 * what a crash of the machine damages is dropped.
 *
 * Memory: texts and bytes that are returned are the caller's. Failure: false or NULL, and *error.
 */
#ifndef HEAPPROF_QUEUE_H
#define HEAPPROF_QUEUE_H

#include "tools/push/records.h"

struct queue {
  char *path;
  int folder, lock;
  uint64_t bytes_max;
};

/* Makes the folder and locks it, as long as this process or a forked one lives. */
bool queue_open(struct queue *queue, const char *path, uint64_t bytes_max, GError **error);

/* Somebody may remove the folder, or the lock. Is it still what lies at its path, and locked? */
bool queue_is_there(const struct queue *queue);

/* Makes and locks it again; what was there is kept open where that fails. G_FILE_ERROR_AGAIN: another has the lock. */
bool queue_open_again(struct queue *queue, GError **error);

/* Of a forked process: uses what its parent has locked by now. False: nobody has. */
bool queue_follow(struct queue *queue);
void queue_close(struct queue *queue);

enum queue_part { QUEUE_PROFILES, QUEUE_MARKS };

/* Names of entries that have this part, char *, by their time. */
GPtrArray *queue_names(const struct queue *queue, enum queue_part part);
bool queue_read_name(const char *name, int64_t *time_unix_ns);
char *queue_name(int64_t time_unix_ns);

/* Of profiles that wait; marks do not. */
uint64_t queue_bytes(const struct queue *queue);

/* Who adds. */

/* What is left of an entry that did not get its name. */
void queue_remove_unfinished(const struct queue *queue);

/* Files of records; one of no bytes is left out. `after_ns`: the time must be later. Returns the new entry's name. */
char *queue_add(const struct queue *queue, int64_t after_ns, const GByteArray *profiles, const GByteArray *marks,
                GError **error);

/* All of an entry; NULL: there are none. */
GBytes *queue_marks(const struct queue *queue, const char *name);

/* To be closed, -1: there are none; and those of one process. They can be read though somebody removes the entry. */
int queue_open_marks(const struct queue *queue, const char *name);
GBytes *queue_marks_at(int marks, size_t at, size_t size);
void queue_drop_marks(const struct queue *queue, const char *name);

/* Who takes. */

/* A file of records; NULL: it is damaged. */
GBytes *queue_profiles(const struct queue *queue, const char *name);
/* One of them was sent, or all. False: it could not be noted, or taken away. */
bool queue_note_done(const struct queue *queue, const char *name, const struct record *record);
bool queue_done(const struct queue *queue, const char *name);

#endif
