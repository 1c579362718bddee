/* SPDX-License-Identifier: MIT */
/* Runs a program, and refuses some of the system calls that a library makes or has made for it:
 *
 *   refuse LIBRARY REPORT REFUSALS PROGRAM [ARGUMENT...]
 *
 * REFUSALS is a list with commas of WHOSE:CALL:N:ERROR, or `none`. WHOSE is `direct` for calls made by code of LIBRARY, `indirect` for
 * those that others make on its behalf: the loader and libc from the first direct call to the program's first getppid, and whoever
 * runs on a stack that is not the program's. CALL is a name or a number. N counts such calls from 1, over the process and its
 * children; `N+` is all from there on. ERROR is an errno, or what happens to the call instead:
 *
 *   short    a count of 1 instead of the one asked for
 *   kill     SIGKILL before it is made, to all
 *   signal   SIGUSR1 during the call: its handler runs when it is over, or as soon as signals are not blocked
 *   hold     another thread comes between. That one waits at its next getppid until the call is about to be made, goes on to the one
 *            after that, and waits there until the call is over. Should anybody wait for a lock meanwhile, the call is made.
 *
 * REPORT gets `main begins 0` where the program says so, and a line `WHOSE CALL N [DESCRIPTOR] [PATH]` for each such call, in order, with ` refused` at the end if it was. It traces the program, so it
 * works for system calls that no preload can intercept. Exit status: the program's, as a shell has it.
 */
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRACEES_MAX = 256, CALLS_MAX = 512, REFUSALS_MAX = 8, SHORT = -1, HOLD = -2, KILL = -3, SIGNAL = -4 };

enum file { NO_FILE, PATH, DESCRIPTOR };

/* Calls, and which argument names a file. */
static const struct {
  const char *name;
  long number;
  enum file file;
  int argument;
} names[] = {
    {"access", SYS_access, PATH, 0},
    {"brk", SYS_brk, NO_FILE, 0},
    {"close", SYS_close, DESCRIPTOR, 0},
    {"fallocate", SYS_fallocate, DESCRIPTOR, 0},
    {"fcntl", SYS_fcntl, DESCRIPTOR, 0},
    {"fstat", SYS_fstat, DESCRIPTOR, 0},
    {"ftruncate", SYS_ftruncate, DESCRIPTOR, 0},
    {"getcwd", SYS_getcwd, NO_FILE, 0},
    {"ioctl", SYS_ioctl, DESCRIPTOR, 0},
    {"linkat", SYS_linkat, PATH, 3},
    {"madvise", SYS_madvise, NO_FILE, 0},
    {"mkdirat", SYS_mkdirat, PATH, 1},
    {"mmap", SYS_mmap, NO_FILE, 0},
    {"mprotect", SYS_mprotect, NO_FILE, 0},
    {"mremap", SYS_mremap, NO_FILE, 0},
    {"munmap", SYS_munmap, NO_FILE, 0},
    {"newfstatat", SYS_newfstatat, PATH, 1},
    {"openat", SYS_openat, PATH, 1},
    {"pipe2", SYS_pipe2, NO_FILE, 0},
    {"ppoll", SYS_ppoll, NO_FILE, 0},
    {"pread64", SYS_pread64, DESCRIPTOR, 0},
    {"prlimit64", SYS_prlimit64, NO_FILE, 0},
    {"read", SYS_read, DESCRIPTOR, 0},
    {"readlinkat", SYS_readlinkat, PATH, 1},
    {"renameat2", SYS_renameat2, PATH, 1},
    {"rt_sigaction", SYS_rt_sigaction, NO_FILE, 0},
    {"rt_sigprocmask", SYS_rt_sigprocmask, NO_FILE, 0},
    {"unlinkat", SYS_unlinkat, PATH, 1},
    {"write", SYS_write, DESCRIPTOR, 0},
};

struct range {
  uint64_t low, high;
};

struct tracee {
  pid_t pid, group;
  bool is_started, has_called, is_past_start; /* it was seen; the library was called; main has begun */
  /* Of the call that it is in: what it shall return, 0 for what it does; the count that was asked for, where it was made 1. */
  int error;
  uint64_t count;
  bool is_held;
  struct range library, stack;
};

