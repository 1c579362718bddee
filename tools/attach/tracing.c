/* SPDX-License-Identifier: MIT */
#include "tools/attach/tracing.h"

#include "tools/attach/machine.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NS_PER_S = 1000000000, PAUSE_NS = 1000000 };

uint64_t tracing_now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static bool is_interruption(int status)
{
  return status >> 16 == PTRACE_EVENT_STOP;
}

static bool is_call(int status)
{
  return WSTOPSIG(status) == (SIGTRAP | 0x80);
}

/* A stop for a signal is passed on with it, any other without. */
static int signal_of(int status)
{
  return is_interruption(status) || is_call(status) || status >> 16 != 0 ? 0 : WSTOPSIG(status);
}

/* Nobody ends it where its parent is killed: it would keep open what it has from there, such as a pipe. */
static _Noreturn void be_there(pid_t parent)
{
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
    _exit(1);
  for (;;)
    (void)pause();
}

bool tracing_is_allowed(void)
{
  pid_t parent = getpid(), child = fork();
  if (child == 0)
    be_there(parent);
  bool is_allowed = child > 0 && ptrace(PTRACE_SEIZE, child, NULL, NULL) == 0;
  int number = errno;
  if (child > 0) {
    (void)kill(child, SIGKILL);
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
      ;
  }
  errno = number;
  return is_allowed;
}

/* Threads that go on, and are ours all the same. */
struct watch {
  pid_t thread;
  bool is_in_hands; /* it was asked to stop, and somebody waits for that */
  bool was_quiet;   /* no signal has come to it */
};

enum { WATCHES_MAX = 128 };

static GArray *watches; /* struct watch */

static struct watch *watch_of(pid_t thread)
{
  for (guint i = 0; watches != NULL && i < watches->len; i++)
    if (g_array_index(watches, struct watch, i).thread == thread)
      return &g_array_index(watches, struct watch, i);
  return NULL;
}

static void end_watch(struct watch *watch)
{
  if (watch != NULL)
    g_array_remove_index_fast(watches, (guint)(watch - &g_array_index(watches, struct watch, 0)));
}

void tracing_end_watch(pid_t thread)
{
  end_watch(watch_of(thread));
}

static void note_signal(pid_t thread)
{
  struct watch *watch = watch_of(thread);
  if (watch != NULL)
    watch->was_quiet = false;
}

/* A signal is passed on at once, and ends the watch: a second one would have to wait for us again. */
static void attend(struct watch *watch)
{
  int status;
  pid_t found = watch->is_in_hands ? 0 : waitpid(watch->thread, &status, __WALL | WNOHANG);
  if (found == 0)
    return;
  if (found == watch->thread && WIFSTOPPED(status))
    (void)ptrace(PTRACE_DETACH, watch->thread, NULL, (void *)(long)signal_of(status));
  end_watch(watch);
}

/* One whose process has been stopped meanwhile would run all the same: only who is let go is stopped with it. */
static bool is_of_stopped_process(pid_t thread)
{
  siginfo_t info;
  return ptrace(PTRACE_GETSIGINFO, thread, NULL, &info) == 0 && info.si_signo != SIGTRAP;
}

static bool goes_on_watched(pid_t thread)
{
  return !is_of_stopped_process(thread) && ptrace(PTRACE_CONT, thread, NULL, NULL) == 0;
}

static void mend(pid_t thread)
{
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, thread, NULL, &registers) == 0 && machine_mend_interruption(&registers))
    (void)ptrace(PTRACE_SETREGS, thread, NULL, &registers);
}

void tracing_release(pid_t thread)
{
  struct watch *watch = watch_of(thread);
  mend(thread);
  if (watch != NULL && watch->was_quiet && goes_on_watched(thread)) {
    watch->is_in_hands = false;
    return;
  }
  end_watch(watch);
  (void)ptrace(PTRACE_DETACH, thread, NULL, NULL);
}

void tracing_watch(pid_t thread)
{
  struct watch watch = {.thread = thread, .was_quiet = true};
  if (watches == NULL)
    watches = g_array_new(FALSE, FALSE, sizeof watch);
  if (watch_of(thread) == NULL && watches->len < WATCHES_MAX)
    g_array_append_val(watches, watch);
  tracing_release(thread);
}

/* Threads that are to be released once they have stopped. */
static GArray *owed; /* pid_t */

static void pay(void)
{
  for (guint i = owed != NULL ? owed->len : 0; i-- > 0;) {
    pid_t thread = g_array_index(owed, pid_t, i);
    enum tracing_stop stop = tracing_look_stopped(thread);
    if (stop == TRACING_NOT_YET)
      continue;
    if (stop == TRACING_STOPPED)
      tracing_release(thread);
    else
      tracing_end_watch(thread);
    g_array_remove_index_fast(owed, i);
  }
}

static void see_to_all(void)
{
  pay();
  for (guint i = watches != NULL ? watches->len : 0; i-- > 0;)
    attend(&g_array_index(watches, struct watch, i));
}

bool tracing_watches(pid_t thread)
{
  return watch_of(thread) != NULL;
}

bool tracing_was_quiet(pid_t thread)
{
  pay();
  struct watch *watch = watch_of(thread);
  if (watch != NULL)
    attend(watch);
  watch = watch_of(thread);
  return watch != NULL && watch->was_quiet;
}

