/* SPDX-License-Identifier: MIT */
/* G5: a handler that mallocs, frees and often jumps away interrupts allocations every 50 us; then counted allocations
 * follow. Run on an allocator that stands this (hz_async_allocator). Argument: seconds. */
#include "hz_victim.h"
#include <setjmp.h>

static sigjmp_buf start;
static volatile long jumps, round_number;
static volatile bool may_jump; /* while the frame that `start` was set in is there */

static void on_timer(int number)
{
  (void)number;
  hz_churn(round_number % 8, 40);
  if (++round_number % 3 == 0 && may_jump) {
    jumps++;
    siglongjmp(start, 1);
  }
}

static void *work(void *unused)
{
  for (int i = 0; i < 1000; i++) {
    void *p = shadow_add(malloc(i), i);
    REQUIRE(p != NULL);
    if (i % 2) {
      free(p);
      shadow_remove(i);
    }
  }
  return unused;
}

static void churn_until(double end)
{
  volatile int i = 0;
  sigsetjmp(start, 1);
  may_jump = true;
  while (hz_now() < end || jumps <= 100) {
    hz_churn(i % 24, 64);
    i = i + 1;
  }
  may_jump = false;
}

int main(int argc, char **argv)
{
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  struct itimerspec every = {{0, 50000}, {0, 50000}}, never = {{0, 0}, {0, 0}};
  long seconds = hz_argument(argc, argv, 1, 3);
  hz_alarm(seconds + 5);
  signal(SIGUSR1, on_timer);
  REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  double end = hz_now() + (double)seconds;
  REQUIRE(timer_settime(timer, 0, &every, NULL) == 0);
  churn_until(end);
  REQUIRE(timer_settime(timer, 0, &never, NULL) == 0);
  signal(SIGUSR1, SIG_IGN);
  REQUIRE(jumps > 100);
  victim_counted(work, NULL);
  hz_report();
  return 0;
}