static struct tracee tracees[TRACEES_MAX];
static unsigned counts[2][CALLS_MAX];
static const char *library;
static FILE *report;
enum party { DIRECT, INDIRECT, OWN };

struct refusal {
  enum party whose;
  long call;
  unsigned long n;
  bool and_later;
  int error;
};

static struct refusal refusals[REFUSALS_MAX];
static unsigned refusal_count;
static enum { NO_MEETING, PLANNED, BEGUN, OVER } meeting;
static struct tracee *host, *guest; /* who makes the call; who comes between */

static void die(const char *what)
{
  perror(what);
  exit(125);
}

static struct tracee *tracee_of(pid_t pid)
{
  struct tracee *unused = NULL;
  for (int i = 0; i < TRACEES_MAX; i++) {
    if (tracees[i].pid == pid)
      return &tracees[i];
    if (tracees[i].pid == 0 && unused == NULL)
      unused = &tracees[i];
  }
  if (unused == NULL)
    die("more processes than expected");
  *unused = (struct tracee){.pid = pid, .group = pid};
  return unused;
}

/* What is where. */

static void read_maps(struct tracee *tracee)
{
  char path[64], line[4352];
  snprintf(path, sizeof path, "/proc/%d/maps", (int)tracee->pid);
  FILE *maps = fopen(path, "re");
  tracee->library = tracee->stack = (struct range){0, 0};
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
    unsigned long low, high;
    char permissions[5], name[4096] = "";
    if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %4095[^\n]", &low, &high, permissions, name) < 3)
      continue;
    if (strcmp(name, library) == 0 && permissions[2] == 'x')
      tracee->library = (struct range){low, high};
    if (strcmp(name, "[stack]") == 0)
      tracee->stack = (struct range){low, high};
  }
  if (maps != NULL)
    fclose(maps);
}

static bool is_in(struct range range, uint64_t address)
{
  return address >= range.low && address < range.high;
}

/* The main thread's stack grows. Threads have theirs from the program. */
static bool is_on_private_stack(struct tracee *tracee, uint64_t sp)
{
  if (tracee->pid != tracee->group || is_in(tracee->stack, sp))
    return false;
  read_maps(tracee);
  return !is_in(tracee->stack, sp);
}

/* Calls. */

static const char *name_of(long call)
{
  static char number[16];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (names[i].number == call)
      return names[i].name;
  snprintf(number, sizeof number, "%ld", call);
  return number;
}

static long call_of(const char *name)
{
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i].name, name) == 0)
      return names[i].number;
  return isdigit((unsigned char)name[0]) ? atol(name) : -1;
}

static void read_text(pid_t pid, uint64_t address, char *text, size_t size)
{
  struct iovec here = {text, size - 1}, there = {(void *)address, size - 1};
  ssize_t length = process_vm_readv(pid, &here, 1, &there, 1, 0);
  text[length > 0 ? length : 0] = '\0';
}

static void read_link(pid_t pid, int fd, char *text, size_t size)
{
  char link[64];
  snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)pid, fd);
  int digits = snprintf(text, size, "%d ", fd);
  ssize_t length = readlink(link, text + digits, size - 1 - (size_t)digits);
  text[digits + (length > 0 ? length : 0)] = '\0';
}

/* The file that the call is about. */
static void read_path(pid_t pid, const struct __ptrace_syscall_info *info, char *path, size_t size)
{
  path[0] = '\0';
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (names[i].number != (long)info->entry.nr)
      continue;
    if (names[i].file == PATH)
      read_text(pid, info->entry.args[names[i].argument], path, size);
    else if (names[i].file == DESCRIPTOR)
      read_link(pid, (int)info->entry.args[names[i].argument], path, size);
  }
}

static enum party whose(struct tracee *tracee, const struct __ptrace_syscall_info *info)
{
  if (tracee->library.low == 0)
    read_maps(tracee);
  if (tracee->library.low != 0 && is_in(tracee->library, info->instruction_pointer)) {
    tracee->has_called = true;
    return DIRECT;
  }
  if (!tracee->has_called)
    return OWN;
  return !tracee->is_past_start || is_on_private_stack(tracee, info->stack_pointer) ? INDIRECT : OWN;
}

