/* SPDX-License-Identifier: MIT */
/* P8: a program that only asks whether there are filters, in all the ways in which the kernel says no; it confines nothing, and
 * allocates before and after. */
#include "hz_filter.h"

VICTIM static void victim_keep(int count)
{
  for (int i = 0; i < count; i++)
    REQUIRE(shadow_add(malloc(100), 100) != NULL);
}

VICTIM static void victim_keep_elsewhere(int depth)
{
  if (depth > 0)
    victim_keep_elsewhere(depth - 1);
  else
    victim_keep(100);
  __asm__ volatile("" ::: "memory");
}

#define REFUSED(call, error) REQUIRE((errno = 0, (call) == -1) && errno == (error))

int main(void)
{
  static struct sock_fprog empty; /* a program without instructions */
  static const char *const ways[] = {"prctl", "syscall", "syscall-prctl"};
  victim_keep(100);
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    REFUSED(hz_try_filter(ways[i], NULL), EFAULT);
    REFUSED(hz_try_filter(ways[i], (void *)-1), EFAULT);
    REFUSED(hz_try_filter(ways[i], &empty), EINVAL);
  }
  REFUSED(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
  REFUSED(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, -1, &hz_allowing), EINVAL);
  REFUSED(prctl(PR_SET_SECCOMP, 77, 0, 0, 0), EINVAL);
  victim_keep_elsewhere(20);
  shadow_print();
  return 0;
}
