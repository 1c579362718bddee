/* SPDX-License-Identifier: MIT */
#include "tools/state/targets.h"

#include "tools/state/linked_program.h"
#include "tools/state/process_maps.h"
#include "tools/state/state_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Its codes are errno values. */
#define TARGETS_ERROR g_quark_from_static_string("heapprof-targets")

enum { COMMAND_BYTES_MAX = 1024 };

void target_free(struct target *target)
{
  if (target == NULL)
    return;
  g_free(target->path);
  g_free(target->root);
  g_free(target);
}

const char *target_state(const struct target *target)
{
  if (target->is_alive)
    return "live";
  return target->is_replaced ? "replaced" : "dead";
}

/* A target of the region at `path`, dead until it is known better. */
static struct target *open_target(const char *path, GError **error)
{
  struct region_file *file = region_file_open(path, state_files_owner(), error);
  if (file == NULL)
    return NULL;
  struct target *target = g_new0(struct target, 1);
  bool read = region_file_summarize(file, &target->summary, error);
  target->status = *region_file_status(file);
  region_file_close(file);
  target->owner = target->status.st_uid;
  target->pid = target->summary.pid;
  target->path = g_strdup(path);
  target->root = g_strdup("");
  if (read)
    return target;
  target_free(target);
  return NULL;
}

/* Living ones. */

static bool is_our_root(const char *proc)
{
  static struct stat root, mounts;
  struct stat theirs;
  g_autofree char *their_root = g_strconcat(proc, "/root", NULL), *their_mounts = g_strconcat(proc, "/ns/mnt", NULL);
  if (mounts.st_ino == 0 && (stat("/", &root) != 0 || stat("/proc/self/ns/mnt", &mounts) != 0))
    return false;
  if (stat(their_root, &theirs) != 0 || theirs.st_ino != root.st_ino || theirs.st_dev != root.st_dev)
    return false;
  return stat(their_mounts, &theirs) == 0 && theirs.st_ino == mounts.st_ino;
}

static struct target *open_mapping_at(const struct file_mapping *mapping, const char *path, GError **error)
{
  struct target *target = open_target(path, error);
  if (target == NULL || process_maps_is_file(mapping, &target->status, path))
    return target;
  g_set_error(error, TARGETS_ERROR, ESTALE, "%s is another file than the one that process %d maps", path, mapping->pid);
  target_free(target);
  return NULL;
}

/* The path of the mapping is as the process sees it, or as we do; where the file has no name any more, the kernel knows
 * a way, but for root only. */
static struct target *open_mapping(const struct file_mapping *mapping, bool is_ours, GError **error)
{
  g_autofree char *inside = g_strconcat(mapping->proc, "/root", mapping->path, NULL);
  g_autofree char *kernel = g_strdup_printf("%s/map_files/%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x",
                                            mapping->proc, mapping->start, mapping->limit);
  const char *named = is_ours ? mapping->path : inside;
  struct target *target = open_mapping_at(mapping, named, error);
  if (target == NULL && named == inside)
    target = open_mapping_at(mapping, mapping->path, NULL);
  if (target == NULL)
    target = open_mapping_at(mapping, kernel, NULL);
  if (target != NULL)
    g_clear_error(error);
  else if (mapping->is_deleted) {
    g_clear_error(error);
    g_set_error(error, TARGETS_ERROR, ENOENT, "the state file of process %d was removed; root can still read it",
                mapping->pid);
  }
  return target;
}

/* NULL and *error; without an error if this process only has the region of its parent. */
static struct target *live_target(const struct file_mapping *mapping, GError **error)
{
  bool is_ours = is_our_root(mapping->proc);
  struct target *target = open_mapping(mapping, is_ours, error);
  if (target == NULL)
    return NULL;
  if (target->summary.pid != mapping->inner_pid) {
    target_free(target);
    return NULL;
  }
  target->pid = mapping->pid;
  target->is_alive = true;
  if (!is_ours) {
    g_free(target->root);
    target->root = g_strconcat(mapping->proc, "/root", NULL);
  }
  return target;
}

static bool is_state_file_mapping(const struct file_mapping *mapping)
{
  return g_str_has_suffix(mapping->path, STATE_FILE_SUFFIX);
}

