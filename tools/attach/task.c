/* SPDX-License-Identifier: MIT */
#include "tools/attach/task.h"

#include <fcntl.h>
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ARGUMENTS = 6, NO_ARGUMENT = -1, TEXT_BYTES = 512 };

#define ANY_FLAG (~0UL) /* it is not 0 */

/* Calls that transfer something piece by piece, and say how much it was when they are interrupted. Of some only if a
 * flag is set in an argument, or if the argument is more than one. */
static const struct transfer {
  long call;
  int argument;
  unsigned long flag; /* 0: more than one */
} transfers[] = {
    {SYS_write, NO_ARGUMENT, 0},    {SYS_writev, NO_ARGUMENT, 0},    {SYS_pwritev2, NO_ARGUMENT, 0},
    {SYS_sendto, NO_ARGUMENT, 0},   {SYS_sendmsg, NO_ARGUMENT, 0},   {SYS_sendmmsg, NO_ARGUMENT, 0},
    {SYS_sendfile, NO_ARGUMENT, 0}, {SYS_splice, NO_ARGUMENT, 0},    {SYS_tee, NO_ARGUMENT, 0},
    {SYS_vmsplice, NO_ARGUMENT, 0}, {SYS_getrandom, NO_ARGUMENT, 0}, {SYS_copy_file_range, NO_ARGUMENT, 0},
    {SYS_recvfrom, 3, MSG_WAITALL}, {SYS_recvmsg, 2, MSG_WAITALL},   {SYS_recvmmsg, 2, 0},
    {SYS_io_getevents, 1, 0},       {SYS_io_pgetevents, 1, 0},       {SYS_io_uring_enter, 1, ANY_FLAG},
};

const char task_would_begin_anew[] = "waits in a call that would begin anew";
const char task_in_unknown_place[] = "waits for a processor, in an unknown place";

int task_open(pid_t process, pid_t thread, const char *name)
{
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%d/task/%d/%s", process, thread, name);
  return open(path, O_RDONLY | O_CLOEXEC);
}

bool task_read_text(pid_t process, pid_t thread, const char *name, char *text, size_t size)
{
  int file = task_open(process, thread, name);
  ssize_t bytes = file >= 0 ? read(file, text, size - 1) : -1;
  if (file >= 0)
    close(file);
  text[bytes > 0 ? bytes : 0] = '\0';
  return bytes > 0;
}

/* 'X': there is none. */
static char state_of(pid_t process, pid_t thread)
{
  char text[TEXT_BYTES];
  const char *end = task_read_text(process, thread, "stat", text, sizeof text) ? strrchr(text, ')') : NULL;
  return end != NULL && end[1] != '\0' ? end[2] : 'X';
}

bool task_has_ended(pid_t process, pid_t thread)
{
  return strchr("ZX", state_of(process, thread)) != NULL;
}

/* By its flags, the sixth number behind the state. */
bool task_is_of_kernel(pid_t process, pid_t thread)
{
  enum { IS_IO_WORKER = 0x10 };
  char text[TEXT_BYTES];
  unsigned flags = 0;
  const char *end = task_read_text(process, thread, "stat", text, sizeof text) ? strrchr(text, ')') : NULL;
  return end != NULL && sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) == 1 && (flags & IS_IO_WORKER) != 0;
}

/* The first comes last: as long as it is traced, signals that the process ignores interrupt the calls of others. */
GArray *task_threads(pid_t process)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/task", process);
  GArray *threads = g_array_new(FALSE, FALSE, sizeof(pid_t));
  GDir *folder = g_dir_open(path, 0, NULL);
  const char *name;
  while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
    pid_t thread = atoi(name);
    if (thread != process)
      g_array_append_val(threads, thread);
  }
  g_array_append_val(threads, process);
  if (folder != NULL)
    g_dir_close(folder);
  return threads;
}

bool task_is_waiting(pid_t process, pid_t thread)
{
  return state_of(process, thread) == 'S';
}

uint64_t task_number_in(const char *status, const char *name, int base)
{
  const char *line = strstr(status, name);
  return line != NULL ? strtoull(line + strlen(name), NULL, base) : 0;
}

bool task_is_held_up(pid_t process, pid_t thread, uint64_t mask)
{
  enum { STATUS_BYTES = 4096 };
  char text[STATUS_BYTES];
  long call = -1;
  if (!task_read_text(process, thread, "syscall", text, sizeof text) || sscanf(text, "%ld", &call) != 1 ||
      call != SYS_futex || !task_read_text(process, thread, "status", text, sizeof text))
    return false;
  return ((task_number_in(text, "\nSigPnd:", 16) | task_number_in(text, "\nShdPnd:", 16)) & ~mask) != 0;
}

