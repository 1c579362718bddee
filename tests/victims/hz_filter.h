/* SPDX-License-Identifier: MIT */
/* Seccomp filters for the victims of P8, and every way by which libc installs one. */
#ifndef HZ_FILTER_H
#define HZ_FILTER_H
#include "hz_victim.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define HZ_ALLOW(number)                                                                                               \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define HZ_ANSWER 123 /* what getppid sets errno to, behind a strict filter */

__attribute__((unused)) static struct sock_filter hz_strict_code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    HZ_ALLOW(SYS_read),
    HZ_ALLOW(SYS_write),
    HZ_ALLOW(SYS_exit),
    HZ_ALLOW(SYS_exit_group),
    HZ_ALLOW(SYS_mmap),
    HZ_ALLOW(SYS_brk),
    HZ_ALLOW(SYS_futex),
    HZ_ALLOW(SYS_getrandom), /* which glibc asks when it starts to allocate */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | HZ_ANSWER),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};
__attribute__((unused)) static struct sock_filter hz_allowing_code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};

__attribute__((unused)) static struct sock_fprog hz_strict = {sizeof hz_strict_code / sizeof *hz_strict_code,
                                                              hz_strict_code};
__attribute__((unused)) static struct sock_fprog hz_allowing = {1, hz_allowing_code};

/* way: prctl, syscall or syscall-prctl. Returns what the call returned. */
static inline long hz_try_filter(const char *way, const void *filter)
{
  if (strcmp(way, "prctl") == 0)
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0);
  if (strcmp(way, "syscall-prctl") == 0)
    return syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0);
  REQUIRE(strcmp(way, "syscall") == 0);
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter);
}

static inline void hz_confine(const char *way, const struct sock_fprog *filter)
{
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  REQUIRE(hz_try_filter(way, filter) == 0);
}
#endif