static void set_register(pid_t pid, size_t offset, long long value)
{
  if (ptrace(PTRACE_POKEUSER, pid, offset, value) != 0)
    die("PTRACE_POKEUSER");
}

static const struct refusal *refusal_of(enum party party, long call, unsigned n)
{
  for (unsigned i = 0; i < refusal_count; i++) {
    const struct refusal *refusal = &refusals[i];
    if (refusal->whose == party && refusal->call == call && (n == refusal->n || (refusal->and_later && n > refusal->n)))
      return refusal;
  }
  return NULL;
}

static void go_on(struct tracee *tracee)
{
  tracee->is_held = false;
  ptrace(PTRACE_SYSCALL, tracee->pid, 0, 0);
}

static void begin_meeting(struct tracee *tracee)
{
  if (meeting != PLANNED || guest == NULL)
    return;
  meeting = BEGUN;
  host = tracee;
  host->is_held = true;
  go_on(guest);
}

static void at_getppid(struct tracee *tracee)
{
  if (!tracee->is_past_start) {
    tracee->is_past_start = true;
    fputs("main begins 0\n", report);
  } else if (meeting == PLANNED || (meeting == BEGUN && tracee == guest)) {
    guest = tracee;
    guest->is_held = true;
    if (meeting == BEGUN)
      go_on(host);
  }
}

static void end_meeting(void)
{
  meeting = OVER;
  host = NULL;
  if (guest != NULL)
    go_on(guest);
}

static void kill_all(void)
{
  for (int i = 0; i < TRACEES_MAX; i++)
    if (tracees[i].pid != 0)
      kill(tracees[i].pid, SIGKILL);
}

/* Somebody waits for a lock of the program, which the one who is held may have. */
static void at_wait(struct tracee *tracee, const struct __ptrace_syscall_info *info)
{
  bool is_lock = info->entry.nr == SYS_futex && (info->entry.args[1] & FUTEX_CMD_MASK) == FUTEX_WAIT &&
                 (info->entry.args[1] & FUTEX_PRIVATE_FLAG) != 0;
  if (is_lock && meeting == BEGUN && tracee != host)
    go_on(host);
}

static void refuse(struct tracee *tracee, const struct __ptrace_syscall_info *info, int error)
{
  switch (error) {
  case HOLD: begin_meeting(tracee); return;
  case KILL: kill_all(); return;
  case SIGNAL: syscall(SYS_tgkill, tracee->group, tracee->pid, SIGUSR1); return;
  case SHORT:
    tracee->count = info->entry.args[2];
    set_register(tracee->pid, offsetof(struct user_regs_struct, rdx), 1);
    return;
  default: break;
  }
  tracee->error = error;
  if (info->entry.nr != SYS_close) /* which says no, but does it all the same */
    set_register(tracee->pid, offsetof(struct user_regs_struct, orig_rax), -1);
}

static void at_entry(struct tracee *tracee, const struct __ptrace_syscall_info *info)
{
  enum party party = whose(tracee, info);
  if (info->entry.nr == SYS_getppid)
    at_getppid(tracee);
  at_wait(tracee, info);
  long call = (long)info->entry.nr;
  if (party == OWN || call < 0 || call >= CALLS_MAX)
    return;
  unsigned n = ++counts[party][call];
  char path[256];
  read_path(tracee->pid, info, path, sizeof path);
  bool can_fail = strstr(path, " pipe:") == NULL; /* no file system is behind it */
  const struct refusal *refusal = can_fail ? refusal_of(party, call, n) : NULL;
  fprintf(report, "%s %s %u %s%s\n", party == DIRECT ? "direct" : "indirect", name_of(call), n, path,
          refusal != NULL ? " refused" : "");
  if (refusal != NULL)
    refuse(tracee, info, refusal->error);
}

static void at_exit_of_call(struct tracee *tracee)
{
  if (tracee == host)
    end_meeting();
  if (tracee->error != 0)
    set_register(tracee->pid, offsetof(struct user_regs_struct, rax), -tracee->error);
  if (tracee->count != 0) /* the compiler relies on it */
    set_register(tracee->pid, offsetof(struct user_regs_struct, rdx), (long long)tracee->count);
  tracee->error = 0;
  tracee->count = 0;
}

