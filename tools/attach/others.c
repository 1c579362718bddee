/* SPDX-License-Identifier: MIT */
#include "tools/attach/others.h"

#include "tools/attach/machine.h"
#include "tools/attach/task.h"
#include "tools/attach/tracing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <time.h>

enum {
  STATUS_BYTES = 8192,
  CALL_BYTES = 512,
  RUNS_BYTES = 80,
  PAGE_BYTES = 4096,
  STACK_MAX_BYTES = 256 << 10,
  PAUSE_NS = 200000
};

#define NS_PER_MS UINT64_C(1000000)
/* These are reached where nobody gets a processor. */
#define STOP_NS (300 * NS_PER_MS)
#define LOOK_NS (100 * NS_PER_MS)
#define AHEAD_NS (300 * NS_PER_MS)

/* Of a thread. As long as it has not slept, it is in no call that it was woken in; as long as it has not run, it sleeps
 * where it was seen. */
struct seen {
  uint64_t sleeps, run_ns;
  char runs[RUNS_BYTES]; /* "": it did not sleep, or in a handler */
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
};

/* Of a thread. IS_UNKNOWN: look again. */
enum finding { IS_FINE, IS_TO_STOP, IS_UNKNOWN, IS_BAD };

struct other {
  pid_t thread;
  enum finding finding;
};

struct status {
  char state;
  uint64_t pending, blocked, sleeps;
};

struct others *others_new(const struct memory *memory, struct places *places)
{
  struct others *others = g_new0(struct others, 1);
  *others = (struct others){.memory = memory, .places = places};
  others->code = g_array_new(FALSE, FALSE, sizeof(struct range));
  others->returns = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  others->seen = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
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

static enum finding look_once_stopped(struct others *others, pid_t thread, uint64_t deadline_ns, const char **why)
{
  if (!tracing_wait_stopped(thread, deadline_ns)) {
    tracing_release_later(thread);
    return IS_UNKNOWN;
  }
  enum finding finding = look_at_stopped(others, thread, why);
  tracing_release(thread);
  return finding;
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
    g_hash_table_insert(others->seen, GINT_TO_POINTER(thread), seen);
  }
  return seen;
}

/* It may have been woken in a transfer, and have no processor yet. */
static enum finding look_at_running(const struct others *others, pid_t thread, const struct status *status,
                                    struct seen *seen)
{
  uint64_t run_ns = task_run_ns(others->memory->pid, thread);
  if (seen->run_ns != 0 && seen->sleeps == status->sleeps)
    return seen->run_ns < run_ns ? IS_TO_STOP : IS_UNKNOWN;
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
  *why = "could not be looked at in time";
  if (will_enter_handler(&status) || !task_read_text(others->memory->pid, thread, "syscall", call, sizeof call))
    return IS_UNKNOWN;
  if (is_running(call))
    return look_at_running(others, thread, &status, seen);
  enum finding finding = look_at_sleeping(others, thread, sp_in(call), why);
  if (finding == IS_FINE && status.state == 'S')
    g_strlcpy(seen->runs, runs, sizeof seen->runs);
  return finding;
}

/* A signal that it does not block would have woken it. */
static bool sleeps_as_seen(const struct others *others, pid_t thread, const struct seen *seen, const char *runs)
{
  char call[CALL_BYTES];
  return seen->runs[0] != '\0' && strcmp(seen->runs, runs) == 0 &&
         task_read_text(others->memory->pid, thread, "syscall", call, sizeof call) && !is_running(call);
}

static enum finding look_at(struct others *others, pid_t thread, const char **why)
{
  char runs[RUNS_BYTES];
  struct seen *seen = seen_of(others, thread);
  (void)task_read_text(others->memory->pid, thread, "schedstat", runs, sizeof runs);
  return sleeps_as_seen(others, thread, seen, runs) ? IS_FINE : look_anew(others, thread, seen, runs, why);
}

static enum finding worst_of(const struct other *others, guint count)
{
  enum finding worst = IS_FINE;
  for (guint i = 0; i < count; i++)
    worst = MAX(worst, others[i].finding);
  return worst;
}

/* All at the same time, as one may wait for the processor of another. */
static void stop_and_look(struct others *others, struct other *list, guint count, const char **why)
{
  for (guint i = 0; i < count; i++)
    if (list[i].finding == IS_TO_STOP)
      list[i].finding = begin_stop(others, list[i].thread);
  uint64_t deadline_ns = tracing_now_ns() + STOP_NS;
  for (guint i = 0; i < count; i++)
    if (list[i].finding == IS_TO_STOP)
      list[i].finding = look_once_stopped(others, list[i].thread, deadline_ns, why);
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
  uint64_t deadline_ns = tracing_now_ns() + AHEAD_NS;
  g_autoptr(GArray) threads = task_threads(others->memory->pid);
  const char *why;
  note_code(others);
  for (guint i = 0; i < threads->len && tracing_now_ns() < deadline_ns; i++)
    (void)look_at(others, g_array_index(threads, pid_t, i), &why);
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
    (void)nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
  return finding == IS_FINE ? NULL : why;
}
