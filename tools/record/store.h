/* SPDX-License-Identifier: MIT */
/* record/: what processes had over time, in one file: an SQLite database in WAL mode. Of each process the stacks once,
 * with names, and for each moment what has changed. A moment is in the file whole or not at all, whenever the recorder
 * is killed. One thread; failures are NULL or false and *error, one line that names the file.
 *
 * The file itself, and statements on it. What is read is taken for hostile: the schema must be ours to the letter, so
 * that there is no view, trigger or index that somebody else thought of.
 */
#ifndef HEAPPROF_STORE_H
#define HEAPPROF_STORE_H

#include <glib.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define STORE_ERROR g_quark_from_static_string("heapprof-store")

enum store_error {
  STORE_ERROR_UNUSABLE, /* no recording, or not ours to write */
  STORE_ERROR_DAMAGED,
  STORE_ERROR_READ_ONLY,
  STORE_ERROR_NO_ROOM, /* the disk is full, or cannot be written for now: what was to be done was not, try later */
};

struct store {
  sqlite3 *database;
  char *path;
  int lock;      /* held by who records; -1 */
  bool is_whole; /* by who records: it was opened, and is ours */
};

/* To record into: made if there is none. Nothing that is there already is written over, unless it is a recording. */
struct store *store_create(const char *path, GError **error);

/* To read from, also while it is written. */
struct store *store_open(const char *path, GError **error);

void store_free(struct store *store);

/* What fails between them leaves the file as it was at the start. */
bool store_begin(struct store *store, GError **error);
/* What is read from now on is as it is now. */
bool store_begin_reading(struct store *store, GError **error);
bool store_commit(struct store *store, GError **error);
void store_rollback(struct store *store);

/* A statement with arguments for its "?"s, by `kinds`: i int64_t, r double, t const char * (NULL: none), b GBytes *.
 * NULL and *error. */
sqlite3_stmt *store_query(struct store *store, GError **error, const char *sql, const char *kinds, ...);

/* The next row. False: there is none, or, with *error, it cannot be read. */
bool store_next(struct store *store, sqlite3_stmt *query, GError **error);

/* Runs one to its end. */
bool store_do(struct store *store, GError **error, const char *sql, const char *kinds, ...);

/* Its only value; `fallback` where there is none. False and *error. */
bool store_number(struct store *store, GError **error, int64_t *number, int64_t fallback, const char *sql,
                  const char *kinds, ...);

/* A blob or text of a row, never NULL; a text is valid UTF-8. They go with the next row. */
const void *store_blob(sqlite3_stmt *query, int column, size_t *size);
char *store_text(sqlite3_stmt *query, int column);

/* Of the file, and what lies beside it. */
uint64_t store_bytes(const struct store *store);

/* Gives free pages back to the file system, as far as nobody reads. */
bool store_shrink(struct store *store, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3_stmt, sqlite3_finalize)

#endif
