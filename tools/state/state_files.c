/* SPDX-License-Identifier: MIT */
#include "tools/state/state_files.h"

#include "tools/state/process_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uid_t state_files_owner(void)
{
  return geteuid() == 0 ? (uid_t)-1 : geteuid();
}

static bool is_acceptable_owner(uid_t owner)
{
  return geteuid() == 0 || owner == geteuid();
}

/* A directory itself, not a link to one, and ours; root takes everybody's. */
static bool is_own_directory(const char *path)
{
  struct stat status;
  return lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && is_acceptable_owner(status.st_uid);
}

static bool is_known(const GPtrArray *paths, const char *path)
{
  return g_ptr_array_find_with_equal_func((GPtrArray *)(uintptr_t)paths, path, g_str_equal, NULL);
}

static void add_real_path(GPtrArray *directories, const char *path)
{
  char *real = realpath(path, NULL);
  if (real != NULL && g_file_test(real, G_FILE_TEST_IS_DIR) && !is_known(directories, real))
    g_ptr_array_add(directories, g_strdup(real));
  free(real);
}

static void add_own_directory(GPtrArray *directories, const char *path)
{
  if (is_own_directory(path))
    add_real_path(directories, path);
}

/* PARENT/PREFIXnumberSUFFIX for every entry of the parent that is called so. */
static void add_numbered(GPtrArray *directories, const char *parent, const char *prefix, const char *suffix)
{
  g_autoptr(GDir) folder = g_dir_open(parent, 0, NULL);
  const char *name;
  while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
    g_autofree char *path = g_strconcat(parent, "/", name, suffix, NULL);
    if (g_str_has_prefix(name, prefix) &&
        g_ascii_string_to_unsigned(name + strlen(prefix), 10, 0, G_MAXUINT32, NULL, NULL))
      add_own_directory(directories, path);
  }
}

static GPtrArray *usual_directories(void)
{
  GPtrArray *directories = g_ptr_array_new_with_free_func(g_free);
  const char *chosen = g_getenv("HEAPPROF_STATE_DIR"), *runtime = g_getenv("XDG_RUNTIME_DIR");
  if (chosen != NULL && chosen[0] != '\0') {
    add_real_path(directories, chosen); /* that one is meant, and no other */
    return directories;
  }
  if (runtime != NULL && runtime[0] == '/') {
    g_autofree char *path = g_strconcat(runtime, "/heapprof", NULL);
    add_own_directory(directories, path);
  }
  g_autofree char *shared = g_strdup_printf("/dev/shm/heapprof-%u", (unsigned)geteuid());
  add_own_directory(directories, shared);
  if (geteuid() == 0) {
    add_numbered(directories, "/dev/shm", "heapprof-", "");
    add_numbered(directories, "/run/user", "", "/heapprof");
  }
  return directories;
}

GPtrArray *state_files_directories(void)
{
  GPtrArray *directories = usual_directories();
  for (guint i = 0, usual = directories->len; i < usual; i++)
    add_numbered(directories, g_ptr_array_index(directories, i), RUN_FOLDER_PREFIX, "");
  return directories;
}

static int compare_paths(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *state_files_list(void)
{
  GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GPtrArray) directories = state_files_directories();
  for (guint i = 0; i < directories->len; i++) {
    const char *directory = g_ptr_array_index(directories, i);
    g_autoptr(GDir) folder = g_dir_open(directory, 0, NULL);
    const char *name;
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL)
      if (g_str_has_suffix(name, STATE_FILE_SUFFIX))
        g_ptr_array_add(files, g_strconcat(directory, "/", name, NULL));
  }
  g_ptr_array_sort(files, compare_paths);
  return files;
}

/* Use. */

/* Whoever opens the file to write while we have the lease makes the kernel send us SIGIO, which would end us. */
static enum state_use use_of(int fd)
{
  struct sigaction ignored = {.sa_handler = SIG_IGN}, before;
  (void)sigaction(SIGIO, &ignored, &before);
  int result = fcntl(fd, F_SETLEASE, F_RDLCK), number = errno;
  if (result == 0)
    (void)fcntl(fd, F_SETLEASE, F_UNLCK);
  (void)sigaction(SIGIO, &before, NULL);
  if (result == 0)
    return STATE_FREE;
  return number == EAGAIN ? STATE_USED : STATE_UNKNOWN;
}

static bool is_same_file(const struct stat *one, const struct stat *other)
{
  return one->st_ino == other->st_ino && one->st_dev == other->st_dev;
}

