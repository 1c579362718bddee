/* SPDX-License-Identifier: MIT */
#include "tools/record/store.h"

#include "tools/heap/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  APPLICATION = 0x48507263, /* "HPrc", in the header of the file */
  FORMAT_VERSION = 1,
  BUSY_MS = 5000,
  VALUE_BYTES_MAX = 256 << 20,
  MAGIC_BYTES = 16,
};

#define PAGE_BYTES "2048"
#define WAL_PAGES "512"
#define WAL_BYTES "1048576"

static const char magic[MAGIC_BYTES] = "SQLite format 3";

/* A process that was left while it ran has the time of its last moment below 0 in `ended_ns`. A moment is one of a
 * chain, which begins with one that has all values: `chain_ns` is the time of that one, `level` how far the chain was
 * thinned out. */
static const char *const schema[] = {
    "CREATE TABLE text(id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    "CREATE TABLE process(id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, created_unix_ns INTEGER NOT NULL, program TEXT "
    "NOT NULL, command TEXT NOT NULL, ended_ns INTEGER, header BLOB NOT NULL)",
    "CREATE TABLE part(id INTEGER PRIMARY KEY, process INTEGER NOT NULL, part BLOB NOT NULL)",
    "CREATE INDEX part_of_process ON part(process)",
    "CREATE TABLE moment(id INTEGER PRIMARY KEY, process INTEGER NOT NULL, time_ns INTEGER NOT NULL, chain_ns INTEGER "
    "NOT NULL, level INTEGER NOT NULL, in_use INTEGER NOT NULL, allocated INTEGER NOT NULL, resident INTEGER NOT NULL, "
    "step BLOB NOT NULL)",
    "CREATE UNIQUE INDEX moment_of_process ON moment(process, time_ns)",
    "CREATE INDEX moment_of_level ON moment(level, time_ns)",
    "CREATE TABLE kept(id INTEGER PRIMARY KEY, process INTEGER NOT NULL, time_ns INTEGER NOT NULL, program TEXT NOT "
    "NULL, condition TEXT NOT NULL, value REAL NOT NULL, profile BLOB NOT NULL)",
    NULL,
};

/* --- errors --- */

static bool fail(GError **error, enum store_error code, const char *format, ...) G_GNUC_PRINTF(3, 4);

static bool fail(GError **error, enum store_error code, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error_literal(error, STORE_ERROR, (gint)code, text);
  return false;
}

static bool fail_by(const struct store *store, int result, GError **error)
{
  switch (result & 0xff) {
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return fail(error, STORE_ERROR_DAMAGED, "%s is damaged, or no recording", store->path);
  case SQLITE_FULL: return fail(error, STORE_ERROR_NO_ROOM, "%s: there is no room for more", store->path);
  case SQLITE_BUSY:
  case SQLITE_LOCKED: return fail(error, STORE_ERROR_NO_ROOM, "%s is locked by another program", store->path);
  case SQLITE_IOERR:
  case SQLITE_CANTOPEN:
    return fail(error, STORE_ERROR_NO_ROOM, "%s: %s", store->path,
                sqlite3_system_errno(store->database) != 0 ? g_strerror(sqlite3_system_errno(store->database))
                                                           : sqlite3_errstr(result));
  case SQLITE_READONLY: return fail(error, STORE_ERROR_READ_ONLY, "%s or its folder may not be written", store->path);
  default: return fail(error, STORE_ERROR_UNUSABLE, "%s: %s", store->path, sqlite3_errmsg(store->database));
  }
}

/* --- statements --- */

static bool bind(sqlite3_stmt *query, const char *kinds, va_list arguments)
{
  int result = SQLITE_OK;
  for (int i = 1; *kinds != '\0' && result == SQLITE_OK; kinds++, i++) {
    gsize size;
    const void *bytes;
    switch (*kinds) {
    case 'i': result = sqlite3_bind_int64(query, i, va_arg(arguments, int64_t)); break;
    case 'r': result = sqlite3_bind_double(query, i, va_arg(arguments, double)); break;
    case 't': result = sqlite3_bind_text(query, i, va_arg(arguments, const char *), -1, SQLITE_TRANSIENT); break;
    default:
      bytes = g_bytes_get_data(va_arg(arguments, GBytes *), &size);
      result = sqlite3_bind_blob64(query, i, bytes, size, SQLITE_TRANSIENT);
    }
  }
  return result == SQLITE_OK;
}

static sqlite3_stmt *prepare(struct store *store, GError **error, const char *sql, const char *kinds, va_list arguments)
{
  sqlite3_stmt *query = NULL;
  int result = sqlite3_prepare_v2(store->database, sql, -1, &query, NULL);
  if (result == SQLITE_OK && bind(query, kinds, arguments))
    return query;
  (void)fail_by(store, result != SQLITE_OK ? result : sqlite3_errcode(store->database), error);
  (void)sqlite3_finalize(query);
  return NULL;
}

sqlite3_stmt *store_query(struct store *store, GError **error, const char *sql, const char *kinds, ...)
{
  va_list arguments;
  va_start(arguments, kinds);
  sqlite3_stmt *query = prepare(store, error, sql, kinds, arguments);
  va_end(arguments);
  return query;
}

bool store_next(struct store *store, sqlite3_stmt *query, GError **error)
{
  int result = sqlite3_step(query);
  if (result != SQLITE_ROW && result != SQLITE_DONE)
    (void)fail_by(store, result, error);
  return result == SQLITE_ROW;
}

static bool run_to_end(struct store *store, sqlite3_stmt *query, GError **error)
{
  int result = query != NULL ? SQLITE_ROW : SQLITE_ERROR;
  while (result == SQLITE_ROW)
    result = sqlite3_step(query);
  bool is_done = result == SQLITE_DONE;
  if (!is_done && query != NULL)
    (void)fail_by(store, result, error);
  (void)sqlite3_finalize(query);
  return is_done;
}

bool store_do(struct store *store, GError **error, const char *sql, const char *kinds, ...)
{
  va_list arguments;
  va_start(arguments, kinds);
  sqlite3_stmt *query = prepare(store, error, sql, kinds, arguments);
  va_end(arguments);
  return run_to_end(store, query, error);
}

bool store_number(struct store *store, GError **error, int64_t *number, int64_t fallback, const char *sql,
                  const char *kinds, ...)
{
  va_list arguments;
  g_autoptr(GError) problem = NULL;
  va_start(arguments, kinds);
  g_autoptr(sqlite3_stmt) query = prepare(store, &problem, sql, kinds, arguments);
  va_end(arguments);
  *number = fallback;
  if (query != NULL && store_next(store, query, &problem) && sqlite3_column_type(query, 0) != SQLITE_NULL)
    *number = sqlite3_column_int64(query, 0);
  if (problem == NULL)
    return true;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}

const void *store_blob(sqlite3_stmt *query, int column, size_t *size)
{
  const void *bytes = sqlite3_column_blob(query, column);
  *size = bytes != NULL ? (size_t)sqlite3_column_bytes(query, column) : 0;
  return bytes != NULL ? bytes : "";
}

char *store_text(sqlite3_stmt *query, int column)
{
  const char *text = (const char *)sqlite3_column_text(query, column);
  return g_utf8_make_valid(text != NULL ? text : "", -1);
}

bool store_begin(struct store *store, GError **error)
{
  return store_do(store, error, "BEGIN IMMEDIATE", "");
}

bool store_begin_reading(struct store *store, GError **error)
{
  return store_do(store, error, "BEGIN", "");
}

bool store_commit(struct store *store, GError **error)
{
  return store_do(store, error, "COMMIT", "");
}

void store_rollback(struct store *store)
{
  if (!sqlite3_get_autocommit(store->database)) /* what is full may have rolled back itself */
    (void)store_do(store, NULL, "ROLLBACK", "");
}

/* --- what kind of file it is --- */

static uint32_t number_at(const uint8_t *bytes)
{
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* By its first bytes, before SQLite writes anything. */
static bool check_start(const char *path, int fd, bool *is_empty, GError **error)
{
  enum { START_BYTES = 100, VERSION_AT = 60, APPLICATION_AT = 68 };
  uint8_t start[START_BYTES];
  ssize_t size = pread(fd, start, sizeof start, 0);
  *is_empty = size == 0;
  if (size < 0)
    return fail(error, STORE_ERROR_UNUSABLE, "%s: %s", path, g_strerror(errno));
  if (*is_empty)
    return true;
  if (size < START_BYTES && (size_t)size >= sizeof magic && memcmp(start, magic, sizeof magic) == 0)
    return fail(error, STORE_ERROR_DAMAGED, "%s is damaged, or no recording", path);
  if (size < START_BYTES || memcmp(start, magic, sizeof magic) != 0) {
    const char *kind = input_kind(start, (size_t)size);
    return fail(error, STORE_ERROR_UNUSABLE, "%s is %s, not a recording", path, kind != NULL ? kind : "something else");
  }
  if (number_at(start + APPLICATION_AT) != APPLICATION)
    return fail(error, STORE_ERROR_UNUSABLE, "%s is a database of another program, not a recording", path);
  uint32_t version = number_at(start + VERSION_AT);
  if (version == FORMAT_VERSION)
    return true;
  return fail(error, STORE_ERROR_UNUSABLE, "%s is a recording of version %u; this heapprof knows version %d", path,
              version, FORMAT_VERSION);
}

static bool check_kind(const char *path, int fd, struct stat *status, GError **error)
{
  if (fstat(fd, status) != 0)
    return fail(error, STORE_ERROR_UNUSABLE, "%s: %s", path, g_strerror(errno));
  if (S_ISREG(status->st_mode))
    return true;
  return fail(error, STORE_ERROR_UNUSABLE, "%s is %s, not a recording", path,
              S_ISDIR(status->st_mode) ? "a directory" : "no regular file");
}

/* What is written lies beside it at first, by its name: by another one it would not be found, and the file would be
 * read as damaged. */
static bool check_owner(const char *path, int fd, GError **error)
{
  struct stat status;
  if (!check_kind(path, fd, &status, error))
    return false;
  if (status.st_uid != geteuid())
    return fail(error, STORE_ERROR_UNUSABLE, "%s belongs to user %u, and is left alone", path, (unsigned)status.st_uid);
  return status.st_nlink <= 1 || fail(error, STORE_ERROR_UNUSABLE, "%s has %lu names (hard links), and is left alone",
                                      path, (unsigned long)status.st_nlink);
}

/* A file that was empty was made by somebody who did not know what comes into it. */
static bool make_private(const char *path, int fd, GError **error)
{
  return fchmod(fd, S_IRUSR | S_IWUSR) == 0 || fail(error, STORE_ERROR_UNUSABLE, "%s: %s", path, g_strerror(errno));
}

/* --- opening --- */

static bool is_our_schema(struct store *store, GError **error)
{
  g_autoptr(GError) problem = NULL;
  g_autoptr(sqlite3_stmt) query = store_query(store, &problem, "SELECT sql FROM sqlite_master ORDER BY rowid", "");
  const char *const *expected = schema;
  bool is_ours = query != NULL;
  while (is_ours && store_next(store, query, &problem)) {
    const char *sql = (const char *)sqlite3_column_text(query, 0);
    is_ours = *expected != NULL && g_strcmp0(sql, *expected) == 0;
    expected += is_ours;
  }
  if (problem != NULL)
    return g_propagate_error(error, g_steal_pointer(&problem)), false;
  return (is_ours && *expected == NULL) ||
         fail(error, STORE_ERROR_DAMAGED, "%s is damaged: its tables are not those of a recording", store->path);
}

static void limit(struct store *store)
{
  (void)sqlite3_busy_timeout(store->database, BUSY_MS);
  (void)sqlite3_db_config(store->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  (void)sqlite3_db_config(store->database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  (void)sqlite3_limit(store->database, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
}

static bool open_database(struct store *store, const char *name, int flags, GError **error)
{
  int result = sqlite3_open_v2(name, &store->database, flags | SQLITE_OPEN_NOMUTEX, NULL);
  if (result != SQLITE_OK)
    return fail_by(store, result, error);
  (void)sqlite3_extended_result_codes(store->database, 1);
  limit(store);
  return store_do(store, error, "PRAGMA cell_size_check=ON", "");
}

/* By the true name of its folder. SQLite would take ":memory:" for no file, and what begins with "file:" for another
 * one; and when it is to follow no link, it refuses those of folders, too. */
static bool open_path(struct store *store, int flags, GError **error)
{
  g_autofree char *folder = g_path_get_dirname(store->path), *name = g_path_get_basename(store->path);
  char *resolved = realpath(folder, NULL);
  g_autofree char *path = g_build_filename(resolved != NULL ? resolved : folder, name, NULL);
  free(resolved);
  return open_database(store, path, flags, error);
}

static struct store *store_new(const char *path)
{
  struct store *store = g_new0(struct store, 1);
  store->path = g_strdup(path);
  store->lock = -1;
  return store;
}

/* At rest it is a file alone: who reads it makes nothing beside it. Where somebody reads it just now, it stays as it
 * is. */
static void put_to_rest(struct store *store)
{
  (void)sqlite3_busy_timeout(store->database, 0);
  (void)store_do(store, NULL, "PRAGMA journal_mode=DELETE", "");
}

void store_free(struct store *store)
{
  if (store == NULL)
    return;
  if (store->lock >= 0 && store->is_whole)
    put_to_rest(store);
  (void)sqlite3_close(store->database);
  if (store->lock >= 0)
    (void)close(store->lock); /* after SQLite: closing it any earlier would take SQLite's own locks away */
  g_free(store->path);
  g_free(store);
}

static bool make_tables(struct store *store, GError **error)
{
  g_autofree char *application = g_strdup_printf("PRAGMA application_id=%d", APPLICATION);
  g_autofree char *version = g_strdup_printf("PRAGMA user_version=%d", FORMAT_VERSION);
  if (!store_do(store, error, "PRAGMA page_size=" PAGE_BYTES, "") ||
      !store_do(store, error, "PRAGMA auto_vacuum=INCREMENTAL", "") || !store_begin(store, error) ||
      !store_do(store, error, application, "") || !store_do(store, error, version, ""))
    return false;
  for (const char *const *sql = schema; *sql != NULL; sql++)
    if (!store_do(store, error, *sql, ""))
      return false;
  return store_commit(store, error);
}

/* Or nothing: a part of them would be taken for a database of somebody else from then on. */
static bool make_file(struct store *store, GError **error)
{
  if (make_tables(store, error))
    return true;
  g_autofree char *journal = g_strconcat(store->path, "-journal", NULL);
  (void)sqlite3_close(store->database);
  store->database = NULL;
  (void)unlink(journal);
  (void)!ftruncate(store->lock, 0);
  return false;
}

/* After a crash SQLite mends the file as it is read first. */
static bool prepare_to_write(struct store *store, bool is_empty, GError **error)
{
  int64_t tables;
  if (!store_number(store, error, &tables, 0, "SELECT count(*) FROM sqlite_master", ""))
    return false;
  if (is_empty && tables == 0 && !make_file(store, error))
    return false;
  return is_our_schema(store, error) && store_do(store, error, "PRAGMA journal_mode=WAL", "") &&
         store_do(store, error, "PRAGMA synchronous=NORMAL", "") &&
         store_do(store, error, "PRAGMA wal_autocheckpoint=" WAL_PAGES, "") &&
         store_do(store, error, "PRAGMA journal_size_limit=" WAL_BYTES, "");
}

static bool fail_to_open(const char *path, int reason, GError **error)
{
  if (reason == ELOOP && g_file_test(path, G_FILE_TEST_IS_SYMLINK))
    return fail(error, STORE_ERROR_UNUSABLE, "%s is a symbolic link, and is not followed: name the file itself", path);
  return fail(error, STORE_ERROR_UNUSABLE, "%s: %s", path, g_strerror(reason));
}

struct store *store_create(const char *path, GError **error)
{
  bool is_empty;
  struct store *store = store_new(path);
  store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, S_IRUSR | S_IWUSR);
  bool is_open = store->lock >= 0 || fail_to_open(path, errno, error);
  is_open = is_open && check_owner(path, store->lock, error);
  if (is_open && flock(store->lock, LOCK_EX | LOCK_NB) != 0)
    is_open = fail(error, STORE_ERROR_UNUSABLE, "%s is written by another heapprof record", path);
  is_open = is_open && check_start(path, store->lock, &is_empty, error) &&
            (!is_empty || make_private(path, store->lock, error)) &&
            open_path(store, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, error) &&
            prepare_to_write(store, is_empty, error);
  store->is_whole = is_open;
  if (is_open)
    return store;
  store_free(store);
  return NULL;
}

/* A file whose folder cannot be written, and that nobody writes. */
static bool open_at_rest(struct store *store, GError **error)
{
  g_autofree char *wal = g_strconcat(store->path, "-wal", NULL), *absolute = g_canonicalize_filename(store->path, NULL);
  g_autofree char *escaped = g_uri_escape_string(absolute, "/", FALSE);
  g_autofree char *uri = g_strconcat("file:", escaped, "?immutable=1", NULL);
  if (access(wal, F_OK) == 0)
    return false;
  (void)sqlite3_close(store->database);
  store->database = NULL;
  return open_database(store, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, error) && is_our_schema(store, error);
}

/* Of the file alone, before SQLite looks at it. Closing it takes no lock away: this process has none yet. */
static bool check_file(const char *path, GError **error)
{
  struct stat status;
  bool is_empty = false;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return fail(error, STORE_ERROR_UNUSABLE, "%s: %s", path, g_strerror(errno));
  bool is_sound = check_kind(path, fd, &status, error) && check_start(path, fd, &is_empty, error);
  (void)close(fd);
  return is_sound && (!is_empty || fail(error, STORE_ERROR_UNUSABLE, "%s is empty, not a recording", path));
}

struct store *store_open(const char *path, GError **error)
{
  g_autoptr(GError) problem = NULL;
  if (strcmp(path, "-") == 0)
    return fail(error, STORE_ERROR_UNUSABLE, "a recording is a file: standard input is none"), NULL;
  if (!check_file(path, error))
    return NULL;
  struct store *store = store_new(path);
  if (open_path(store, SQLITE_OPEN_READONLY, &problem) && is_our_schema(store, &problem))
    return store;
  if ((problem->code == STORE_ERROR_NO_ROOM || problem->code == STORE_ERROR_READ_ONLY) && open_at_rest(store, NULL))
    return store;
  g_propagate_error(error, g_steal_pointer(&problem));
  store_free(store);
  return NULL;
}

/* --- size --- */

static uint64_t bytes_of(const char *path, const char *suffix)
{
  struct stat status;
  g_autofree char *name = g_strconcat(path, suffix, NULL);
  return stat(name, &status) == 0 ? (uint64_t)status.st_size : 0;
}

uint64_t store_bytes(const struct store *store)
{
  return bytes_of(store->path, "") + bytes_of(store->path, "-wal") + bytes_of(store->path, "-shm");
}

bool store_shrink(struct store *store, GError **error)
{
  return store_do(store, error, "PRAGMA incremental_vacuum", "") &&
         store_do(store, error, "PRAGMA wal_checkpoint(TRUNCATE)", "");
}