static bool is_owed(pid_t thread)
{
  for (guint i = 0; owed != NULL && i < owed->len; i++)
    if (g_array_index(owed, pid_t, i) == thread)
      return true;
  return false;
}

static _Atomic uint64_t *asks_since_ns;

static void map_asking(void)
{
  void *memory = mmap(NULL, sizeof *asks_since_ns, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  asks_since_ns = memory != MAP_FAILED ? memory : NULL;
}

bool tracing_share(void)
{
  if (asks_since_ns == NULL)
    map_asking();
  return asks_since_ns != NULL;
}

uint64_t tracing_asks_since_ns(void)
{
  return asks_since_ns != NULL ? atomic_load(asks_since_ns) : 0;
}

static void note_asking(uint64_t since_ns)
{
  if (asks_since_ns != NULL)
    atomic_store(asks_since_ns, since_ns);
}

bool tracing_seize(pid_t thread)
{
  see_to_all();
  errno = EBUSY;
  if (is_owed(thread))
    return false;
  struct watch *watch = watch_of(thread);
  if (watch != NULL)
    return watch->is_in_hands = true;
  note_asking(tracing_now_ns());
  bool is_seized = ptrace(PTRACE_SEIZE, thread, NULL, (void *)(long)PTRACE_O_TRACESYSGOOD) == 0;
  note_asking(0);
  return is_seized;
}

void tracing_release_later(pid_t thread)
{
  (void)tracing_interrupt(thread);
  if (owed == NULL)
    owed = g_array_new(FALSE, FALSE, sizeof(pid_t));
  if (!is_owed(thread))
    g_array_append_val(owed, thread);
}

bool tracing_interrupt(pid_t thread)
{
  return ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) == 0;
}

/* Until one of them stops: the signal is blocked (quiet.h), and kept as long as nobody waits for it. */
static void pause_a_little(long at_most_ns)
{
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGCHLD);
  (void)sigtimedwait(&wanted, NULL, &(struct timespec){0, at_most_ns});
}

void tracing_wait_a_little(void)
{
  see_to_all();
  pause_a_little(PAUSE_NS);
}

void tracing_pause(uint64_t nanoseconds)
{
  uint64_t deadline_ns = tracing_now_ns() + nanoseconds;
  for (uint64_t now_ns; (now_ns = tracing_now_ns()) < deadline_ns; see_to_all())
    pause_a_little((long)MIN(deadline_ns - now_ns, PAUSE_NS));
}

static bool wait_for(pid_t thread, uint64_t deadline_ns, int *status)
{
  for (;;) {
    pid_t found = waitpid(thread, status, __WALL | WNOHANG);
    if (found == thread)
      return WIFSTOPPED(*status);
    if (found < 0 && errno != EINTR)
      return false;
    if (tracing_now_ns() > deadline_ns)
      return false;
    tracing_wait_a_little();
  }
}

void tracing_end(uint64_t deadline_ns)
{
  for (see_to_all(); owed != NULL && owed->len > 0 && tracing_now_ns() < deadline_ns; see_to_all())
    pause_a_little(PAUSE_NS);
}

enum tracing_stop tracing_look_stopped(pid_t thread)
{
  int status;
  for (;;) {
    pid_t found = waitpid(thread, &status, __WALL | WNOHANG);
    if (found == 0 || (found < 0 && errno == EINTR))
      return TRACING_NOT_YET;
    if (found != thread || !WIFSTOPPED(status))
      return TRACING_GONE;
    if (is_interruption(status))
      return TRACING_STOPPED;
    note_signal(thread);
    if (ptrace(PTRACE_CONT, thread, NULL, (void *)(long)signal_of(status)) != 0)
      return TRACING_GONE;
  }
}

bool tracing_wait_stopped(pid_t thread, uint64_t deadline_ns)
{
  enum tracing_stop stop;
  while ((stop = tracing_look_stopped(thread)) == TRACING_NOT_YET && tracing_now_ns() <= deadline_ns)
    tracing_wait_a_little();
  return stop == TRACING_STOPPED;
}

bool tracing_go_on_to_call(pid_t thread)
{
  return ptrace(PTRACE_SYSCALL, thread, NULL, NULL) == 0;
}

bool tracing_wait_call(pid_t thread, uint64_t deadline_ns)
{
  int status;
  while (wait_for(thread, deadline_ns, &status)) {
    if (is_call(status))
      return true;
    if (ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(long)signal_of(status)) != 0)
      return false;
  }
  return false;
}

bool tracing_go_on(pid_t thread)
{
  return ptrace(PTRACE_CONT, thread, NULL, NULL) == 0;
}

bool tracing_let_run(pid_t thread)
{
  enum { SHORT_PAUSE_NS = 100000 };
  int status;
  pid_t found = waitpid(thread, &status, __WALL | WNOHANG);
  if (found == 0) {
    tracing_pause(SHORT_PAUSE_NS);
    return true;
  }
  return found == thread && WIFSTOPPED(status) &&
         ptrace(PTRACE_CONT, thread, NULL, (void *)(long)signal_of(status)) == 0;
}

bool tracing_settle(pid_t thread, uint64_t deadline_ns)
{
  return tracing_interrupt(thread) && ptrace(PTRACE_CONT, thread, NULL, NULL) == 0 &&
         tracing_wait_stopped(thread, deadline_ns);
}