static const struct file_mapping *mapping_at(const struct process_maps *maps, guint i)
{
  return &g_array_index(maps->mappings, struct file_mapping, i);
}

/* Dead or alive? */

/* Does a process whose maps we may not read say that it has this pid? */
static bool may_belong_to_closed(const struct process_maps *maps, const struct target *target)
{
  for (guint i = 0; i < maps->closed->len; i++) {
    const struct closed_process *closed = &g_array_index(maps->closed, struct closed_process, i);
    if (closed->inner_pid == target->summary.pid && closed->owner == target->owner)
      return true;
  }
  return false;
}

static bool is_mapped(const struct process_maps *maps, const struct target *target)
{
  for (guint i = 0; i < maps->mappings->len; i++)
    if (process_maps_is_file(mapping_at(maps, i), &target->status, target->path))
      return true;
  return false;
}

/* By a process that we cannot look into: of another pid namespace, or one that lets nobody read its maps. */
static bool is_used_unseen(const struct process_maps *maps, const struct target *target)
{
  if (is_mapped(maps, target))
    return false;
  enum state_use use = state_files_use(target->path, &target->status);
  return use == STATE_USED || (use == STATE_UNKNOWN && may_belong_to_closed(maps, target));
}

/* Does the process that wrote it run all the same? It has executed another program then, which let go of the file: one
 * that is profiled would have removed it. A process that began later only has its number. */
static bool is_replaced(const struct target *target)
{
  struct stat ours;
  return target->summary.pid_namespace != 0 && stat("/proc/self/ns/pid", &ours) == 0 &&
         target->summary.pid_namespace == ours.st_ino && process_runs(target->summary.pid) &&
         process_start_boot_ns(target->summary.pid) <= target->summary.created_boot_ns;
}

/* Does the process that wrote it map it? Forked children that have sampled nothing yet map it too. */
static const struct file_mapping *owner_of(const struct process_maps *maps, const struct target *target)
{
  for (guint i = 0; i < maps->mappings->len; i++) {
    const struct file_mapping *mapping = mapping_at(maps, i);
    if (mapping->inner_pid == target->summary.pid && process_maps_is_file(mapping, &target->status, target->path))
      return mapping;
  }
  return NULL;
}

static bool still_exists(const char *path)
{
  struct stat status;
  return lstat(path, &status) == 0;
}

/* Scanning. */

static int compare_targets(gconstpointer a, gconstpointer b)
{
  const struct target *one = *(const struct target *const *)a, *other = *(const struct target *const *)b;
  if (one->pid != other->pid)
    return one->pid < other->pid ? -1 : 1;
  if (one->summary.created_unix_ns != other->summary.created_unix_ns)
    return one->summary.created_unix_ns < other->summary.created_unix_ns ? -1 : 1;
  return strcmp(one->path, other->path);
}

/* Says the error in one line, and clears it. */
static void note(GPtrArray *unreadable, GError **error)
{
  if (*error != NULL && unreadable != NULL)
    g_ptr_array_add(unreadable, g_strdup((*error)->message));
  g_clear_error(error);
}

/* A process has one state: the first, as find_living has it. Its mappings lie together. */
static bool has_target(const GPtrArray *targets, int pid)
{
  return targets->len > 0 && ((const struct target *)g_ptr_array_index(targets, targets->len - 1))->pid == pid;
}

/* Indexes of what was opened in the state directories, by inode. The first of several is found. */
static GHashTable *index_files(const GPtrArray *files)
{
  GHashTable *index = g_hash_table_new(g_int64_hash, g_int64_equal);
  for (guint i = files->len; i-- > 0;)
    g_hash_table_replace(index, &((struct target *)g_ptr_array_index(files, i))->status.st_ino,
                         GUINT_TO_POINTER(i + 1));
  return index;
}

/* The state that the process made, if it was opened under the same name: it is taken out of the files. */
static struct target *take_opened(GPtrArray *files, GHashTable *index, const struct file_mapping *mapping)
{
  guint found = GPOINTER_TO_UINT(g_hash_table_lookup(index, &mapping->inode));
  struct target *target = found > 0 ? g_ptr_array_index(files, found - 1) : NULL;
  if (target == NULL || target->summary.pid != mapping->inner_pid || strcmp(target->path, mapping->path) != 0 ||
      !process_maps_is_file(mapping, &target->status, target->path) || !is_our_root(mapping->proc))
    return NULL;
  g_hash_table_remove(index, &mapping->inode);
  g_ptr_array_index(files, found - 1) = NULL;
  target->pid = mapping->pid;
  target->is_alive = true;
  return target;
}

