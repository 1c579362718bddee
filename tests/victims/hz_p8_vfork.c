/* SPDX-License-Identifier: MIT */
/* P8: a vfork child, by vfork() and by syscall(), puts a filter over itself and is gone; its parent allocates on. */
#include "hz_victim.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

VICTIM static void victim_keep(int count)
{
  for (int i = 0; i < count; i++)
    REQUIRE(shadow_add(malloc(100), 100) != NULL);
}

static void confine_and_go(void)
{
  struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {1, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
  execl("/bin/true", "true", (char *)NULL);
  _exit(127);
}

int main(void)
{
  int status;
  victim_keep(100);
  pid_t child = vfork();
  if (child == 0)
    confine_and_go();
  REQUIRE(child > 0 && waitpid(child, &status, 0) == child && status == 0);
  victim_keep(100);
  child = (pid_t)syscall(SYS_fork); /* returns twice through our hook */
  if (child == 0)
    syscall(SYS_exit_group, 0);
  REQUIRE(child > 0 && waitpid(child, &status, 0) == child && status == 0);
  shadow_print();
  return 0;
}