enum state_use state_files_use(const char *path, const struct stat *status)
{
  struct stat now;
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0)
    return STATE_UNKNOWN;
  bool is_same = fstat(fd, &now) == 0 && S_ISREG(now.st_mode) && is_same_file(&now, status);
  enum state_use use = is_same ? use_of(fd) : STATE_UNKNOWN;
  (void)close(fd);
  return use;
}

/* Removal. */

static bool fail(GError **error, const char *what, const char *path, int number)
{
  g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(number), "%s %s: %s", what, path, g_strerror(number));
  return false;
}

/* No symbolic link on the way: a directory of somebody else may be changed while root works in it. Name by name, as
 * there is no openat2 before Linux 5.6. */
static int open_directory(const char *path)
{
  const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  g_auto(GStrv) names = g_strsplit(path, "/", -1);
  int directory = open(path[0] == '/' ? "/" : ".", flags);
  for (char **name = names; directory >= 0 && *name != NULL; name++) {
    if (**name == '\0') /* between two slashes */
      continue;
    int next = openat(directory, *name, flags);
    if (next < 0 && errno == ENOTDIR)
      errno = ELOOP; /* of a link, which O_DIRECTORY does not tell from other files */
    int number = errno;
    (void)close(directory);
    errno = number;
    directory = next;
  }
  return directory;
}

/* Of a `heapprof run` that has ended: while it runs, processes may still want to make their files there. */
static bool is_left_run_folder(const char *path)
{
  g_autofree char *name = g_path_get_basename(path);
  return g_str_has_prefix(name, RUN_FOLDER_PREFIX) && !process_runs(atoi(name + sizeof RUN_FOLDER_PREFIX - 1));
}

static bool unlink_same(int directory, const char *path, const struct stat *status, GError **error)
{
  g_autofree char *name = g_path_get_basename(path);
  struct stat now;
  if (fstatat(directory, name, &now, AT_SYMLINK_NOFOLLOW) != 0)
    return fail(error, "cannot remove", path, errno);
  if (!S_ISREG(now.st_mode) || !is_same_file(&now, status)) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s is another file by now: it is left alone", path);
    return false;
  }
  if (!is_acceptable_owner(now.st_uid))
    return fail(error, "cannot remove", path, EPERM);
  return unlinkat(directory, name, 0) == 0 || fail(error, "cannot remove", path, errno);
}

bool state_files_remove(const char *path, const struct stat *status, GError **error)
{
  g_autofree char *folder = g_path_get_dirname(path);
  int directory = open_directory(folder);
  if (directory < 0)
    return fail(error, "cannot remove", path, errno);
  bool removed = unlink_same(directory, path, status, error);
  (void)close(directory);
  if (removed && is_left_run_folder(folder))
    (void)rmdir(folder); /* as long as others have files in it, it stays */
  return removed;
}

GPtrArray *state_files_remove_empty_folders(void)
{
  GPtrArray *removed = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GPtrArray) directories = state_files_directories();
  for (guint i = 0; i < directories->len; i++) {
    const char *path = g_ptr_array_index(directories, i);
    if (is_left_run_folder(path) && rmdir(path) == 0)
      g_ptr_array_add(removed, g_strdup(path));
  }
  return removed;
}

/* Making one, by the rules of core/region.c. */

static bool make_private(const char *path)
{
  struct stat status;
  if (mkdir(path, 0700) == 0)
    return true;
  return errno == EEXIST && lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
         (status.st_mode & 077) == 0;
}

char *state_files_make_directory(GError **error)
{
  const char *chosen = g_getenv("HEAPPROF_STATE_DIR"), *runtime = g_getenv("XDG_RUNTIME_DIR");
  if (chosen != NULL && chosen[0] != '\0') {
    if (g_file_test(chosen, G_FILE_TEST_IS_DIR) || mkdir(chosen, 0700) == 0)
      return g_canonicalize_filename(chosen, NULL);
    (void)fail(error, "HEAPPROF_STATE_DIR", chosen, errno == EEXIST ? ENOTDIR : errno);
    return NULL;
  }
  if (runtime != NULL && runtime[0] == '/') {
    g_autofree char *path = g_strconcat(runtime, "/heapprof", NULL);
    if (make_private(path))
      return g_steal_pointer(&path);
  }
  g_autofree char *path = g_strdup_printf("/dev/shm/heapprof-%u", (unsigned)geteuid());
  if (make_private(path))
    return g_steal_pointer(&path);
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_ACCES,
              "%s cannot be made, or is not ours alone; set HEAPPROF_STATE_DIR to a directory for state files", path);
  return NULL;
}