static void at_call(struct tracee *tracee)
{
  struct __ptrace_syscall_info info;
  if (ptrace(PTRACE_GET_SYSCALL_INFO, tracee->pid, sizeof info, &info) <= 0)
    return; /* it was killed meanwhile */
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
    at_entry(tracee, &info);
  else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
    at_exit_of_call(tracee);
}

/* Stops. */

static void at_event(struct tracee *tracee, int event)
{
  unsigned long message = 0;
  ptrace(PTRACE_GETEVENTMSG, tracee->pid, 0, &message);
  if (event == PTRACE_EVENT_EXEC) {
    *tracee = (struct tracee){.pid = tracee->pid, .group = tracee->pid, .is_started = true};
  } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
    struct tracee *child = tracee_of((pid_t)message);
    bool is_started = child->is_started;
    *child = *tracee;
    child->pid = (pid_t)message;
    child->is_started = is_started;
    child->error = 0;
    child->count = 0;
    child->is_held = false;
    child->group = event == PTRACE_EVENT_CLONE ? tracee->group : child->pid;
  }
}

/* Returns the signal to go on with. */
static int at_stop(struct tracee *tracee, int status)
{
  int signal = WSTOPSIG(status), event = status >> 16;
  if (signal == (SIGTRAP | 0x80))
    at_call(tracee);
  else if (event != 0)
    at_event(tracee, event);
  else if (signal == SIGSTOP && !tracee->is_started)
    tracee->is_started = true;
  else
    return signal;
  return 0;
}

static int trace(pid_t main_pid)
{
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0)
      die("waitpid");
    if (WIFSTOPPED(status)) {
      struct tracee *tracee = tracee_of(pid);
      int signal = at_stop(tracee, status);
      if (!tracee->is_held)
        ptrace(PTRACE_SYSCALL, pid, 0, signal);
      continue;
    }
    if (meeting == PLANNED && guest != NULL && pid != guest->pid) /* the one to be met is gone */
      end_meeting();
    tracee_of(pid)->pid = 0;
    if (pid == main_pid)
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
}

static pid_t start(char **command)
{
  pid_t pid = fork();
  if (pid == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    execvp(command[0], command);
    die(command[0]);
  }
  int status;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
    die("start");
  long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK |
                 PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
  if (ptrace(PTRACE_SETOPTIONS, pid, 0, options) != 0)
    die("PTRACE_SETOPTIONS");
  tracee_of(pid)->is_started = true;
  ptrace(PTRACE_SYSCALL, pid, 0, 0);
  return pid;
}

static int error_of(const char *name)
{
  static const struct {
    const char *name;
    int error;
  } specials[] = {{"short", SHORT}, {"kill", KILL}, {"signal", SIGNAL}, {"hold", HOLD}};
  for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
    if (strcmp(specials[i].name, name) == 0)
      return specials[i].error;
  return atoi(name);
}

static struct refusal parse(char *text)
{
  struct refusal refusal = {.whose = DIRECT};
  char *rest = NULL, *party = strtok_r(text, ":", &rest), *call = strtok_r(NULL, ":", &rest),
       *n = strtok_r(NULL, ":", &rest), *end;
  if (n == NULL || rest == NULL || *rest == '\0')
    die("WHOSE:CALL:N:ERROR");
  refusal.whose = strcmp(party, "indirect") == 0 ? INDIRECT : DIRECT;
  refusal.call = call_of(call);
  refusal.n = strtoul(n, &end, 10);
  refusal.and_later = *end == '+';
  refusal.error = error_of(rest);
  return refusal;
}

int main(int argc, char **argv)
{
  if (argc < 5)
    return 2;
  library = argv[1];
  report = fopen(argv[2], "we");
  if (report == NULL)
    die(argv[2]);
  char *rest = NULL, *text = strcmp(argv[3], "none") == 0 ? NULL : strtok_r(argv[3], ",", &rest);
  for (; text != NULL && refusal_count < REFUSALS_MAX; text = strtok_r(NULL, ",", &rest))
    refusals[refusal_count++] = parse(text);
  for (unsigned i = 0; i < refusal_count; i++)
    if (refusals[i].error == HOLD)
      meeting = PLANNED;
  int status = trace(start(argv + 4));
  fclose(report);
  return status;
}
