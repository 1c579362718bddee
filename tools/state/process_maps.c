/* SPDX-License-Identifier: MIT */
#include "tools/state/process_maps.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef OVERLAYFS_SUPER_MAGIC
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#endif

static void clear_mapping(gpointer data)
{
  struct file_mapping *mapping = data;
  g_free(mapping->path);
  g_free(mapping->proc);
}

static struct process_maps *new_maps(void)
{
  struct process_maps *maps = g_new0(struct process_maps, 1);
  maps->mappings = g_array_new(FALSE, FALSE, sizeof(struct file_mapping));
  g_array_set_clear_func(maps->mappings, clear_mapping);
  maps->closed = g_array_new(FALSE, FALSE, sizeof(struct closed_process));
  return maps;
}

void process_maps_free(struct process_maps *maps)
{
  if (maps == NULL)
    return;
  g_array_free(maps->mappings, TRUE);
  g_array_free(maps->closed, TRUE);
  g_free(maps);
}

/* /proc/PID/status. */

char *process_status_field(const char *proc, const char *name)
{
  g_autofree char *path = g_strconcat(proc, "/status", NULL);
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL))
    return NULL;
  size_t length = strlen(name);
  for (char *line = text, *next; line != NULL; line = next) {
    next = strchr(line, '\n');
    if (next != NULL)
      *next++ = '\0';
    if (strncmp(line, name, length) == 0 && line[length] == ':')
      return g_strdup(g_strstrip(line + length + 1));
  }
  return g_strdup("");
}

/* The first thread may have ended before the others. */
struct resident process_resident(int pid)
{
  g_autofree char *tasks = g_strdup_printf("/proc/%d/task", pid);
  g_autoptr(GDir) folder = g_dir_open(tasks, 0, NULL);
  struct resident resident = {0, 0};
  const char *name;
  while (resident.most_bytes == 0 && folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
    g_autofree char *path = g_strconcat(tasks, "/", name, "/status", NULL), *text = NULL;
    if (g_file_get_contents(path, &text, NULL, NULL))
      resident = resident_of(text);
  }
  return resident;
}

/* One number for each pid namespace, the innermost last. */
static int inner_pid(int pid)
{
  g_autofree char *proc = g_strdup_printf("/proc/%d", pid);
  g_autofree char *pids = process_status_field(proc, "NSpid");
  if (pids == NULL || pids[0] == '\0')
    return pid;
  const char *last = strrchr(pids, '\t');
  return atoi(last != NULL ? last : pids);
}

bool process_runs(int pid)
{
  g_autofree char *proc = g_strdup_printf("/proc/%d", pid);
  g_autofree char *state = process_status_field(proc, "State");
  if (state == NULL)
    return false;
  g_autofree char *threads = process_status_field(proc, "Threads");
  return state[0] != 'Z' || (threads != NULL && atoi(threads) > 1);
}

/* Field 22 of its stat, in ticks; the program's name, the second, may hold spaces and parentheses. */
uint64_t process_start_boot_ns(int pid)
{
  enum { FIELD = 22 - 3, NS_PER_S = 1000000000 };
  g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
  g_autofree char *text = NULL;
  const char *rest = g_file_get_contents(path, &text, NULL, NULL) ? strrchr(text, ')') : NULL;
  g_auto(GStrv) fields = rest != NULL && rest[1] == ' ' ? g_strsplit(rest + 2, " ", -1) : NULL;
  long ticks_per_second = sysconf(_SC_CLK_TCK);
  if (fields == NULL || g_strv_length(fields) <= FIELD || ticks_per_second <= 0)
    return UINT64_MAX;
  return g_ascii_strtoull(fields[FIELD], NULL, 10) * (NS_PER_S / (uint64_t)ticks_per_second);
}

/* /proc/PID/maps. */

/* The kernel writes a newline in a name as \012. */
static char *unescaped(const char *path)
{
  g_auto(GStrv) parts = g_strsplit(path, "\\012", -1);
  return g_strjoinv("\n", parts);
}

