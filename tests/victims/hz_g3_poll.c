/* SPDX-License-Identifier: MIT */
/* G3: threads wait in poll, epoll_wait and nanosleep, over and over, until a line comes in; says how often they were
 * interrupted. */
#include "hz_victim.h"

#include <poll.h>
#include <sys/epoll.h>

static volatile bool is_over;
static _Atomic int interruptions;

static void note(int result)
{
  if (result < 0 && errno == EINTR)
    interruptions++;
}

static void *wait_in_poll(void *unused)
{
  while (!is_over)
    note(poll(NULL, 0, 20));
  return unused;
}

static void *wait_in_epoll(void *unused)
{
  int fd = epoll_create1(0);
  struct epoll_event event;
  while (!is_over)
    note(epoll_wait(fd, &event, 1, 20));
  close(fd);
  return unused;
}

static void *wait_in_nanosleep(void *unused)
{
  while (!is_over) {
    struct timespec moment = {0, 20000000};
    note(nanosleep(&moment, NULL));
    hz_churn(3, 100);
  }
  return unused;
}

int main(void)
{
  void *(*const waits[])(void *) = {wait_in_poll, wait_in_epoll, wait_in_nanosleep};
  pthread_t threads[3];
  char line[16];
  for (int i = 0; i < 3; i++)
    REQUIRE(pthread_create(&threads[i], NULL, waits[i], NULL) == 0);
  sigset_t all; /* the kernel would give signals to this thread, whose read() is restarted */
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  hz_churn(3, 100);
  dprintf(1, "ready\n");
  REQUIRE(read(0, line, sizeof line) > 0);
  is_over = true;
  for (int i = 0; i < 3; i++)
    pthread_join(threads[i], NULL);
  printf("interrupted %d\n", interruptions);
  return 0;
}