/* Now, too? Who has ended, or let go of the file, took its state with it. */
static bool still_maps(const struct file_mapping *mapping)
{
  struct process_maps *maps = process_maps_of(mapping->pid);
  bool found = false;
  for (guint i = 0; i < maps->mappings->len && !found; i++) {
    const struct file_mapping *other = mapping_at(maps, i);
    found =
        other->inode == mapping->inode && other->device == mapping->device && other->is_deleted == mapping->is_deleted;
  }
  process_maps_free(maps);
  return found;
}

static void add_living(GPtrArray *targets, const struct process_maps *maps, GPtrArray *files, GPtrArray *unreadable)
{
  g_autoptr(GHashTable) index = index_files(files);
  for (guint i = 0; i < maps->mappings->len; i++) {
    const struct file_mapping *mapping = mapping_at(maps, i);
    g_autoptr(GError) error = NULL;
    if (!is_state_file_mapping(mapping) || has_target(targets, mapping->pid))
      continue;
    struct target *target = take_opened(files, index, mapping);
    if (target == NULL)
      target = live_target(mapping, &error);
    if (target != NULL)
      g_ptr_array_add(targets, target);
    else if (!g_error_matches(error, REGION_ERROR, REGION_ERROR_UNREADY) && still_maps(mapping))
      note(unreadable, &error); /* otherwise it is just starting, or ended */
  }
}

static void add_dead(GPtrArray *targets, const struct process_maps *maps, GPtrArray *files, GPtrArray *unreadable)
{
  for (guint i = 0; i < files->len; i++) {
    struct target *target = g_ptr_array_index(files, i);
    if (target == NULL || owner_of(maps, target) != NULL || !still_exists(target->path))
      continue;
    target->is_replaced = is_replaced(target);
    if (!is_used_unseen(maps, target))
      g_ptr_array_add(targets, g_steal_pointer(&g_ptr_array_index(files, i)));
    else if (unreadable != NULL)
      g_ptr_array_add(
          unreadable,
          g_strdup_printf("%s is in use by a process that cannot be looked into from here; it stays", target->path));
  }
}

static void free_target(gpointer target)
{
  target_free(target);
}

static GPtrArray *new_targets(void)
{
  return g_ptr_array_new_with_free_func(free_target);
}

/* A process is just making it, or has just removed it. */
static bool is_in_the_making(const char *path)
{
  struct stat status;
  return lstat(path, &status) != 0 || state_files_use(path, &status) == STATE_USED;
}

/* What is in the state directories, alive or not. */
static GPtrArray *open_files(GPtrArray *unreadable)
{
  GPtrArray *targets = new_targets();
  g_autoptr(GPtrArray) paths = state_files_list();
  for (guint i = 0; i < paths->len; i++) {
    g_autoptr(GError) error = NULL;
    struct target *target = open_target(g_ptr_array_index(paths, i), &error);
    if (target != NULL)
      g_ptr_array_add(targets, target);
    else if (!is_in_the_making(g_ptr_array_index(paths, i)))
      note(unreadable, &error);
  }
  return targets;
}

GPtrArray *targets_scan(GPtrArray *unreadable)
{
  /* In this order: a process maps its file before it can be opened as one, so a process that is not found to map it has
   * ended. */
  g_autoptr(GPtrArray) files = open_files(unreadable);
  struct process_maps *maps = process_maps_scan();
  GPtrArray *targets = new_targets();
  add_living(targets, maps, files, unreadable);
  add_dead(targets, maps, files, unreadable);
  process_maps_free(maps);
  g_ptr_array_sort(targets, compare_targets);
  return targets;
}

/* Finding. */

static struct target *latest_dead(int pid)
{
  g_autoptr(GPtrArray) targets = targets_scan(NULL);
  for (guint i = targets->len; i-- > 0;) { /* sorted by time */
    const struct target *target = g_ptr_array_index(targets, i);
    if (target->pid == pid && !target->is_alive)
      return g_ptr_array_steal_index(targets, i);
  }
  return NULL;
}