static bool is_transfer(long call, const unsigned long arguments[ARGUMENTS])
{
  for (size_t i = 0; i < G_N_ELEMENTS(transfers); i++) {
    const struct transfer *transfer = &transfers[i];
    if (transfer->call != call)
      continue;
    if (transfer->argument == NO_ARGUMENT)
      return true;
    unsigned long given = arguments[transfer->argument];
    return transfer->flag != 0 ? (given & transfer->flag) != 0 : given > 1;
  }
  return false;
}

/* Of a socket that is to give much at once. */
static bool has_low_water(pid_t process, long call, int descriptor)
{
  int pidfd, file = -1, least = 0;
  socklen_t size = sizeof least;
  if (call != SYS_recvfrom && call != SYS_recvmsg && call != SYS_read && call != SYS_readv)
    return false;
  pidfd = (int)syscall(SYS_pidfd_open, process, 0);
  if (pidfd >= 0)
    file = (int)syscall(SYS_pidfd_getfd, pidfd, descriptor, 0);
  bool is_high = file >= 0 && getsockopt(file, SOL_SOCKET, SO_RCVLOWAT, &least, &size) == 0 && least > 1;
  if (file >= 0)
    close(file);
  if (pidfd >= 0)
    close(pidfd);
  return is_high;
}

static bool waits_in_transfer(pid_t process, const char *text)
{
  unsigned long arguments[ARGUMENTS];
  long call;
  return sscanf(text, "%ld %lx %lx %lx %lx %lx %lx", &call, &arguments[0], &arguments[1], &arguments[2], &arguments[3],
                &arguments[4], &arguments[5]) == 1 + ARGUMENTS &&
         (is_transfer(call, arguments) || has_low_water(process, call, (int)arguments[0]));
}

static bool is_socket(pid_t process, unsigned long descriptor)
{
  char path[64], text[16] = "";
  (void)snprintf(path, sizeof path, "/proc/%d/fd/%lu", process, descriptor);
  return readlink(path, text, sizeof text - 1) < 0 || strncmp(text, "socket:", 7) == 0;
}

/* After an interruption the kernel goes on with these by itself, with what is left of their time. A socket may have a
 * limit of time, which begins anew at best. */
static bool goes_on(pid_t process, const char *text)
{
  static const long calls[] = {SYS_futex,    SYS_poll,      SYS_ppoll,           SYS_select,
                               SYS_pselect6, SYS_nanosleep, SYS_clock_nanosleep, SYS_wait4,
                               SYS_waitid,   SYS_pause,     SYS_rt_sigsuspend,   SYS_restart_syscall};
  unsigned long descriptor = 0;
  long call = -1;
  (void)sscanf(text, "%ld %lx", &call, &descriptor);
  for (size_t i = 0; i < G_N_ELEMENTS(calls); i++)
    if (calls[i] == call)
      return true;
  return call == SYS_read && !is_socket(process, descriptor);
}

/* `is_running`: it has a processor, or waits for one, and nobody knows in which call. */
static const char *look(pid_t process, pid_t thread, enum task_begins begins, bool *is_running)
{
  char text[TEXT_BYTES];
  *is_running = false;
  if (!task_read_text(process, thread, "syscall", text, sizeof text))
    return NULL;
  *is_running = strncmp(text, "running", 7) == 0;
  if (waits_in_transfer(process, text))
    return "waits in a transfer, which would come back with a part of it";
  if (begins == TASK_GOES_ON && !*is_running && !goes_on(process, text))
    return task_would_begin_anew;
  return NULL;
}

static const char *why_not_by_state(pid_t process, pid_t thread)
{
  char state = state_of(process, thread);
  if (state == 'D')
    return "waits where nothing can stop it (for a child of vfork, a disk)";
  return state == 'T' ? "is stopped" : NULL;
}

uint64_t task_run_ns(pid_t process, pid_t thread)
{
  char text[TEXT_BYTES];
  return task_read_text(process, thread, "schedstat", text, sizeof text) ? strtoull(text, NULL, 10) : 0;
}

const char *task_why_not_for_now(pid_t process, pid_t thread, enum task_begins begins)
{
  enum { LOOKS = 6, PAUSE_NS = 100000 };
  const char *why = why_not_by_state(process, thread);
  bool is_running = true, was_seen = false;
  uint64_t before_ns = task_run_ns(process, thread);
  for (int i = 0; i < LOOKS && why == NULL && is_running; i++) {
    if (i > 0)
      (void)nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
    why = look(process, thread, begins, &is_running);
    was_seen = was_seen || !is_running;
  }
  /* One that was woken in a call and has no processor yet is still in there. */
  if (why == NULL && !was_seen && task_run_ns(process, thread) == before_ns && !task_has_ended(process, thread))
    why = task_in_unknown_place;
  return why;
}
