/* SPDX-License-Identifier: MIT */
/* P8: a library's constructor, which runs before ours and before anything was allocated, puts a strict filter over the process.
 * Argument: how. Says whether the filter is there, and allocates behind it. */
#include "hz_filter.h"

void hz_library_constructor(int argc, char **argv)
{
  REQUIRE(argc > 1);
  hz_confine(argv[1], &hz_strict);
}

int main(void)
{
  bool is_there = syscall(SYS_getppid) == -1 && errno == HZ_ANSWER;
  for (size_t i = 0; i < 1000; i++)
    hz_churn(7, i);
  REQUIRE(write(1, is_there ? "confined\n" : "FREE\n", is_there ? 9 : 5) > 0);
  return !is_there;
}
