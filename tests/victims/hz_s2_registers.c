/* SPDX-License-Identifier: MIT */
/* S2: a library constructor registers 64 atexit and 64 atfork handlers; the program's first allocation happens in there,
 * under glibc's locks for these lists. */
#include "hz_victim.h"
#include <sys/wait.h>

static int at_exit, at_fork;
static void on_exit_handler(void)
{
  at_exit++;
}
static void on_fork_handler(void)
{
  at_fork++;
}

static void report(void)
{
  dprintf(1, "%d fork handlers, %d exit handlers\n", at_fork, at_exit);
}

static void register_at_exit(void)
{
  for (int i = 0; i < 64; i++)
    REQUIRE(atexit(on_exit_handler) == 0);
}

static void register_at_fork(void)
{
  for (int i = 0; i < 64; i++)
    REQUIRE(pthread_atfork(on_fork_handler, on_fork_handler, on_fork_handler) == 0);
}

void hz_library_constructor(int argc, char **argv);
void hz_library_constructor(int argc, char **argv)
{
  bool fork_first = argc > 1 && strcmp(argv[1], "fork") == 0;
  hz_alarm(5);
  REQUIRE(atexit(report) == 0);
  if (fork_first)
    register_at_fork();
  register_at_exit();
  if (!fork_first)
    register_at_fork();
}

int main(void)
{
  int status;
  hz_churn(3, 100);
  pid_t pid = fork();
  if (pid == 0) {
    hz_alarm(5);
    exit(0);
  }
  REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
  return 0;
}
