/* SPDX-License-Identifier: MIT */
/* Where in the queue the newest marks of each process are, and which entries hold such. One that says that a process
 * has none any more keeps those of older entries from being taken for the newest, as long as there are older entries.
 *
 * Memory: bytes that are returned are the caller's. Failure: marks that cannot be read are none.
 */
#ifndef HEAPPROF_NEWEST_H
#define HEAPPROF_NEWEST_H

#include "tools/push/queue.h"

struct newest;

/* As the queue has them; it must live as long. */
struct newest *newest_new(const struct queue *queue);
void newest_free(struct newest *newest);

/* An entry was added: its marks are the newest. Marks of no bytes: the process has none any more. */
void newest_note(struct newest *newest, const char *name, GBytes *file);

/* NULL: there are none, or, where newest_has, they cannot be read. */
bool newest_has(const struct newest *newest, struct queue_source source);
GBytes *newest_marks(const struct newest *newest, struct queue_source source);
void newest_forget(struct newest *newest, struct queue_source source);

/* struct queue_source, of all, those in the oldest entry first; only of those whose marks are in entries before that of
 * this name, unless that is NULL. */
GArray *newest_sources(const struct newest *newest, const char *before);

/* When they were made, wherever they are by now (marks_time); 0: there are none. */
int64_t newest_time(const struct newest *newest, struct queue_source source);

/* The name of the entry where they are. */
const char *newest_entry(const struct newest *newest, struct queue_source source);

/* False: somebody has removed marks that are needed. They can be read here all the same, and nowhere else. */
bool newest_is_whole(const struct newest *newest);

/* Takes entries out of the queue of whose marks nobody needs any, wherever they are. */
void newest_tidy(struct newest *newest);

/* For tables whose keys begin with a queue_source. */
guint newest_hash(gconstpointer source);
gboolean newest_equal(gconstpointer a, gconstpointer b);

#endif