static bool has_state(int pid)
{
  g_autofree char *directory = targets_state_directory(NULL);
  g_autofree char *path = directory != NULL ? g_strdup_printf("%s/%d" STATE_FILE_SUFFIX, directory, pid) : g_strdup("");
  return access(path, F_OK) == 0;
}

/* Its memory map is not for us to read. */
static void explain_closed(int pid, uid_t owner, GError **error)
{
  if (geteuid() != 0 && owner != geteuid())
    g_set_error(error, TARGETS_ERROR, EPERM,
                "process %d belongs to user %u: only that user and root may read its state", pid, (unsigned)owner);
  else if (has_state(pid))
    g_set_error(error, TARGETS_ERROR, EPERM, "process %d of user %u: its memory map cannot be read", pid,
                (unsigned)owner);
  else
    g_set_error(error, TARGETS_ERROR, EPERM,
                "process %d is not profiled, as far as can be seen: there is no state of it, and its memory map cannot "
                "be read",
                pid);
}

static void explain_absence(int pid, const struct process_maps *maps, bool has_parents_region, GError **error)
{
  if (maps->closed->len > 0) {
    explain_closed(pid, g_array_index(maps->closed, struct closed_process, 0).owner, error);
  } else if (!process_runs(pid))
    g_set_error(error, TARGETS_ERROR, ESRCH, "there is no process %d, and no state of one that has ended", pid);
  else if (has_parents_region)
    g_set_error(error, TARGETS_ERROR, ENOENT, "process %d was forked from a profiled one and has sampled nothing yet",
                pid);
  else if (maps->has_shim || linked_program_is(pid))
    g_set_error(error, TARGETS_ERROR, ENOENT,
                "process %d has %s, but no state file: nothing was sampled yet, or it cannot be profiled", pid,
                maps->has_shim ? "libheapprof.so" : "libheapprof.a");
  else
    g_set_error(error, TARGETS_ERROR, ENOENT,
                "process %d is not profiled: heapprof attach %d begins now, heapprof run with a new one", pid, pid);
}

static struct target *find_living(const struct process_maps *maps, bool *has_parents_region, GError **error)
{
  for (guint i = 0; i < maps->mappings->len; i++) {
    const struct file_mapping *mapping = mapping_at(maps, i);
    if (!is_state_file_mapping(mapping))
      continue;
    struct target *target = live_target(mapping, error);
    if (target != NULL || *error != NULL)
      return target;
    *has_parents_region = true;
  }
  return NULL;
}

static struct target *find(int pid, struct target *(*find_dead)(int pid), GError **error)
{
  bool has_parents_region = false;
  g_autoptr(GError) problem = NULL;
  struct process_maps *maps = process_maps_of(pid);
  struct target *target = find_living(maps, &has_parents_region, &problem);
  if (target == NULL && problem == NULL && (target = find_dead(pid)) == NULL)
    explain_absence(pid, maps, has_parents_region, &problem);
  process_maps_free(maps);
  if (target == NULL)
    g_propagate_error(error, g_steal_pointer(&problem));
  return target;
}

struct target *target_find(int pid, GError **error)
{
  return find(pid, latest_dead, error);
}

static struct target *no_dead(int pid)
{
  (void)pid;
  return NULL;
}

struct target *target_find_living(int pid, GError **error)
{
  return find(pid, no_dead, error);
}

/* The folder without symbolic links; the file itself must not be one. */
static char *real_path(const char *path)
{
  g_autofree char *folder = g_path_get_dirname(path), *name = g_path_get_basename(path);
  char *real = realpath(folder, NULL);
  char *result = real != NULL ? g_build_filename(real, name, NULL) : g_strdup(path);
  free(real);
  return result;
}

struct target *target_of_file(const char *path, GError **error)
{
  g_autofree char *real = real_path(path);
  struct target *target = open_target(real, error);
  if (target == NULL)
    return NULL;
  struct process_maps *maps = process_maps_scan();
  const struct file_mapping *owner = owner_of(maps, target);
  bool is_dead = owner == NULL && !is_used_unseen(maps, target);
  if (owner != NULL)
    g_set_error(error, TARGETS_ERROR, EBUSY, "%s is the state of process %d, which runs: heapprof dump %d reads it",
                path, owner->pid, owner->pid);
  else if (!is_dead)
    g_set_error(error, TARGETS_ERROR, EBUSY, "%s is in use by a process that cannot be looked into from here", path);
  process_maps_free(maps);
  if (is_dead)
    return target;
  target_free(target);
  return NULL;
}

