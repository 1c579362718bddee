/* SPDX-License-Identifier: MIT */
#include "tools/run/tree_peak.h"

#include "core/resident.h"
#include "tools/run/run_folder.h"
#include "tools/run/tree_moments.h"
#include "tools/state/region_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOKS_PER_RESIDENT = 4 }; /* the kernel takes 30 us to tell it */
enum { WALK_SHARE = 10 };        /* of the time that passes, walks over stacks take no more than 1/10 */

/* A process, by the name of its file and which file that is. */
struct member {
  ino_t inode;
  int pid, origin_pid; /* the latter: of whom it inherits, 0: nobody */
  bool has_ended, is_exact;
  double now[HALVES], highest[HALVES]; /* bytes of each half, with what was inherited */
  bool has_moved[HALVES];              /* the highest was since it was last counted, and is over */
  double inherited_bytes;              /* of all samples */
  struct tree_halves own, inherited;   /* which both make up what it has now */
  unsigned seen;                       /* at which look last */
  /* From the last walk over its stacks: what a byte is uncertain by, and what each half has of what was inherited. */
  bool knows_inherited, knows_variance;
  double own_variance[HALVES], inherited_variance[HALVES], inherited_share[HALVES];
};

struct tree_peak {
  char *folder;
  GHashTable *members;  /* path -> struct member */
  GHashTable *resident; /* pid -> uint64_t * */
  struct tree_moments moments;
  gint64 may_walk_us; /* not before */
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
  for (unsigned half = 0; half < HALVES; half++)
    member->inherited_share[half] = 1.0 / HALVES;
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

/* What belongs to it alone, and what somebody else may hold, too. */
static void share_out(struct member *member)
{
  for (unsigned half = 0; half < HALVES; half++) {
    double inherited = MIN(floor(member->inherited_bytes * member->inherited_share[half]), member->now[half]),
           own = member->now[half] - inherited;
    member->inherited.half[half] = (struct region_half){inherited, inherited * member->inherited_variance[half]};
    member->own.half[half] = (struct region_half){own, own * member->own_variance[half]};
  }
}

static double variance_a_byte(struct region_half half)
{
  return half.bytes > 0 ? half.variance / half.bytes : 0;
}

/* Variances and what each half has are known from a walk over all stacks only; in between, they go with the bytes. */
static bool walk(struct tree_peak *tree, const char *path, struct member *member, struct region_halves *halves)
{
  gint64 begun_us = g_get_monotonic_time();
  struct region_file *file = region_file_open(path, (uid_t)-1, NULL);
  bool is_read =
      file != NULL && region_file_status(file)->st_ino == member->inode && region_file_read_halves(file, halves, NULL);
  region_file_close(file);
  for (unsigned half = 0; is_read && half < HALVES; half++) {
    member->own_variance[half] = variance_a_byte(halves->now[half]);
    member->inherited_variance[half] = variance_a_byte(halves->inherited[half]);
    if (halves->inherited_bytes > 0)
      member->inherited_share[half] = halves->inherited[half].bytes / halves->inherited_bytes;
  }
  member->knows_inherited = true; /* or cannot be read */
  member->knows_variance |= !is_read || halves->now[0].bytes + halves->now[1].bytes > 0;
  gint64 now_us = g_get_monotonic_time();
  tree->may_walk_us = now_us + WALK_SHARE * (now_us - begun_us);
  return is_read;
}

static bool may_walk(const struct tree_peak *tree, const struct member *member)
{
  return !member->knows_variance || g_get_monotonic_time() >= tree->may_walk_us;
}

static void note_halves(struct member *member, const struct region_header *header)
{
  double highest[HALVES];
  region_halves_of_header(header, highest, member->now);
  for (unsigned half = 0; half < HALVES; half++)
    if (highest[half] > member->highest[half]) {
      member->has_moved[half] = member->now[half] < highest[half]; /* else the look itself sees it */
      member->highest[half] = highest[half];
    }
  member->inherited_bytes = region_halves_inherited(header);
}

static void look_at(struct tree_peak *tree, const char *path)
{
  struct region_header header;
  struct region_halves halves;
  struct member *member = g_hash_table_lookup(tree->members, path);
  ino_t inode;
  if (member != NULL)
    member->seen = tree->looks;
  if (!read_header(path, &header, &inode))
    return;
  bool is_new = member == NULL;
  member = member_of(tree, path, inode);
  member->pid = (int)header.pid;
  member->origin_pid = (int)header.origin_pid;
  member->is_exact = header.sample_interval_bytes == 1;
  note_halves(member, &header);
  bool is_new_to_us = (member->inherited_bytes > 0 && !member->knows_inherited) ||
                      (member->now[0] + member->now[1] > member->inherited_bytes && !member->knows_variance);
  if (is_new_to_us && !member->is_exact)
    (void)walk(tree, path, member, &halves);
  share_out(member);
  member->has_ended =
      atomic_load(&header.end) != 0 || (kill((pid_t)header.pid, 0) != 0 && errno == ESRCH); /* if the pid is one here */
  member->seen = tree->looks;
  if (!member->has_ended && (is_new || tree->looks % LOOKS_PER_RESIDENT == 0))
    note_resident(tree, member->pid);
}

static double bytes_of(const struct tree_halves *held)
{
  return held->half[0].bytes + held->half[1].bytes;
}

/* What all that run hold. Of those whose origin has ended, one has what that held, too: a daemon, for one. */
static struct tree_halves all_of(const struct tree_peak *tree)
{
  GHashTableIter iterator;
  gpointer value;
  g_autoptr(GHashTable) running = g_hash_table_new(NULL, NULL);
  struct tree_halves all = {0}, orphaned = {0};
  g_hash_table_iter_init(&iterator, tree->members);
  while (g_hash_table_iter_next(&iterator, NULL, &value))
    if (!((const struct member *)value)->has_ended)
      g_hash_table_add(running, GINT_TO_POINTER(((const struct member *)value)->pid));
  g_hash_table_iter_init(&iterator, tree->members);
  while (g_hash_table_iter_next(&iterator, NULL, &value)) {
    const struct member *member = value;
    if (member->has_ended)
      continue;
    tree_halves_add(&all, &member->own, 1);
    if (!g_hash_table_contains(running, GINT_TO_POINTER(member->origin_pid)) &&
        bytes_of(&member->inherited) > bytes_of(&orphaned))
      orphaned = member->inherited;
  }
  tree_halves_add(&all, &orphaned, 1);
  return all;
}

/* The variances, as of now. */
static void walk_all(struct tree_peak *tree)
{
  GHashTableIter iterator;
  gpointer path, value;
  struct region_halves halves;
  g_hash_table_iter_init(&iterator, tree->members);
  while (g_hash_table_iter_next(&iterator, &path, &value)) {
    struct member *member = value;
    if (!member->has_ended && !member->is_exact && may_walk(tree, member) && walk(tree, path, member, &halves))
      share_out(member);
  }
}

/* All that run, as they are found. */
static void offer_all(struct tree_peak *tree)
{
  struct tree_halves all = all_of(tree);
  if (tree_moments_is_higher(&tree->moments, 0, &all) || tree_moments_is_higher(&tree->moments, 1, &all)) {
    walk_all(tree);
    all = all_of(tree);
  }
  tree_moments_look(&tree->moments, &all);
}

/* The member at the moment that its half chose, beside what the others hold. False: later, if it has not moved. */
static bool offer_moment(struct tree_peak *tree, const char *path, struct member *member, unsigned chooser,
                         struct tree_halves held)
{
  struct region_halves halves;
  struct region_half *chosen = &held.half[chooser], *read = &held.half[1 - chooser];
  double others_bytes = chosen->bytes,
         own_bytes = MAX(member->highest[chooser] - member->inherited.half[chooser].bytes, 0);
  chosen->bytes = others_bytes + own_bytes;
  if (!tree_moments_is_higher(&tree->moments, chooser, &held))
    return true;
  if (member->is_exact) {
    read->bytes += own_bytes;
  } else if (!member->has_ended && !may_walk(tree, member)) {
    return false;
  } else if (walk(tree, path, member, &halves)) {
    chosen->bytes = others_bytes + MAX(halves.moments[chooser] - halves.inherited[chooser].bytes, 0);
    read->bytes += halves.then[1 - chooser].bytes;
    read->variance += halves.then[1 - chooser].variance;
  } else {
    return true;
  }
  tree_moments_offer(&tree->moments, chooser, &held);
  return true;
}

static void offer_moments(struct tree_peak *tree)
{
  GHashTableIter iterator;
  gpointer path, value;
  struct tree_halves all = all_of(tree);
  g_hash_table_iter_init(&iterator, tree->members);
  while (g_hash_table_iter_next(&iterator, &path, &value)) {
    struct member *member = value;
    struct tree_halves others = all;
    if (!member->has_ended)
      tree_halves_add(&others, &member->own, -1);
    for (unsigned chooser = 0; chooser < HALVES; chooser++)
      if (member->has_moved[chooser])
        member->has_moved[chooser] = !offer_moment(tree, path, member, chooser, others);
  }
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
  offer_moments(tree);
  offer_all(tree);
}

struct region_half tree_peak_of(const struct tree_peak *tree)
{
  return tree_moments_peak(&tree->moments);
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
