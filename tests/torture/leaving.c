/* SPDX-License-Identifier: MIT */
/* G5: a SIGUSR1 leaves by siglongjmp whatever it interrupts, at a moment that a tracer chooses (refuse.c). Allocates at new places before
 * and after, so that a profiler's state grows, and says which descriptors are open at the end. */
#include "descend.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/syscall.h>

enum { LEVELS = 10 };

static sigjmp_buf start;

static void leave(int number)
{
  siglongjmp(start, number);
}

int main(void)
{
  victim_visit(1);
  syscall(SYS_getppid); /* a sign that main has begun */
  if (sigsetjmp(start, 1) == 0) {
    signal(SIGUSR1, leave);
    victim_visit(LEVELS);
  }
  signal(SIGUSR1, SIG_IGN);
  victim_visit(LEVELS);
  for (int fd = 0; fd < 256; fd++)
    if (fcntl(fd, F_GETFD) >= 0)
      printf("descriptor %d\n", fd);
  return 0;
}
