/* SPDX-License-Identifier: MIT */
/* Preloaded into the command: whoever is about to kill somebody is killed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

int kill(pid_t process, int number)
{
  if (number == SIGKILL)
    process = getpid();
  return (int)syscall(SYS_kill, process, number);
}
