/* SPDX-License-Identifier: MIT */
#include "tools/attach/others.h"

#include "tools/attach/machine.h"
#include "tools/attach/task.h"
#include "tools/attach/tracing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  STATUS_BYTES = 8192,
  CALL_BYTES = 512,
  RUNS_BYTES = 80,
  PAGE_BYTES = 4096,
  STACK_MAX_BYTES = 256 << 10,
  PAUSE_NS = 200000,
  PAUSE_AHEAD_NS = 1000000,
};

#define NS_PER_MS UINT64_C(1000000)
/* These are reached where nobody gets a processor. */
#define STOP_NS (300 * NS_PER_MS)
#define LOOK_NS (100 * NS_PER_MS)
/* Nobody stands still for these. Where threads sleep and run in turn no more will be known. */
#define AHEAD_NS (300 * NS_PER_MS)
#define AHEAD_AGAIN_NS (20 * NS_PER_MS)

/* Of a thread. As long as it has not slept, it is in no call that it was woken in; as long as it has not run, it sleeps
 * where it was seen. */
struct seen {
  uint64_t sleeps, run_ns;
  char runs[RUNS_BYTES]; /* "": it did not sleep, or in a handler */
  int schedstat, call;   /* descriptors of its files; -1: none */
};

struct range {
  uint64_t start, limit;
};

struct others {
  const struct memory *memory;
  struct places *places;
  GArray *code;        /* struct range, in order */
  GHashTable *returns; /* address of code -> is it where handlers return to? */
  GHashTable *seen;    /* thread -> struct seen * */
  rlim_t files_left;   /* that may be kept open */
  bool is_ahead;       /* nobody is borrowed yet */
  bool waits_for_turn; /* a thread that computes had no processor since the look before */
};

/* Of a thread. IS_UNKNOWN: look again. */
enum finding { IS_FINE, IS_TO_STOP, IS_UNKNOWN, IS_BAD };

static const char too_slow[] = "could not be looked at in time";

struct other {
  pid_t thread;
  enum finding finding;
};

struct status {
  char state;
  uint64_t pending, blocked, sleeps;
};

static void close_file(int *file)
{
  if (*file >= 0)
    close(*file);
  *file = -1;
}

static void free_seen(void *value)
{
  struct seen *seen = value;
  close_file(&seen->schedstat);
  close_file(&seen->call);
  g_free(seen);
}

/* As many as we may have, but for some for others. */
static rlim_t files_to_keep(void)
{
  enum { FOR_OTHERS = 256 };
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return 0;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > FOR_OTHERS ? limit.rlim_cur - FOR_OTHERS : 0;
}

struct others *others_new(const struct memory *memory, struct places *places)
{
  struct others *others = g_new0(struct others, 1);
  *others = (struct others){.memory = memory, .places = places};
  others->code = g_array_new(FALSE, FALSE, sizeof(struct range));
  others->returns = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  others->seen = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, free_seen);
  others->files_left = files_to_keep();
  return others;
}

void others_free(struct others *others)
{
  if (others == NULL)
    return;
  g_array_free(others->code, TRUE);
  g_hash_table_destroy(others->returns);
  g_hash_table_destroy(others->seen);
  g_free(others);
}

/* False: it has ended. */
static bool read_status(const struct others *others, pid_t thread, struct status *status)
{
  char text[STATUS_BYTES];
  const char *state =
      task_read_text(others->memory->pid, thread, "status", text, sizeof text) ? strstr(text, "\nState:\t") : NULL;
  if (state == NULL)
    return false;
  *status = (struct status){.state = state[strlen("\nState:\t")],
                            .pending = task_number_in(text, "\nSigPnd:", 16) | task_number_in(text, "\nShdPnd:", 16),
                            .blocked = task_number_in(text, "\nSigBlk:", 16),
                            .sleeps = task_number_in(text, "\nvoluntary_ctxt_switches:", 10)};
  return strchr("ZX", status->state) == NULL;
}

/* By a descriptor that is kept: to open a file of /proc takes several times as long as to read it. One of a thread that
 * has ended gives nothing, also where another thread has its number. */
static bool read_kept(struct others *others, int *file, pid_t thread, const char *name, char *text, size_t size)
{
  if (*file < 0 && others->files_left > 0 && (*file = task_open(others->memory->pid, thread, name)) >= 0)
    others->files_left--;
  ssize_t bytes = *file >= 0 ? pread(*file, text, size - 1, 0) : -1;
  if (bytes <= 0) {
    others->files_left += *file >= 0;
    close_file(file);
    return task_read_text(others->memory->pid, thread, name, text, size);
  }
  text[bytes] = '\0';
  return true;
}

