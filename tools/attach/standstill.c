/* SPDX-License-Identifier: MIT */
#include "tools/attach/standstill.h"

#include "tools/attach/moments.h"
#include "tools/attach/tracing.h"

#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ATTEMPTS = 200, ATTEMPTS_TO_STOP = 12, PAUSE_NS = 1000000, STACK_MAX_BYTES = 8 << 20, PIECE_BYTES = 64 << 10 };

#define NS_PER_MS UINT64_C(1000000)
/* How long one attempt waits until all stand still: where the machine is busy, the next ones wait longer. */
#define SHORTEST_STOP_NS (20 * NS_PER_MS)
#define LONGEST_STOP_NS (1000 * NS_PER_MS)

struct held {
  pid_t thread;
  bool has_stopped;
};

struct standstill {
  const struct borrowed *borrowed;
  const struct attachment_change *changes;
  unsigned count;
  GArray *seized; /* struct held */
  uint64_t stop_ns;
  const char *why;
};

static struct held *held_at(const struct standstill *still, guint i)
{
  return &g_array_index(still->seized, struct held, i);
}

static bool is_seized(const struct standstill *still, pid_t thread)
{
  for (guint i = 0; i < still->seized->len; i++)
    if (held_at(still, i)->thread == thread)
      return true;
  return thread == still->borrowed->thread;
}

static bool has_ended(int pid, const char *name)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/task/%s/stat", pid, name), *text = NULL;
  const char *end = g_file_get_contents(path, &text, NULL, NULL) ? strrchr(text, ')') : NULL;
  return end == NULL || end[1] == '\0' || strchr("ZX", end[2]) != NULL;
}

/* False: one can't be seized. `found`: there are new ones. */
static bool seize_new(struct standstill *still, bool *found)
{
  int pid = still->borrowed->memory->pid;
  g_autofree char *path = g_strdup_printf("/proc/%d/task", pid);
  GDir *folder = g_dir_open(path, 0, NULL);
  const char *name;
  bool are_all = folder != NULL;
  *found = false;
  while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
    pid_t thread = atoi(name);
    if (is_seized(still, thread))
      continue;
    if (tracing_seize(thread)) {
      struct held held = {thread, false};
      g_array_append_val(still->seized, held);
      *found = true;
    } else if (!has_ended(pid, name)) {
      are_all = false;
    }
  }
  if (folder != NULL)
    g_dir_close(folder);
  return are_all;
}

static bool stop_from(const struct standstill *still, guint first)
{
  uint64_t deadline_ns = tracing_now_ns() + still->stop_ns;
  for (guint i = first; i < still->seized->len; i++)
    (void)tracing_interrupt(held_at(still, i)->thread);
  for (guint i = first; i < still->seized->len; i++) {
    struct held *held = held_at(still, i);
    g_autofree char *name = g_strdup_printf("%d", held->thread);
    held->has_stopped = tracing_wait_stopped(held->thread, deadline_ns);
    if (!held->has_stopped && !has_ended(still->borrowed->memory->pid, name))
      return false;
  }
  return true;
}

/* Only who runs makes new threads: once there are none, there will be none. */
static bool stop_all(struct standstill *still)
{
  bool found = true;
  while (found) {
    guint first = still->seized->len;
    if (!seize_new(still, &found) || !stop_from(still, first)) {
      still->why = "one of its threads does not stop";
      return false;
    }
  }
  return true;
}

static void let_go(const struct standstill *still)
{
  for (guint i = 0; i < still->seized->len; i++)
    if (held_at(still, i)->has_stopped)
      tracing_release(held_at(still, i)->thread);
    else
      tracing_release_later(held_at(still, i)->thread);
  g_array_set_size(still->seized, 0);
}

static bool is_within(const struct standstill *still, uint64_t address)
{
  for (unsigned i = 0; i < still->count; i++)
    if (address - still->changes[i].address - 1 < (uint64_t)still->changes[i].bytes - 1)
      return true;
  return false;
}

