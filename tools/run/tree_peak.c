/* SPDX-License-Identifier: MIT */
#include "tools/run/tree_peak.h"

#include "core/peak.h"
#include "core/resident.h"
#include "tools/run/run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOKS_PER_RESIDENT = 4 }; /* the kernel takes 30 us to tell it */

/* A process, by the name of its file and which file that is. */
struct member {
  ino_t inode;
  int pid, origin_pid; /* the latter: of whom it inherits, 0: nobody */
  bool has_ended;
  double now_bytes, peak_bytes, inherited_bytes;
  double most_since; /* since the look before: its peak, if that has moved, else what it holds */
  unsigned seen;     /* at which look last */
};

struct tree_peak {
  char *folder;
  GHashTable *members;  /* path -> struct member */
  GHashTable *resident; /* pid -> uint64_t * */
  double bytes;
  unsigned looks, processes;
};

struct tree_peak *tree_peak_new(const char *folder)
{
  struct tree_peak *tree = g_new0(struct tree_peak, 1);
  tree->folder = g_strdup(folder);
  tree->members = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  tree->resident = g_hash_table_new_full(NULL, NULL, NULL, g_free);
  return tree;
}

void tree_peak_free(struct tree_peak *tree)
{
  g_hash_table_destroy(tree->members);
  g_hash_table_destroy(tree->resident);
  g_free(tree->folder);
  g_free(tree);
}

static double bytes_of(const _Atomic uint64_t *field)
{
  int64_t value = (int64_t)atomic_load_explicit(field, memory_order_relaxed);
  return (double)MAX(value, 0) / 16;
}

/* Each half's own highest value, added up: too high where the heap is noisy, as the highest of all looks is anyway. */
static double peak_of(const struct region_header *header)
{
  struct peak_moments moments = peak_moments(header);
  uint64_t bytes_q4 = 0;
  for (unsigned half = 0; half < HALVES; half++)
    bytes_q4 += moments.peaks[half];
  return (double)bytes_q4 / 16;
}

static double in_use_of(const struct region_header *header)
{
  double bytes = 0;
  for (unsigned half = 0; half < HALVES; half++)
    bytes += bytes_of(&header->halves[half].in_use_bytes_q4);
  return bytes;
}

/* False: it is not whole yet, or none. */
static bool read_header(const char *path, struct region_header *header, ino_t *inode)
{
  struct stat status;
  int file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0)
    return false;
  bool is_read = fstat(file, &status) == 0 && pread(file, header, sizeof *header, 0) == (ssize_t)sizeof *header;
  close(file);
  *inode = status.st_ino;
  return is_read && memcmp(header->magic, REGION_MAGIC, sizeof header->magic) == 0 && header->version == REGION_VERSION;
}

static struct member *member_of(struct tree_peak *tree, const char *path, ino_t inode)
{
  struct member *member = g_hash_table_lookup(tree->members, path);
  if (member != NULL && member->inode == inode)
    return member;
  tree->processes += member == NULL; /* else it has executed another program */
  member = g_new0(struct member, 1);
  member->inode = inode;
  g_hash_table_replace(tree->members, g_strdup(path), member);
  return member;
}

static void note_resident(struct tree_peak *tree, int pid)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/status", pid), *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL))
    return;
  uint64_t most = resident_of(text).most_bytes, *known = g_hash_table_lookup(tree->resident, GINT_TO_POINTER(pid));
  if (known == NULL || *known < most)
    g_hash_table_replace(tree->resident, GINT_TO_POINTER(pid), g_memdup2(&most, sizeof most));
}

