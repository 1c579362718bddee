/* SPDX-License-Identifier: MIT */
/* P5: three ways to exit. Arguments: the way, microseconds until then.
 *   signal   exit() in a SIGTERM handler that interrupted an allocation
 *   late     a library destructor, after that of a preloaded library, frees blocks of before and allocates
 *   threads  main returns while 8 threads allocate */
#include "hz_victim.h"

static void *blocks[1000];
static bool late;

void hz_library_destructor(void);
void hz_library_destructor(void)
{
  if (!late)
    return;
  for (int i = 0; i < 1000; i++) {
    free(blocks[i]);
    hz_churn(i % 10, i);
  }
  REQUIRE(write(1, "late\n", 5) == 5);
}

static void on_term(int number)
{
  (void)number;
  exit(0);
}

static void *churn(void *argument)
{
  for (int i = 0;; i++)
    hz_churn(i % 20, 16 + i % 2000);
  return argument;
}

int main(int argc, char **argv)
{
  long microseconds = hz_argument(argc, argv, 2, 1000);
  REQUIRE(argc > 1);
  hz_alarm(5);
  if (strcmp(argv[1], "late") == 0) {
    late = true;
    for (int i = 0; i < 1000; i++)
      blocks[i] = malloc(i);
  } else if (strcmp(argv[1], "threads") == 0) {
    for (int i = 0; i < 8; i++)
      hz_thread(churn, NULL, 0);
    usleep(microseconds);
  } else {
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};
    struct itimerspec when = {.it_value = {0, microseconds * 1000}};
    signal(SIGTERM, on_term);
    /* A process that never sampled leaves no profile, and the timer may be faster than the first sample. */
    hz_churn(0, 16);
    REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &when, NULL) == 0);
    churn(NULL);
  }
  return 0;
}