static bool will_enter_handler(const struct status *status)
{
  return (status->pending & ~status->blocked) != 0;
}

static void note_code(struct others *others)
{
  g_array_set_size(others->code, 0);
  for (guint i = 0; i < others->memory->mappings->len; i++) {
    const struct memory_mapping *mapping = &g_array_index(others->memory->mappings, struct memory_mapping, i);
    struct range range = {mapping->start, mapping->limit};
    if (mapping->is_executable)
      g_array_append_val(others->code, range);
  }
}

static bool is_code(const struct others *others, uint64_t address)
{
  guint low = 0, high = others->code->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    const struct range *range = &g_array_index(others->code, struct range, middle);
    if (address >= range->start && address < range->limit)
      return true;
    if (address < range->start)
      high = middle;
    else
      low = middle + 1;
  }
  return false;
}

/* libc has one, and so may others. */
static bool is_return(struct others *others, uint64_t address)
{
  gpointer known;
  uint8_t bytes[sizeof machine_restore_code];
  if (!is_code(others, address))
    return false;
  if (g_hash_table_lookup_extended(others->returns, &address, NULL, &known))
    return GPOINTER_TO_INT(known) != 0;
  bool is = memory_read(others->memory, address, bytes, sizeof bytes) &&
            memcmp(bytes, machine_restore_code, sizeof bytes) == 0;
  g_hash_table_insert(others->returns, g_memdup2(&address, sizeof address), GINT_TO_POINTER(is));
  return is;
}

/* Page by page: what lies behind the stack can't be read, which /proc/PID/mem would do. */
static size_t read_stack(const struct others *others, uint64_t from, uint64_t *words, size_t bytes)
{
  struct iovec pages[STACK_MAX_BYTES / PAGE_BYTES], ours = {words, bytes};
  size_t count = 0;
  for (size_t left = bytes, size; left > 0; left -= size, from += size) {
    size = MIN(left, PAGE_BYTES - from % PAGE_BYTES);
    pages[count++] = (struct iovec){(void *)(uintptr_t)from, size}; /* NOLINT(performance-no-int-to-ptr) */
  }
  ssize_t got = process_vm_readv(others->memory->pid, &ours, 1, pages, count, 0);
  return got > 0 ? (size_t)got : 0;
}

/* The frame of a handler is near: what a handler calls is little. */
static bool has_return(struct others *others, uint64_t sp)
{
  uint64_t words[STACK_MAX_BYTES / sizeof(uint64_t)];
  sp &= ~(sizeof *words - 1);
  size_t bytes = read_stack(others, sp, words, sizeof words - sp % PAGE_BYTES);
  for (size_t i = 0; i < bytes / sizeof *words; i++)
    if (is_return(others, words[i]))
      return true;
  return false;
}

/* Of a text of /proc/PID/task/TID/syscall: what comes before the last word. */
static uint64_t sp_in(const char *text)
{
  const char *pc = strrchr(text, ' '), *sp = pc;
  while (sp != NULL && sp > text && *--sp != ' ')
    ;
  return sp != NULL ? strtoull(sp, NULL, 16) : 0;
}

static enum finding tell(const char **why, pid_t thread, const char *what)
{
  g_autofree char *text = g_strdup_printf("that waits in a signal handler, %d, %s", (int)thread, what);
  *why = g_intern_string(text);
  return IS_BAD;
}

/* A signal that came before the stop may not be delivered yet. */
static enum finding look_at_stopped(struct others *others, pid_t thread, const char **why)
{
  struct user_regs_struct registers;
  struct status status;
  if (ptrace(PTRACE_GETREGS, thread, NULL, &registers) != 0 || !read_status(others, thread, &status) ||
      will_enter_handler(&status))
    return IS_UNKNOWN;
  if (!has_return(others, machine_sp(&registers)))
    return IS_FINE;
  const char *what = places_why_not_interrupted(others->places, thread);
  return what == NULL ? IS_FINE : tell(why, thread, what);
}

