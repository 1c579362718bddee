/* SPDX-License-Identifier: MIT */
#include "tools/push/folder.h"

#include "tools/heap/save.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOLDER_ERROR g_quark_from_static_string("heapprof-folder")

static const char suffix[] = ".pb.gz";

bool folder_check(const char *path, GError **error)
{
  struct stat status;
  bool is_there = mkdir(path, 0700) == 0 || errno == EEXIST;
  if (is_there && stat(path, &status) == 0 && !S_ISDIR(status.st_mode)) {
    is_there = false;
    errno = ENOTDIR;
  }
  if (is_there && access(path, W_OK | X_OK) == 0)
    return true;
  g_set_error(error, FOLDER_ERROR, 0, "--to '%s': %s", path,
              errno == ENOENT ? "the folder that it would be in is not there" : g_strerror(errno));
  return false;
}

static uint64_t bytes_in(const char *path)
{
  uint64_t bytes = 0;
  GDir *folder = g_dir_open(path, 0, NULL);
  for (const char *name; folder != NULL && (name = g_dir_read_name(folder)) != NULL;) {
    struct stat status;
    g_autofree char *file = g_build_filename(path, name, NULL);
    if (g_str_has_suffix(name, suffix) && lstat(file, &status) == 0)
      bytes += (uint64_t)status.st_size;
  }
  if (folder != NULL)
    g_dir_close(folder);
  return bytes;
}

/* "shop.4711.20261129T080102.123456789Z", without its suffix */
static char *file_name(const struct folder_file *file)
{
  struct tm parts;
  char second[32] = "";
  time_t seconds = (time_t)(file->time_unix_ns / 1000000000);
  if (gmtime_r(&seconds, &parts) != NULL)
    (void)strftime(second, sizeof second, "%Y%m%dT%H%M%S", &parts);
  const char *service = g_tree_lookup(file->labels, "service_name");
  g_autofree char *plain = g_strndup(service != NULL ? service : "unnamed", 64);
  (void)g_strcanon(plain, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-", '_');
  return g_strdup_printf("%s.%d.%s.%09dZ", plain, file->source.pid, second, (int)(file->time_unix_ns % 1000000000));
}

static bool is_contents(const char *path, GBytes *contents)
{
  gsize size;
  g_autofree char *bytes = NULL;
  return g_file_get_contents(path, &bytes, &size, NULL) && size == g_bytes_get_size(contents) &&
         memcmp(bytes, g_bytes_get_data(contents, NULL), size) == 0;
}

/* Where it goes: nothing, or the same, is there. To be freed. */
static char *free_path(const char *folder, const struct folder_file *file)
{
  struct stat status;
  g_autofree char *name = file_name(file), *base = g_build_filename(folder, name, NULL);
  char *path = g_strconcat(base, suffix, NULL);
  for (unsigned number = 2; lstat(path, &status) == 0 && !is_contents(path, file->profile); number++) {
    g_free(path);
    path = g_strdup_printf("%s.%u%s", base, number, suffix);
  }
  return path;
}

static bool has_room(struct folder *folder, uint64_t bytes)
{
  enum { LOOKS = 16 }; /* until it is full */
  if (folder->bytes + bytes > folder->sure_bytes) {
    folder->bytes = bytes_in(folder->path);
    folder->sure_bytes = MIN(folder->bytes + folder->bytes_max / LOOKS, folder->bytes_max);
  }
  return folder->bytes + bytes <= folder->bytes_max;
}

bool folder_put(struct folder *folder, const struct folder_file *file, GError **error)
{
  if (!has_room(folder, g_bytes_get_size(file->profile))) {
    g_set_error(error, FOLDER_ERROR, 0, "the folder %s is full: profiles wait until some are taken away", folder->path);
    return false;
  }
  g_autofree char *path = free_path(folder->path, file);
  bool is_put = save_file_replacing(file->profile, path, error);
  folder->bytes += is_put ? g_bytes_get_size(file->profile) : 0;
  return is_put;
}
