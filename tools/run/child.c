/* SPDX-License-Identifier: MIT */
#include "tools/run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXEC_FAILED = 127 };

static sigset_t inherited_mask;
static struct sigaction inherited_child_action;

static const int stopping_signals[] = {SIGTSTP, SIGTTIN, SIGTTOU};

void child_prepare(void)
{
  /* Ignored by whoever started us, ended processes would vanish before their status is asked for. */
  struct sigaction usual = {.sa_handler = SIG_DFL};
  sigaction(SIGCHLD, &usual, &inherited_child_action);
  sigprocmask(SIG_SETMASK, NULL, &inherited_mask);
}

/* Starting. */

int child_become(const struct child_program *program)
{
  sigaction(SIGCHLD, &inherited_child_action, NULL);
  sigprocmask(SIG_SETMASK, &inherited_mask, NULL);
  /* A shell would read a program of another machine as a script. */
  (program->is_text ? execvpe : execve)(program->path, program->arguments, program->environment);
  return errno;
}

/* As long as we hold the pipe open, a reader of the program's output waits for us, too, and a writer is not told that
 * the program has closed its end. */
static void release_streams(void)
{
  int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere < 0)
    return;
  dup2(nowhere, STDIN_FILENO);
  dup2(nowhere, STDOUT_FILENO);
  if (nowhere > STDERR_FILENO)
    close(nowhere);
}

/* The other end is closed by a successful exec. */
static int read_failure(int pipe_end)
{
  int number = 0;
  ssize_t size;
  do
    size = read(pipe_end, &number, sizeof number);
  while (size < 0 && errno == EINTR);
  return size == (ssize_t)sizeof number ? number : 0;
}

pid_t child_start(const struct child_program *program, int *number)
{
  sigset_t all;
  int ends[2];
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  if (pipe2(ends, O_CLOEXEC) != 0) {
    *number = errno;
    return 0;
  }
  pid_t child = fork();
  *number = child < 0 ? errno : 0;
  if (child == 0) {
    int failure = child_become(program);
    (void)!write(ends[1], &failure, sizeof failure);
    _exit(EXEC_FAILED);
  }
  close(ends[1]);
  if (child > 0)
    *number = read_failure(ends[0]);
  close(ends[0]);
  if (*number == 0) {
    release_streams();
    return child;
  }
  if (child > 0)
    waitpid(child, NULL, 0);
  return 0;
}

/* Signals. */

/* Not what the program sends to its process group, and not our own. */
static bool was_sent_for(pid_t program, const siginfo_t *info)
{
  return info->si_pid != program && info->si_pid != getpid();
}

static bool is_for(pid_t program, const siginfo_t *info)
{
  if (info->si_signo == SIGCHLD)
    return false;
  if (info->si_code == SI_USER || info->si_code == SI_QUEUE || info->si_code == SI_TKILL)
    return was_sent_for(program, info);
  switch (info->si_signo) {
  case SIGALRM: /* timers outlive exec: they were set for the program */
  case SIGVTALRM:
  case SIGPROF: return true;
  case SIGHUP: /* the terminal goes away: the first process of the session is told, nobody else */
  case SIGCONT: return getsid(0) == getpid();
  default: return false;
  }
}

static void pass_on(pid_t program, const siginfo_t *info)
{
  if (!is_for(program, info))
    return;
  if (info->si_code == SI_QUEUE)
    sigqueue(program, info->si_signo, info->si_value);
  else
    kill(program, info->si_signo);
}

/* Is there a shell that waits for us to stop? Then its terminal is ours now, and it is not in our process group. */
static bool is_foreground_job(void)
{
  int terminal = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (terminal < 0)
    return false;
  bool is_foreground = tcgetpgrp(terminal) == getpgrp();
  close(terminal);
  return is_foreground && getsid(getppid()) == getsid(0) && getpgid(getppid()) != getpgrp();
}

/* Stops us by the signal that stopped the program, so that a shell says the same of us. Returns when we are continued;
 * at once where Linux sees nobody who could continue us. */
static void stop_by(int signal_number)
{
  sigset_t one;
  struct sigaction usual = {.sa_handler = SIG_DFL}, before;
  sigemptyset(&one);
  sigaddset(&one, signal_number);
  if (signal_number != SIGSTOP)
    sigaction(signal_number, &usual, &before);
  raise(signal_number);
  sigprocmask(SIG_UNBLOCK, &one, NULL);
  sigprocmask(SIG_BLOCK, &one, NULL);
  if (signal_number != SIGSTOP)
    sigaction(signal_number, &before, NULL);
}

/* SIGSTOP is also how someone stops the program alone, who would later continue it alone: then we do not stop, for
 * nobody would continue us. */
static void stop_with(pid_t program, int signal_number)
{
  static const struct timespec at_once = {0, 0};
  if (signal_number == SIGSTOP && !is_foreground_job())
    return;
  stop_by(signal_number);
  sigset_t continued;
  sigemptyset(&continued);
  sigaddset(&continued, SIGCONT);
  while (sigtimedwait(&continued, NULL, &at_once) > 0)
    continue;
  siginfo_t info = {.si_pid = 0};
  bool is_known = waitid(P_PID, (id_t)program, &info, WCONTINUED | WNOHANG) == 0;
  if (is_known && info.si_pid == 0) /* not continued: we were, alone */
    kill(program, SIGCONT);
}

/* True: the program has ended. */
static bool has_ended(pid_t program, struct child_end *end)
{
  struct rusage usage;
  while (wait4(program, &end->wait_status, WNOHANG | WUNTRACED, &usage) == program) {
    end->resident_bytes = (uint64_t)usage.ru_maxrss * 1024;
    if (!WIFSTOPPED(end->wait_status))
      return true;
    stop_with(program, WSTOPSIG(end->wait_status));
  }
  return false;
}

struct child_end child_wait(pid_t program, int idle_ms, void (*idle)(void *context), void *context)
{
  struct timespec idle_time = {idle_ms / 1000, idle_ms % 1000 * 1000000L};
  sigset_t all;
  struct child_end end = {.wait_status = 0};
  sigfillset(&all);
  while (!has_ended(program, &end)) {
    siginfo_t info;
    int signal_number = sigtimedwait(&all, &info, &idle_time);
    if (signal_number < 0 || signal_number == SIGCHLD)
      idle(context);
    if (signal_number > 0)
      pass_on(program, &info);
  }
  return end;
}

int child_wait_for_signal(const sigset_t *signals, int milliseconds)
{
  struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  sigset_t set = *signals, stopping;
  sigaddset(&set, SIGCHLD);
  sigemptyset(&stopping);
  for (size_t i = 0; i < sizeof stopping_signals / sizeof *stopping_signals; i++)
    sigaddset(&stopping, stopping_signals[i]);
  sigprocmask(SIG_UNBLOCK, &stopping, NULL);
  int number = sigtimedwait(&set, NULL, &time);
  sigprocmask(SIG_BLOCK, &stopping, NULL);
  return number > 0 ? number : 0;
}
