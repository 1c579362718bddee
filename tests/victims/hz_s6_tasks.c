/* SPDX-License-Identifier: MIT */
/* S6: a program without threads stays one task, may unshare its user namespace, and its signals reach itself. */
#include "hz_victim.h"
#include <sched.h>

int main(void)
{
  hz_alarm(10);
  for (int i = 0; i < 2000; i++)
    hz_churn(i % 20, 100);
  printf("%ld task\n", hz_status_kib("Threads:"));
  fflush(stdout);
  if (fork() == 0) {
    hz_alarm(10);
    hz_churn(3, 100);
    int failed = unshare(CLONE_NEWUSER);
    printf("child: %ld task, unshare %d\n", hz_status_kib("Threads:"), failed);
  }
  return 0;
}
