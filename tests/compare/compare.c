/* SPDX-License-Identifier: MIT */
/* A library to preload: at some of a program's allocations the walker's stack is compared with that of libgcc's unwinder, frame by frame.
 *
 *   COMPARE_EVERY   how many allocations of a thread lie between two comparisons
 *   COMPARE_MOST    how many comparisons a process makes at most
 *   COMPARE_OUT     each process that ends adds a line to this file: its name, stacks compared, frames, stacks that differed, stacks that
 *                   the walker cut; what differed goes to FILE.PID
 *
 * A child that was forked compares nothing. */
#include "core/config.h"
#include "core/loader/loaded.h"
#include "core/modules.h"
#include "core/region.h"
#include "core/stacks.h"
#include "core/unwind.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>
#include <unwind.h>

EXPORT void *malloc(size_t size);
EXPORT void *calloc(size_t count, size_t size);
EXPORT void *realloc(void *pointer, size_t size);
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);

/* libgcc's stack begins with frames of this library. */
enum { FRAMES = CONFIG_DEPTH_MAX, OWN_FRAMES = 16, SHOWN = 20 };

struct backtrace {
  uintptr_t pcs[FRAMES + OWN_FRAMES];
  unsigned count;
};

static pid_t owner; /* 0: not ready */
static unsigned every, most;
static char out_path[1024];
static _Atomic unsigned compared, frames_compared, different, cut;
static __thread struct {
  unsigned calls;
  bool is_busy;
} thread __attribute__((tls_model("initial-exec")));

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *argument)
{
  struct backtrace *trace = argument;
  int is_interrupted = 0;
  uintptr_t ip = _Unwind_GetIPInfo(context, &is_interrupted);
  if (ip != 0 && trace->count < FRAMES + OWN_FRAMES)
    trace->pcs[trace->count++] = ip - !is_interrupted;
  return _URC_NO_REASON;
}

static unsigned walk(const struct unwind_start *start, struct walk_room *room, uint32_t *flags)
{
  struct stack_window window;
  struct trail *trail = stack_window_open(&window, start->sp) ? trail_take() : NULL;
  struct trail_cursor cursor = trail_begin(trail);
  unwind_walk(start, &window, &cursor, room, FRAMES, flags);
  trail_end(&cursor);
  unsigned count = unwind_record_rest(&cursor, room, FRAMES);
  trail_give_back(trail);
  return count;
}

/* In hexadecimal, with what lies there, into FILE.PID. */
static void show(const uintptr_t *ours, unsigned our_count, const uintptr_t *theirs, unsigned their_count)
{
  char path[1100], line[2000];
  snprintf(path, sizeof path, "%s.%d", out_path, (int)getpid());
  int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  for (unsigned i = 0; i < our_count || i < their_count; i++) {
    uintptr_t ours_here = i < our_count ? ours[i] : 0, theirs_here = i < their_count ? theirs[i] : 0;
    Dl_info info = {.dli_fname = "?", .dli_sname = "?"};
    (void)dladdr((void *)(theirs_here != 0 ? theirs_here : ours_here), &info);
    int bytes = snprintf(line, sizeof line, "%3u %#14lx %#14lx %s %s+%#lx %s\n", i, (unsigned long)ours_here,
                         (unsigned long)theirs_here, ours_here == theirs_here ? "  " : "!=", info.dli_fname,
                         (unsigned long)(theirs_here - (uintptr_t)info.dli_fbase),
                         info.dli_sname != NULL ? info.dli_sname : "");
    (void)!write(file, line, (size_t)bytes);
  }
  (void)!write(file, "\n", 1);
  close(file);
}

static NOINLINE void compare(const struct unwind_start *start)
{
  static __thread struct backtrace trace __attribute__((tls_model("global-dynamic")));
  static __thread struct walk_room room __attribute__((tls_model("global-dynamic")));
  uint32_t flags = 0;
  trace.count = 0;
  _Unwind_Backtrace(add_frame, &trace);
  unsigned count = walk(start, &room, &flags), first = 0;
  while (first < trace.count && trace.pcs[first] != start->return_address - 1)
    first++;
  unsigned theirs = trace.count - first < FRAMES ? trace.count - first : FRAMES;
  bool is_same = count == theirs && memcmp(room.pcs, trace.pcs + first, count * sizeof *room.pcs) == 0;
  if (!is_same && atomic_fetch_add(&different, 1) < SHOWN)
    show(room.pcs, count, trace.pcs + first, theirs);
  atomic_fetch_add(&cut, (flags & STACK_TRUNCATED) != 0 && count < FRAMES);
  atomic_fetch_add(&frames_compared, count);
}

static void may_compare(const struct unwind_start *start)
{
  if (owner == 0 || thread.is_busy || ++thread.calls < every)
    return;
  thread.calls = 0;
  thread.is_busy = true;
  int saved_errno = errno;
  if (getpid() == owner && atomic_fetch_add(&compared, 1) < most)
    compare(start);
  errno = saved_errno;
  thread.is_busy = false;
}

void *malloc(size_t size)
{
  struct unwind_start start = UNWIND_START_HERE();
  may_compare(&start);
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
  struct unwind_start start = UNWIND_START_HERE();
  may_compare(&start);
  return __libc_calloc(count, size);
}

void *realloc(void *pointer, size_t size)
{
  struct unwind_start start = UNWIND_START_HERE();
  may_compare(&start);
  return __libc_realloc(pointer, size);
}

static unsigned setting(const char *name)
{
  const char *value = getenv(name);
  return value != NULL ? (unsigned)atoi(value) : 1;
}

__attribute__((constructor)) static void begin(int count, char **arguments)
{
  static char executable[4096];
  struct config config;
  const char *out = getenv("COMPARE_OUT"), *state = getenv("COMPARE_STATE");
  (void)count;
  if (out == NULL || state == NULL || readlink("/proc/self/exe", executable, sizeof executable - 1) <= 0)
    return;
  thread.is_busy = true;
  strncpy(out_path, out, sizeof out_path - 1);
  config_set_defaults(&config);
  strncpy(config.state_dir, state, sizeof config.state_dir - 1);
  stack_bounds_init_main((uintptr_t)arguments);
  every = setting("COMPARE_EVERY");
  most = setting("COMPARE_MOST");
  if (region_create(&config, "compare", "libc.so.6")) {
    loaded_init(_dl_find_object, NULL, NULL);
    modules_init(executable);
    owner = getpid();
  }
  thread.is_busy = false;
}

__attribute__((destructor)) static void end(void)
{
  char line[300];
  unsigned done = atomic_load(&compared) < most ? atomic_load(&compared) : most;
  if (owner != getpid())
    return;
  int bytes = snprintf(line, sizeof line, "%s %u %u %u %u\n", program_invocation_short_name, done,
                       atomic_load(&frames_compared), atomic_load(&different), atomic_load(&cut));
  int file = open(out_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  (void)!write(file, line, (size_t)bytes);
  close(file);
  region_remove_file();
}
