/* SPDX-License-Identifier: MIT */
#include "tools/push/folder.h"

#include "tools/heap/save.h"
#include "tools/push/queue.h"

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
  if (g_mkdir_with_parents(path, 0700) == 0 && access(path, W_OK | X_OK) == 0)
    return true;
  g_set_error(error, FOLDER_ERROR, 0, "--to '%s': %s", path, g_strerror(errno));
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

/* "shop.4711.20261129T080102.123456789Z.pb.gz" */
static char *file_name(const char *name, GTree *labels)
{
  struct queue_source source = {0};
  int64_t time_ns = 0;
  struct tm parts;
  char second[32] = "";
  (void)queue_read_name(name, &source, &time_ns);
  time_t seconds = (time_t)(time_ns / 1000000000);
  if (gmtime_r(&seconds, &parts) != NULL)
    (void)strftime(second, sizeof second, "%Y%m%dT%H%M%S", &parts);
  const char *service = g_tree_lookup(labels, "service_name");
  g_autofree char *plain = g_strndup(service != NULL ? service : "unnamed", 64);
  (void)g_strcanon(plain, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-", '_');
  return g_strdup_printf("%s.%d.%s.%09dZ%s", plain, source.pid, second, (int)(time_ns % 1000000000), suffix);
}

bool folder_put(const char *path, uint64_t bytes_max, const char *name, GTree *labels, GBytes *profile, GError **error)
{
  if (bytes_in(path) + g_bytes_get_size(profile) > bytes_max) {
    g_set_error(error, FOLDER_ERROR, 0, "the folder %s is full: profiles wait until some are taken away", path);
    return false;
  }
  g_autofree char *base = file_name(name, labels), *file = g_build_filename(path, base, NULL);
  return save_file_replacing(profile, file, error);
}
