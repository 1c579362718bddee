/* SPDX-License-Identifier: MIT */
/* P3: a clock that is HZ_CLOCK seconds ahead, as after NTP has answered: a library to preload. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time)
{
  int result = (int)syscall(SYS_clock_gettime, clock, time);
  const char *ahead = getenv("HZ_CLOCK");
  if (result == 0 && clock == CLOCK_REALTIME && ahead != NULL)
    time->tv_sec += atol(ahead);
  return result;
}
