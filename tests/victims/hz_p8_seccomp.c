/* SPDX-License-Identifier: MIT */
/* P8: a process that lets itself only read, write, exit, mmap, brk and wait for a futex, and is killed at anything else. Arguments:
 * how the filter is installed (prctl or syscall), and whether there were allocations before (warm) or not (cold).
 * Allocates 100,000 times from places known before and from a new one, and ends by _exit. */
#include "hz_victim.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void confine(bool by_prctl)
{
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      ALLOW(SYS_read),
      ALLOW(SYS_write),
      ALLOW(SYS_exit),
      ALLOW(SYS_exit_group),
      ALLOW(SYS_mmap),
      ALLOW(SYS_brk),
      ALLOW(SYS_futex),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  if (by_prctl)
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
  else
    REQUIRE(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

__attribute__((noinline)) static void known_place(size_t size)
{
  hz_churn(20, size);
}

__attribute__((noinline)) static void new_place(size_t size)
{
  hz_churn(7, size);
}

int main(int argc, char **argv)
{
  REQUIRE(argc > 2);
  REQUIRE(malloc(1) != NULL); /* glibc asks for random bytes when it starts */
  if (strcmp(argv[2], "warm") == 0)
    for (size_t i = 0; i < 100; i++)
      known_place(i);
  /* Asking what there is must not confine: this one still opens files. */
  REQUIRE(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) == -1 && errno == EFAULT);
  confine(strcmp(argv[1], "prctl") == 0);
  for (size_t i = 0; i < 100000; i++) {
    known_place(i % 1000);
    new_place(i % 1000);
  }
  REQUIRE(write(1, "done\n", 5) == 5);
  _exit(0);
}