/* Threads of the kernel's own (io_uring) are in the list, and come to no handler. */
static enum finding begin_stop(const struct others *others, pid_t thread)
{
  if (!tracing_seize(thread))
    return errno == EPERM && task_is_of_kernel(others->memory->pid, thread) ? IS_FINE : IS_UNKNOWN;
  if (tracing_interrupt(thread))
    return IS_TO_STOP;
  tracing_release_later(thread);
  return IS_UNKNOWN;
}

/* One whose look was ahead stays ours: that says later, without a stop, whether it has entered a handler since. */
static enum finding look_once_stopped(struct others *others, pid_t thread, const char **why)
{
  enum finding finding = look_at_stopped(others, thread, why);
  if (others->is_ahead && finding == IS_FINE)
    tracing_watch(thread);
  else
    tracing_release(thread);
  return finding;
}

/* What is pending is asked first: what is not any more has come to us by then. */
static enum finding look_at_watched(const struct others *others, pid_t thread)
{
  struct status status;
  if (!read_status(others, thread, &status))
    return IS_FINE;
  return !will_enter_handler(&status) && tracing_was_quiet(thread) ? IS_FINE : IS_UNKNOWN;
}

static enum finding look_at_sleeping(struct others *others, pid_t thread, uint64_t sp, const char **why)
{
  if (!has_return(others, sp))
    return IS_FINE;
  const char *what = task_why_not_for_now(others->memory->pid, thread, TASK_GOES_ON);
  return what == NULL ? IS_TO_STOP : tell(why, thread, what);
}

static struct seen *seen_of(struct others *others, pid_t thread)
{
  struct seen *seen = g_hash_table_lookup(others->seen, GINT_TO_POINTER(thread));
  if (seen == NULL) {
    seen = g_new0(struct seen, 1);
    seen->schedstat = seen->call = -1;
    g_hash_table_insert(others->seen, GINT_TO_POINTER(thread), seen);
  }
  return seen;
}

/* It may have been woken in a transfer, and have no processor yet. */
static enum finding look_at_running(struct others *others, pid_t thread, const struct status *status, struct seen *seen)
{
  uint64_t run_ns = task_run_ns(others->memory->pid, thread);
  if (seen->run_ns != 0 && seen->sleeps == status->sleeps) {
    others->waits_for_turn = others->waits_for_turn || seen->run_ns == run_ns;
    return seen->run_ns < run_ns ? IS_TO_STOP : IS_UNKNOWN;
  }
  seen->sleeps = status->sleeps;
  seen->run_ns = run_ns;
  return IS_UNKNOWN;
}

static bool is_running(const char *call)
{
  return strncmp(call, "running", 7) == 0;
}

/* What is pending is asked first: what is not any more has made its frame by then. */
static enum finding look_anew(struct others *others, pid_t thread, struct seen *seen, const char *runs,
                              const char **why)
{
  char call[CALL_BYTES];
  struct status status;
  if (!read_status(others, thread, &status))
    return IS_FINE;
  if (will_enter_handler(&status) || !read_kept(others, &seen->call, thread, "syscall", call, sizeof call))
    return IS_UNKNOWN;
  if (is_running(call))
    return look_at_running(others, thread, &status, seen);
  enum finding finding = look_at_sleeping(others, thread, sp_in(call), why);
  if (finding == IS_FINE && status.state == 'S')
    g_strlcpy(seen->runs, runs, sizeof seen->runs);
  return finding;
}

/* A signal that it does not block would have woken it. */
static bool sleeps_as_seen(struct others *others, pid_t thread, struct seen *seen, const char *runs)
{
  char call[CALL_BYTES];
  return seen->runs[0] != '\0' && strcmp(seen->runs, runs) == 0 &&
         read_kept(others, &seen->call, thread, "syscall", call, sizeof call) && !is_running(call);
}

static enum finding look_at(struct others *others, pid_t thread, const char **why)
{
  char runs[RUNS_BYTES];
  *why = too_slow;
  if (tracing_watches(thread))
    return look_at_watched(others, thread);
  struct seen *seen = seen_of(others, thread);
  (void)read_kept(others, &seen->schedstat, thread, "schedstat", runs, sizeof runs);
  return sleeps_as_seen(others, thread, seen, runs) ? IS_FINE : look_anew(others, thread, seen, runs, why);
}

static enum finding worst_of(const struct other *list, guint count)
{
  enum finding worst = IS_FINE;
  for (guint i = 0; i < count; i++)
    worst = MAX(worst, list[i].finding);
  return worst;
}

