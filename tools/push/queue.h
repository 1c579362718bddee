/* SPDX-License-Identifier: MIT */
/* What waits to be sent: a folder of entries, each one profile of one process, with what that process had allocated
 * when it was read (marks.h). An entry comes by one rename, profile and marks together, so a kill at any moment leaves
 * both or neither: what the next profile takes away is what was put in.
 *
 *   TIME.PID.CREATED/   in ns since 1970; times rise
 *     labels            a line each
 *     profile           gone once it was sent: the marks stay until there are newer ones
 *     marks
 *   new/                an entry in the making
 *   lock                held by who uses the folder
 *
 * Two processes use it at once: one adds, one takes. Nothing is forced to the disk: entries survive the processes, and
 * what a crash of the machine damages is dropped.
 *
 * Memory: texts and bytes that are returned are the caller's. Failure: false or NULL, and *error.
 */
#ifndef HEAPPROF_QUEUE_H
#define HEAPPROF_QUEUE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct queue {
  char *path;
  int folder, lock;
  uint64_t bytes_max;
};

/* Of whose profile. */
struct queue_source {
  int pid;
  uint64_t created_unix_ns;
};

/* Makes the folder and locks it, as long as this process or a forked one lives. */
bool queue_open(struct queue *queue, const char *path, uint64_t bytes_max, GError **error);
void queue_close(struct queue *queue);

/* Names of entries, char *, by their time; with `is_waiting` only those that are to be sent. */
GPtrArray *queue_names(const struct queue *queue, bool is_waiting);
bool queue_read_name(const char *name, struct queue_source *source, int64_t *time_unix_ns);

/* Of what waits. */
uint64_t queue_bytes(const struct queue *queue);

/* Who adds. */

/* What is left of an entry that did not get its name. */
void queue_remove_unfinished(const struct queue *queue);

/* `after_ns`: the time must be later. Returns the new entry's name. */
char *queue_add(const struct queue *queue, struct queue_source source, int64_t after_ns, const char *labels,
                GBytes *profile, GBytes *marks, GError **error);

/* NULL: there are none. */
GBytes *queue_marks(const struct queue *queue, const char *name);
void queue_drop_marks(const struct queue *queue, const char *name);

/* Who takes. */

/* False: it is damaged. */
bool queue_read(const struct queue *queue, const char *name, char **labels, GBytes **profile);
void queue_done(const struct queue *queue, const char *name);

#endif
