/* SPDX-License-Identifier: MIT */
/* Preloaded: as long as the file CLOCK_HELD is there, the clock of those who wait stands still, and it goes on from there. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int64_t second_ns = 1000000000;

/* One that is held knows nothing of the time that passes. */
static int64_t held_ns(int64_t now_ns)
{
  static int64_t behind_ns, stopped_ns;
  const char *file = getenv("CLOCK_HELD");
  bool is_held = file != NULL && access(file, F_OK) == 0;
  if (stopped_ns == 0 && is_held)
    stopped_ns = now_ns - behind_ns;
  if (stopped_ns != 0)
    behind_ns = now_ns - stopped_ns;
  if (!is_held)
    stopped_ns = 0;
  return now_ns - behind_ns;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && clock == CLOCK_MONOTONIC) {
    int64_t time_ns = held_ns(now->tv_sec * second_ns + now->tv_nsec);
    *now = (struct timespec){.tv_sec = time_ns / second_ns, .tv_nsec = time_ns % second_ns};
  }
  return result;
}
