/* SPDX-License-Identifier: MIT */
#include "tools/attach/tracing.h"

#include "tools/attach/machine.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

enum { NS_PER_S = 1000000000, PAUSE_NS = 30000 };

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

void tracing_release(pid_t thread)
{
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, thread, NULL, &registers) == 0 && machine_mend_interruption(&registers))
    (void)ptrace(PTRACE_SETREGS, thread, NULL, &registers);
  (void)ptrace(PTRACE_DETACH, thread, NULL, NULL);
}

/* Threads that are to be released once they have stopped. */
static GArray *owed; /* pid_t */

static void pay(void)
{
  for (guint i = owed != NULL ? owed->len : 0; i-- > 0;) {
    pid_t thread = g_array_index(owed, pid_t, i);
    int status;
    pid_t found = waitpid(thread, &status, __WALL | WNOHANG);
    bool has_stopped = found == thread && WIFSTOPPED(status);
    if (found == 0 || (has_stopped && !is_interruption(status) &&
                       ptrace(PTRACE_CONT, thread, NULL, (void *)(long)signal_of(status)) == 0))
      continue;
    if (has_stopped)
      tracing_release(thread);
    g_array_remove_index_fast(owed, i);
  }
}

static bool is_owed(pid_t thread)
{
  for (guint i = 0; owed != NULL && i < owed->len; i++)
    if (g_array_index(owed, pid_t, i) == thread)
      return true;
  return false;
}

bool tracing_seize(pid_t thread)
{
  pay();
  errno = EBUSY;
  return !is_owed(thread) && ptrace(PTRACE_SEIZE, thread, NULL, (void *)(long)PTRACE_O_TRACESYSGOOD) == 0;
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

/* What is between two looks is short, so they are many: a thread that stands still is what this is about. */
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
    pay();
    (void)nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
  }
}

void tracing_end(uint64_t deadline_ns)
{
  for (pay(); owed != NULL && owed->len > 0 && tracing_now_ns() < deadline_ns; pay())
    (void)nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
}

bool tracing_wait_stopped(pid_t thread, uint64_t deadline_ns)
{
  int status;
  while (wait_for(thread, deadline_ns, &status)) {
    if (is_interruption(status))
      return true;
    if (ptrace(PTRACE_CONT, thread, NULL, (void *)(long)signal_of(status)) != 0)
      return false;
  }
  return false;
}

bool tracing_go_to_call(pid_t thread, uint64_t deadline_ns)
{
  for (int signal = 0, status;; signal = signal_of(status)) {
    if (ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(long)signal) != 0 || !wait_for(thread, deadline_ns, &status))
      return false;
    if (is_call(status))
      return true;
  }
}

bool tracing_settle(pid_t thread, uint64_t deadline_ns)
{
  return tracing_interrupt(thread) && ptrace(PTRACE_CONT, thread, NULL, NULL) == 0 &&
         tracing_wait_stopped(thread, deadline_ns);
}