static void add_line(struct process_maps *maps, const char *line, int pid, const char *proc)
{
  static const char deleted[] = " (deleted)";
  struct file_mapping mapping = {.pid = pid};
  char permissions[5];
  uint64_t offset, inode;
  unsigned major_number, minor_number;
  int path_at = 0;
  if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &mapping.start, &mapping.limit,
             permissions, &offset, &major_number, &minor_number, &inode, &path_at) < 7)
    return;
  if (strcmp(permissions, "rw-s") != 0 || offset != 0 || inode == 0 || path_at == 0 || line[path_at] != '/')
    return;
  mapping.device = makedev(major_number, minor_number);
  mapping.inode = (ino_t)inode;
  mapping.inner_pid = inner_pid(pid);
  mapping.path = unescaped(line + path_at);
  mapping.is_deleted = g_str_has_suffix(mapping.path, deleted);
  if (mapping.is_deleted)
    mapping.path[strlen(mapping.path) - (sizeof deleted - 1)] = '\0';
  mapping.proc = g_strdup(proc);
  g_array_append_val(maps->mappings, mapping);
}

static void add_closed(struct process_maps *maps, int pid, const char *proc)
{
  struct closed_process closed = {.pid = pid, .inner_pid = inner_pid(pid)};
  g_autofree char *uids = process_status_field(proc, "Uid");
  closed.owner = uids != NULL ? (uid_t)strtoul(uids, NULL, 10) : (uid_t)-1;
  g_array_append_val(maps->closed, closed);
}

/* False: there is nothing to read. */
static bool add_maps(struct process_maps *maps, int pid, const char *proc)
{
  g_autofree char *path = g_strconcat(proc, "/maps", NULL);
  g_autofree char *text = NULL;
  gsize size = 0;
  g_autoptr(GError) error = NULL;
  if (!g_file_get_contents(path, &text, &size, &error)) {
    if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES) ||
        g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_PERM)) {
      add_closed(maps, pid, proc);
      return true;
    }
    return false;
  }
  for (char *line = text, *next; line != NULL && *line != '\0'; line = next) {
    next = strchr(line, '\n');
    if (next != NULL)
      *next++ = '\0';
    maps->has_shim = maps->has_shim || g_str_has_suffix(line, "/libheapprof.so");
    if (strstr(line, " rw-s 00000000 ") != NULL)
      add_line(maps, line, pid, proc);
  }
  return size > 0;
}

/* Where the first thread has ended, and others have not, its memory is seen through one of them. */
static void add_process(struct process_maps *maps, int pid)
{
  g_autofree char *proc = g_strdup_printf("/proc/%d", pid);
  if (add_maps(maps, pid, proc))
    return;
  g_autofree char *tasks = g_strconcat(proc, "/task", NULL);
  g_autoptr(GDir) folder = g_dir_open(tasks, 0, NULL);
  const char *name;
  while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
    g_autofree char *task = g_strconcat(tasks, "/", name, NULL);
    if (atoi(name) != pid && add_maps(maps, pid, task))
      return;
  }
}

struct process_maps *process_maps_of(int pid)
{
  struct process_maps *maps = new_maps();
  add_process(maps, pid);
  return maps;
}

struct process_maps *process_maps_scan(void)
{
  struct process_maps *maps = new_maps();
  g_autoptr(GDir) folder = g_dir_open("/proc", 0, NULL);
  const char *name;
  while (folder != NULL && (name = g_dir_read_name(folder)) != NULL)
    if (g_ascii_isdigit(name[0]))
      add_process(maps, atoi(name));
  return maps;
}

/* Two file systems show other device numbers in maps than stat does. */
static bool has_other_numbers(const char *path)
{
  struct statfs status;
  return statfs(path, &status) == 0 &&
         (status.f_type == BTRFS_SUPER_MAGIC || (unsigned long)status.f_type == OVERLAYFS_SUPER_MAGIC);
}

bool process_maps_is_file(const struct file_mapping *mapping, const struct stat *status, const char *path)
{
  return mapping->inode == status->st_ino && (mapping->device == status->st_dev || has_other_numbers(path));
}
