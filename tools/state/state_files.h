/* SPDX-License-Identifier: MIT */
/* The directories that state files lie in, and their removal.
 *
 * Failure: false and *error; a file that some process may still map is never removed.
 */
#ifndef HEAPPROF_STATE_FILES_H
#define HEAPPROF_STATE_FILES_H

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>

#define STATE_FILE_SUFFIX ".heapprof"
#define RUN_FOLDER_PREFIX "run."

/* Paths (char *) without symbolic links, each once: of $HEAPPROF_STATE_DIR, or else of the usual directories
 * that exist and are safe to read; and of the run.* folders in them. */
GPtrArray *state_files_directories(void);

/* Paths (char *) of what is named like a state file there, sorted. */
GPtrArray *state_files_list(void);

/* Whose files we may read: our own; root: (uid_t)-1, everybody's. */
uid_t state_files_owner(void);

enum state_use {
  STATE_FREE,    /* nobody maps it */
  STATE_USED,    /* somebody does, whether we may know of that process or not */
  STATE_UNKNOWN, /* the file system does not tell */
};

/* Asks the kernel, by a lease that it grants only where nobody writes: that sees processes of other pid namespaces too.
 */
enum state_use state_files_use(const char *path, const struct stat *status);

/* Removes `path` if it still is the file of `status`, and ours; then its folder, if that is an empty run.* one. False
 * and *error. */
bool state_files_remove(const char *path, const struct stat *status, GError **error);

/* Removes run.* folders that are empty and whose `heapprof run` has ended. Returns their paths. */
GPtrArray *state_files_remove_empty_folders(void);

/* See targets_state_directory. */
char *state_files_make_directory(GError **error);

#endif
