/* SPDX-License-Identifier: MIT */
#include "tools/run/run_folder.h"

#include "tools/state/process_maps.h"
#include "tools/state/state_files.h"
#include "tools/state/targets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 100 };

char *run_folder_make(GError **error)
{
  g_autofree char *directory = targets_state_directory(error);
  char *real = directory != NULL ? realpath(directory, NULL) : NULL;
  if (real == NULL)
    return NULL;
  /* An earlier run of this pid may have left something that was not read yet. */
  char *folder = g_strdup_printf("%s/" RUN_FOLDER_PREFIX "%d", real, (int)getpid());
  for (int n = 1; mkdir(folder, 0700) != 0; n++) {
    if (errno != EEXIST || n == NAMES_MAX) {
      g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: %s", folder, g_strerror(errno));
      g_clear_pointer(&folder, g_free);
      break;
    }
    g_free(folder);
    folder = g_strdup_printf("%s/" RUN_FOLDER_PREFIX "%d-%d", real, (int)getpid(), n);
  }
  free(real);
  return folder;
}

static int compare_texts(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *run_folder_list(const char *folder)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GDir) directory = g_dir_open(folder, 0, NULL);
  const char *name;
  while (directory != NULL && (name = g_dir_read_name(directory)) != NULL)
    if (g_str_has_suffix(name, STATE_FILE_SUFFIX))
      g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
  g_ptr_array_sort(paths, compare_texts);
  return paths;
}

/* Who is there. */

static bool is_running(const struct process_maps *maps, const struct left_state *left)
{
  for (guint i = 0; i < maps->mappings->len; i++) {
    const struct file_mapping *mapping = &g_array_index(maps->mappings, struct file_mapping, i);
    if (mapping->inner_pid == left->summary.pid &&
        process_maps_is_file(mapping, region_file_status(left->file), left->path))
      return true;
  }
  for (guint i = 0; i < maps->closed->len; i++) { /* we cannot see what it maps */
    const struct closed_process *closed = &g_array_index(maps->closed, struct closed_process, i);
    if (closed->inner_pid == left->summary.pid && closed->owner == region_file_status(left->file)->st_uid)
      return true;
  }
  return false;
}

/* Its process was killed between making it and writing it. */
static bool was_never_ready(const char *path)
{
  static const char nothing[sizeof REGION_MAGIC - 1];
  char magic[sizeof nothing] = "";
  int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0)
    return false;
  bool is_empty = pread(descriptor, magic, sizeof magic, 0) >= 0 && memcmp(magic, nothing, sizeof nothing) == 0;
  close(descriptor);
  g_autofree char *name = g_path_get_basename(path);
  return is_empty && !process_runs(atoi(name));
}

static void clear_left(gpointer data)
{
  struct left_state *left = data;
  g_free(left->path);
  region_file_close(left->file);
}

GArray *run_folder_left(const char *folder)
{
  /* In this order: a process maps its file before it can be read, so one that is not found to map it has ended, or came
   * later. */
  gint64 listed_us = g_get_real_time();
  g_autoptr(GPtrArray) paths = run_folder_list(folder);
  struct process_maps *maps = process_maps_scan();
  GArray *all = g_array_new(FALSE, FALSE, sizeof(struct left_state));
  g_array_set_clear_func(all, clear_left);
  for (guint i = 0; i < paths->len; i++) {
    const char *path = g_ptr_array_index(paths, i);
    struct left_state left = {.file = region_file_open(path, state_files_owner(), NULL)};
    if (left.file == NULL && was_never_ready(path))
      (void)unlink(path);
    if (left.file == NULL)
      continue;
    left.path = g_strdup(path);
    if (region_file_summarize(left.file, &left.summary, NULL) && !is_running(maps, &left) &&
        left.summary.created_unix_ns / 1000 < (uint64_t)listed_us)
      g_array_append_val(all, left);
    else
      clear_left(&left);
  }
  process_maps_free(maps);
  return all;
}

void run_folder_remove_file(const struct left_state *left)
{
  struct stat now;
  const struct stat *then = region_file_status(left->file);
  if (lstat(left->path, &now) == 0 && now.st_ino == then->st_ino && now.st_dev == then->st_dev)
    (void)unlink(left->path);
}

static void add_running(GArray *running, const struct file_mapping *mapping)
{
  struct running_process process = {.pid = mapping->pid};
  g_autofree char *name = process_status_field(mapping->proc, "Name");
  for (guint i = 0; i < running->len; i++)
    if (g_array_index(running, struct running_process, i).pid == mapping->pid)
      return;
  if (name == NULL)
    return; /* has ended meanwhile */
  g_strlcpy(process.program, name, sizeof process.program);
  g_array_append_val(running, process);
}

static int compare_pids(const void *a, const void *b)
{
  return ((const struct running_process *)a)->pid - ((const struct running_process *)b)->pid;
}

GArray *run_folder_running(const char *folder)
{
  GArray *running = g_array_new(FALSE, FALSE, sizeof(struct running_process));
  struct process_maps *maps = process_maps_scan();
  for (guint i = 0; i < maps->mappings->len; i++) {
    const struct file_mapping *mapping = &g_array_index(maps->mappings, struct file_mapping, i);
    g_autofree char *directory = g_path_get_dirname(mapping->path);
    if (strcmp(directory, folder) == 0)
      add_running(running, mapping);
  }
  process_maps_free(maps);
  g_array_sort(running, compare_pids);
  return running;
}

bool run_folder_remove(const char *folder)
{
  return rmdir(folder) == 0 || errno == ENOENT;
}
