/* SPDX-License-Identifier: MIT */
/* Preloaded into a recorder: nothing is waited for, but the clock says that it was. Before it goes on, who is recorded
 * does something: it gets a byte (HASTY_TO), and gives one back (HASTY_FROM). */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { SECOND_NS = 1000000000 };

static int64_t skipped_ns;

static int descriptor(const char *name)
{
  const char *text = getenv(name);
  return text != NULL ? atoi(text) : -1;
}

int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time)
{
  char byte = '.';
  (void)set;
  (void)info;
  skipped_ns += time->tv_sec * SECOND_NS + time->tv_nsec;
  if (write(descriptor("HASTY_TO"), &byte, 1) != 1 || read(descriptor("HASTY_FROM"), &byte, 1) != 1)
    _exit(99);
  errno = EAGAIN;
  return -1;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
  int result = (int)syscall(SYS_clock_gettime, clock, time);
  if (result != 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID)
    return result;
  int64_t ns = time->tv_nsec + skipped_ns % SECOND_NS;
  time->tv_sec += skipped_ns / SECOND_NS + ns / SECOND_NS;
  time->tv_nsec = ns % SECOND_NS;
  return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
  struct timespec now;
  (void)zone;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  *time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}