/* Each when it has stopped, so that none stands still while we wait for another. False: some have not yet. */
static bool look_at_those_that_stopped(struct others *others, struct other *list, guint count, const char **why)
{
  bool are_all = true;
  for (guint i = 0; i < count; i++) {
    if (list[i].finding != IS_TO_STOP)
      continue;
    enum tracing_stop stop = tracing_look_stopped(list[i].thread);
    if (stop == TRACING_STOPPED)
      list[i].finding = look_once_stopped(others, list[i].thread, why);
    else if (stop == TRACING_GONE)
      list[i].finding = IS_UNKNOWN;
    are_all = are_all && stop != TRACING_NOT_YET;
  }
  return are_all;
}

/* All at the same time, as one may wait for the processor of another. */
static void stop_and_look(struct others *others, struct other *list, guint count, const char **why)
{
  for (guint i = 0; i < count; i++)
    if (list[i].finding == IS_TO_STOP)
      list[i].finding = begin_stop(others, list[i].thread);
  uint64_t deadline_ns = tracing_now_ns() + STOP_NS;
  while (!look_at_those_that_stopped(others, list, count, why) && tracing_now_ns() < deadline_ns)
    tracing_wait_a_little();
  for (guint i = 0; i < count; i++)
    if (list[i].finding == IS_TO_STOP) {
      tracing_release_later(list[i].thread);
      list[i].finding = IS_UNKNOWN;
    }
}

/* Those that are fine stay so: a signal that comes later is not from the borrowed thread. */
static enum finding look_at_all(struct others *others, struct other *list, guint count, const char **why)
{
  for (guint i = 0; i < count; i++) {
    if (list[i].finding != IS_FINE)
      list[i].finding = look_at(others, list[i].thread, why);
    if (list[i].finding == IS_BAD)
      return IS_BAD;
  }
  stop_and_look(others, list, count, why);
  return worst_of(list, count);
}

/* What is bad now may be better then. The first thread is never kept: as long as it is ours, signals that the process
 * ignores interrupt the calls of others. */
static bool look_at_rest_ahead(struct others *others, struct other *list, guint count)
{
  uint64_t deadline_ns = tracing_now_ns() + AHEAD_NS;
  const char *why;
  bool are_known = true;
  others->waits_for_turn = false;
  for (guint i = 0; i < count && tracing_now_ns() < deadline_ns; i++) {
    if (list[i].finding == IS_UNKNOWN)
      list[i].finding = look_at(others, list[i].thread, &why);
    if (list[i].finding == IS_TO_STOP && list[i].thread == others->memory->pid)
      list[i].finding = IS_FINE;
  }
  stop_and_look(others, list, count, &why);
  for (guint i = 0; i < count; i++)
    are_known = are_known && list[i].finding != IS_UNKNOWN;
  return are_known;
}

static struct other *list_without(GArray *threads, pid_t borrowed, guint *count)
{
  struct other *list = g_new(struct other, threads->len);
  *count = 0;
  for (guint i = 0; i < threads->len; i++)
    if (g_array_index(threads, pid_t, i) != borrowed)
      list[(*count)++] = (struct other){g_array_index(threads, pid_t, i), IS_UNKNOWN};
  return list;
}

void others_look_ahead(struct others *others)
{
  enum { NOBODY = 0 };
  g_autoptr(GArray) threads = task_threads(others->memory->pid);
  guint count;
  g_autofree struct other *list = list_without(threads, NOBODY, &count);
  note_code(others);
  others->is_ahead = true;
  bool are_known = look_at_rest_ahead(others, list, count);
  uint64_t since_ns = tracing_now_ns();
  while (!are_known && tracing_now_ns() - since_ns < (others->waits_for_turn ? AHEAD_NS : AHEAD_AGAIN_NS)) {
    tracing_pause(PAUSE_AHEAD_NS);
    are_known = look_at_rest_ahead(others, list, count);
  }
  others->is_ahead = false;
}

const char *others_why_not(struct others *others, pid_t borrowed)
{
  uint64_t deadline_ns = tracing_now_ns() + LOOK_NS;
  g_autoptr(GArray) threads = task_threads(others->memory->pid);
  guint count;
  g_autofree struct other *list = list_without(threads, borrowed, &count);
  const char *why = NULL;
  enum finding finding;
  note_code(others);
  while ((finding = look_at_all(others, list, count, &why)) == IS_UNKNOWN && tracing_now_ns() < deadline_ns)
    tracing_pause(PAUSE_NS);
  return finding == IS_FINE ? NULL : why;
}
