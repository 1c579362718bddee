/* SPDX-License-Identifier: MIT */
/* P8: a process that lets itself only read, write, exit, mmap, brk and wait for a futex, and is killed at anything else. Arguments:
 * how the filter is installed (prctl, syscall or syscall-prctl), and whether there were allocations before (warm) or not (cold).
 * Allocates 100,000 times from places known before and from a new one, and ends by _exit. */
#include "hz_filter.h"

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
  hz_confine(argv[1], &hz_strict);
  for (size_t i = 0; i < 100000; i++) {
    known_place(i % 1000);
    new_place(i % 1000);
  }
  REQUIRE(write(1, "done\n", 5) == 5);
  _exit(0);
}
