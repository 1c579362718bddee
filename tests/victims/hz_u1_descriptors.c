/* SPDX-License-Identifier: MIT */
/* U1: the numbers open() returns, which descriptors are open, and what a socket on low descriptors receives, while malloc
 * is called from many stacks. All of it is printed, to be compared. */
#include "hz_victim.h"
#include <fcntl.h>
#include <sys/socket.h>

static void *churn(void *unused)
{
  for (int i = 0; i < 40; i++)
    hz_churn(i % 8, 100 + i);
  return unused;
}

/* Different threads, so that stacks at new addresses are walked. */
static void churn_everywhere(void)
{
  churn(NULL);
  for (int i = 0; i < 4; i++)
    REQUIRE(pthread_join(hz_thread(churn, NULL, 65536u << i), NULL) == 0);
}

static void print_open(const char *when)
{
  printf("%s:", when);
  for (int fd = 0; fd < 1024; fd++)
    if (fcntl(fd, F_GETFD) >= 0)
      printf(" %d", fd);
  printf("\n");
}

static void echo(int round)
{
  int pair[2];
  char text[64] = "";
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  REQUIRE(fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
  REQUIRE(write(pair[0], "HELLO", 5) == 5);
  churn_everywhere();
  ssize_t got = read(pair[1], text, sizeof text - 1);
  printf("round %d: socket %d %d received %zd '%s'\n", round, pair[0], pair[1], got, text);
  if (round % 2) {
    close(pair[0]);
    close(pair[1]);
  }
}

int main(void)
{
  hz_alarm(8);
  churn_everywhere();
  print_open("at start");
  for (int i = 0; i < 6; i++) {
    printf("open %d\n", open("/dev/null", O_RDWR));
    churn_everywhere();
  }
  for (int fd = 3; fd < 256; fd++) /* what a daemon does, and then these numbers are used again */
    close(fd);
  for (int round = 0; round < 6; round++)
    echo(round);
  print_open("at end");
  return 0;
}