/* Reading and removing. */

/* In a time namespace of its own a process dates its state by another clock than ours. */
static bool has_our_clock(int pid)
{
  struct stat theirs, ours;
  g_autofree char *path = g_strdup_printf("/proc/%d/ns/time", pid);
  return stat(path, &theirs) != 0 || stat("/proc/self/ns/time", &ours) != 0 || theirs.st_ino == ours.st_ino;
}

bool target_runs(const struct target *target)
{
  if (!target->is_alive || !process_runs(target->pid))
    return false;
  return process_start_boot_ns(target->pid) <= target->summary.created_boot_ns || !has_our_clock(target->pid);
}

char *target_command(const struct target *target)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", target->pid);
  g_autofree char *text = NULL;
  gsize size = 0;
  if (!g_file_get_contents(path, &text, &size, NULL) || size == 0 || !target_runs(target))
    return g_strdup(target->summary.command[0] != '\0' ? target->summary.command : target->summary.program);
  size = MIN(size, COMMAND_BYTES_MAX - 1);
  while (size > 0 && text[size - 1] == '\0')
    size--;
  text[size] = '\0';
  for (gsize i = 0; i < size; i++)
    if ((unsigned char)text[i] < ' ')
      text[i] = ' ';
  return g_steal_pointer(&text);
}

struct resident target_resident(const struct target *target)
{
  if (target->is_alive)
    return process_resident(target->pid);
  return (struct resident){target->summary.resident_bytes, target->summary.resident_most_bytes};
}

/* 0: it has ended. */
static uint64_t cpu_ns_of(int pid)
{
  clockid_t clock;
  struct timespec time;
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0)
    return 0;
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* NULL and *error: it is gone, or another file lies there. */
static struct region_file *open_state(const struct target *target, GError **error)
{
  struct region_file *file = region_file_open(target->path, target->owner, error);
  if (file == NULL) {
    if (target->is_alive && !process_runs(target->pid)) {
      g_clear_error(error);
      g_set_error(error, TARGETS_ERROR, ESRCH, "process %d has ended meanwhile, and its state with it", target->pid);
    }
    return NULL;
  }
  const struct stat *status = region_file_status(file);
  if (status->st_ino == target->status.st_ino && status->st_dev == target->status.st_dev)
    return file;
  g_set_error(error, TARGETS_ERROR, ESTALE, "%s is another file by now", target->path);
  region_file_close(file);
  return NULL;
}

static struct heap *read_state(const struct target *target, enum region_moment moment, GHashTable *resident,
                               const char *reason, GError **error)
{
  g_autofree char *command = target_command(target);
  struct region_file *file = open_state(target, error);
  if (file == NULL)
    return NULL;
  if (target->is_alive) {
    region_file_set_cpu_ns(file, cpu_ns_of(target->pid));
    region_file_set_command(file, command);
  }
  region_file_set_resident(file, resident);
  struct heap *heap = region_file_read(file, moment, reason, error);
  region_file_close(file);
  return heap;
}

struct heap *target_read(const struct target *target, enum region_moment moment, const char *reason, GError **error)
{
  return read_state(target, moment, NULL, reason, error);
}

struct heap *target_read_resident(const struct target *target, GHashTable *resident, const char *reason, GError **error)
{
  return read_state(target, REGION_MAPPED, resident, reason, error);
}

GArray *target_ranges(const struct target *target, GError **error)
{
  struct region_file *file = open_state(target, error);
  GArray *ranges = file != NULL ? region_file_ranges(file, error) : NULL;
  region_file_close(file);
  return ranges;
}

bool target_remove(const struct target *target, GError **error)
{
  struct process_maps *maps = process_maps_scan();
  bool in_use = is_mapped(maps, target) || is_used_unseen(maps, target);
  process_maps_free(maps);
  if (!in_use)
    return state_files_remove(target->path, &target->status, error);
  g_set_error(error, TARGETS_ERROR, EBUSY, "%s is in use by a process: it is left where it is", target->path);
  return false;
}

char *targets_state_directory(GError **error)
{
  return state_files_make_directory(error);
}