static void look_at(struct tree_peak *tree, const char *path)
{
  struct region_header header;
  struct member *member = g_hash_table_lookup(tree->members, path);
  ino_t inode;
  if (member != NULL)
    member->seen = tree->looks;
  if (!read_header(path, &header, &inode))
    return;
  bool is_new = member == NULL;
  member = member_of(tree, path, inode);
  double peak = peak_of(&header);
  member->pid = (int)header.pid;
  member->origin_pid = (int)header.origin_pid;
  member->now_bytes = in_use_of(&header);
  member->inherited_bytes = MIN(bytes_of(&header.inherited_bytes_q4), member->now_bytes);
  member->most_since = peak > member->peak_bytes ? peak : member->now_bytes;
  member->peak_bytes = peak;
  member->has_ended =
      atomic_load(&header.end) != 0 || (kill((pid_t)header.pid, 0) != 0 && errno == ESRCH); /* if the pid is one here */
  member->seen = tree->looks;
  if (!member->has_ended && (is_new || tree->looks % LOOKS_PER_RESIDENT == 0))
    note_resident(tree, member->pid);
}

/* What belongs to it alone: the rest is somebody else's, too. */
static double own_bytes(const struct member *member, double bytes)
{
  return MAX(bytes - member->inherited_bytes, 0);
}

/* What all that run hold. Of those whose origin has ended, one has what that held, too: a daemon, for one. */
static double bytes_together(const struct tree_peak *tree)
{
  GHashTableIter iterator;
  gpointer value;
  g_autoptr(GHashTable) running = g_hash_table_new(NULL, NULL);
  double together = 0, orphaned = 0;
  g_hash_table_iter_init(&iterator, tree->members);
  while (g_hash_table_iter_next(&iterator, NULL, &value))
    if (!((const struct member *)value)->has_ended)
      g_hash_table_add(running, GINT_TO_POINTER(((const struct member *)value)->pid));
  g_hash_table_iter_init(&iterator, tree->members);
  while (g_hash_table_iter_next(&iterator, NULL, &value)) {
    const struct member *member = value;
    if (member->has_ended)
      continue;
    together += own_bytes(member, member->now_bytes);
    if (!g_hash_table_contains(running, GINT_TO_POINTER(member->origin_pid)))
      orphaned = MAX(orphaned, member->inherited_bytes);
  }
  return together + orphaned;
}

static void add_up(struct tree_peak *tree)
{
  GHashTableIter iterator;
  gpointer value;
  double together = bytes_together(tree), most = together;
  g_hash_table_iter_init(&iterator, tree->members);
  while (g_hash_table_iter_next(&iterator, NULL, &value)) {
    struct member *member = value;
    double others = together - (member->has_ended ? 0 : own_bytes(member, member->now_bytes));
    most = MAX(most, others + own_bytes(member, member->most_since));
    member->most_since = 0; /* counted */
  }
  tree->bytes = MAX(tree->bytes, most);
}

static gboolean is_gone(gpointer path, gpointer value, gpointer data)
{
  (void)path;
  return ((const struct member *)value)->seen != ((const struct tree_peak *)data)->looks;
}

void tree_peak_look(struct tree_peak *tree)
{
  if (tree->folder == NULL)
    return;
  tree->looks++;
  g_autoptr(GPtrArray) paths = run_folder_list(tree->folder);
  for (guint i = 0; i < paths->len; i++) {
    const char *path = g_ptr_array_index(paths, i);
    struct member *member = g_hash_table_lookup(tree->members, path);
    if (member != NULL && member->has_ended && atoi(strrchr(path, '/') + 1) == member->pid && kill(member->pid, 0) != 0)
      member->seen = tree->looks; /* its file will not change */
    else
      look_at(tree, path);
  }
  g_hash_table_foreach_remove(tree->members, is_gone, tree);
  add_up(tree);
}

double tree_peak_bytes(const struct tree_peak *tree)
{
  return tree->bytes;
}

unsigned tree_peak_processes(const struct tree_peak *tree)
{
  return tree->processes;
}

uint64_t tree_peak_resident(const struct tree_peak *tree, int pid)
{
  const uint64_t *most = g_hash_table_lookup(tree->resident, GINT_TO_POINTER(pid));
  return most != NULL ? *most : 0;
}