static bool stack_holds(const struct standstill *still, uint64_t sp)
{
  const struct memory *memory = still->borrowed->memory;
  const struct memory_mapping *mapping = memory_mapping_at(memory, sp);
  g_autofree uint64_t *words = g_malloc(PIECE_BYTES);
  uint64_t from = sp & ~UINT64_C(7), end = mapping != NULL ? MIN(mapping->limit, from + STACK_MAX_BYTES) : from;
  for (size_t bytes; from < end; from += bytes) {
    bytes = MIN(end - from, PIECE_BYTES);
    if (!memory_read(memory, from, words, bytes))
      return false;
    for (size_t i = 0; i < bytes / sizeof *words; i++)
      if (is_within(still, words[i]))
        return true;
  }
  return false;
}

/* A child of vfork, or of clone with CLONE_VM, executes the same code, and does not stand still. */
static bool is_shared(const struct standstill *still)
{
  int pid = still->borrowed->memory->pid;
  GDir *folder = g_dir_open("/proc", 0, NULL);
  const char *name;
  bool is_found = false;
  while (folder != NULL && !is_found && (name = g_dir_read_name(folder)) != NULL) {
    int other = g_ascii_isdigit(name[0]) ? atoi(name) : pid;
    is_found = other != pid && syscall(SYS_kcmp, pid, other, KCMP_VM, 0, 0) == 0;
  }
  if (folder != NULL)
    g_dir_close(folder);
  return is_found;
}

static bool is_clear(struct standstill *still)
{
  still->why = "it shares its memory with another process";
  if (is_shared(still))
    return false;
  const struct user_regs_struct *own = &still->borrowed->state.registers;
  still->why = "one of its threads was always in the allocator's first instructions";
  if (!memory_refresh(still->borrowed->memory) || is_within(still, machine_pc(own)) ||
      stack_holds(still, machine_sp(own)))
    return false;
  for (guint i = 0; i < still->seized->len; i++) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, held_at(still, i)->thread, NULL, &registers) != 0)
      continue; /* it has ended */
    if (is_within(still, machine_pc(&registers)) || stack_holds(still, machine_sp(&registers)))
      return false;
  }
  return true;
}

/* What was changed by an attempt that did not come to its end is as it shall be. */
static bool is_as_expected(struct standstill *still, const struct attachment_change *change)
{
  uint8_t there[ATTACHMENT_CHANGE_BYTES];
  still->why = "its code was changed by somebody else";
  return change->bytes <= sizeof there && memory_read(still->borrowed->memory, change->address, there, change->bytes) &&
         (memcmp(there, change->now, change->bytes) == 0 || memcmp(there, change->then, change->bytes) == 0);
}

static bool are_as_expected(struct standstill *still)
{
  for (unsigned i = 0; i < still->count; i++)
    if (!is_as_expected(still, &still->changes[i]))
      return false;
  return true;
}

static bool write_all(struct standstill *still)
{
  still->why = "its code can't be written";
  for (unsigned i = 0; i < still->count; i++) {
    moment_passes();
    if (!memory_write(still->borrowed->memory, still->changes[i].address, still->changes[i].then,
                      still->changes[i].bytes))
      return false;
  }
  moment_passes();
  return true;
}

bool standstill_change(const struct borrowed *borrowed, const struct attachment_change *changes, unsigned count,
                       uint64_t *stood_ns, GError **error)
{
  struct standstill still = {.borrowed = borrowed, .changes = changes, .count = count, .why = NULL};
  still.seized = g_array_new(FALSE, FALSE, sizeof(struct held));
  bool is_done = false, may_go_on = true;
  int failed_stops = 0;
  *stood_ns = 0;
  for (int attempt = 0; attempt < ATTEMPTS && !is_done && may_go_on; attempt++) {
    uint64_t began = tracing_now_ns();
    still.stop_ns = MIN(SHORTEST_STOP_NS << failed_stops, LONGEST_STOP_NS);
    bool stands = stop_all(&still);
    if (stands && is_clear(&still)) {
      is_done = are_as_expected(&still) && write_all(&still);
      may_go_on = is_done;
    }
    let_go(&still);
    *stood_ns += tracing_now_ns() - began;
    may_go_on = may_go_on && (stands || ++failed_stops < ATTEMPTS_TO_STOP);
    if (!is_done && may_go_on)
      (void)nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
    tracing_end(tracing_now_ns() + LONGEST_STOP_NS);
  }
  g_array_free(still.seized, TRUE);
  if (!is_done)
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "process %d: %s; nothing was changed", borrowed->memory->pid,
                still.why);
  return is_done;
}
