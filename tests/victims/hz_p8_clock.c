/* SPDX-License-Identifier: MIT */
/* P8: reading the processor's clock is a fault from now on, by prctl(PR_SET_TSC) or strict seccomp, each through prctl or syscall; the
 * latter lets next to no system call pass. Asks amiss first, allocates from an old place and from so many new ones that a profiler's
 * tables grow, and ends in the way that is left. Arguments: tsc, tsc-syscall, strict or
 * strict-syscall. */
#include "hz_filter.h"
#include "many_stacks.h"

__attribute__((noinline)) static void old_place(size_t size)
{
  hz_churn(20, size);
}

__attribute__((noinline)) static void new_place(size_t number)
{
  free(allocate_from_stack((unsigned)number));
}

static void give_up_the_clock(const char *way)
{
  if (strcmp(way, "tsc") == 0)
    REQUIRE(prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0);
  if (strcmp(way, "tsc-syscall") == 0)
    REQUIRE(syscall(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0);
  if (strcmp(way, "strict") == 0)
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) == 0);
  if (strcmp(way, "strict-syscall") == 0)
    REQUIRE(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL) == 0);
}

int main(int argc, char **argv)
{
  REQUIRE(argc > 1);
  void *volatile held = malloc(1 << 20); /* what is asked for below is there */
  for (size_t i = 0; i < 1000; i++)
    old_place(i);
  free(held);
  new_place(0);
  REQUIRE(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL) == -1 && errno == EINVAL);
  give_up_the_clock(argv[1]);
  for (size_t i = 0; i < 5000; i++) {
    old_place(i % 1000);
    new_place(i);
  }
  REQUIRE(write(1, "done\n", 5) == 5);
  if (strncmp(argv[1], "tsc", 3) == 0)
    exit(0);
  syscall(SYS_exit, 0);
}
