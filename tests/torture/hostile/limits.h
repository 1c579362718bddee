/* SPDX-License-Identifier: MIT */
/* What a process does to itself: descriptors, limits, privileges, filters. Most of it in children. */
#ifndef HOSTILE_LIMITS_H
#define HOSTILE_LIMITS_H

#include "hostile.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Descriptors. */

static void write_everywhere(void)
{
  int file = open("written", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  for (int fd = 20; fd < 60; fd++) {
    REQUIRE(dup2(file, fd) == fd);
    churn_a_little(100);
    REQUIRE(dprintf(fd, "%d\n", fd) == 3);
  }
  REQUIRE(close(file) == 0);
  say("close_range: %d\n", close_range(20, 59, 0));
}

/* All but the first three; other threads may be at work. */
static void close_everything(void)
{
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  churn(chance, 50);
  if (draw(2) == 0)
    say("close_range: %d\n", close_range(3, ~0u, 0));
  else
    closefrom(3);
  churn(chance, 50);
  say("is closed: %d\n", fcntl(ends[0], F_GETFD) < 0);
}

static void run_without_descriptors(void)
{
  close_range(0, ~0u, 0);
  churn(1, 100);
  REQUIRE(open("/dev/null", O_RDWR) == 0 && dup(0) == 1);
}

static void close_even_the_first(void)
{
  in_child("without descriptors", run_without_descriptors);
}

/* Limits. */

static void set_limit(int which, rlim_t value)
{
  struct rlimit limit;
  REQUIRE(getrlimit(which, &limit) == 0);
  limit.rlim_cur = value;
  REQUIRE(setrlimit(which, &limit) == 0);
}

static void run_without_files(void)
{
  set_limit(RLIMIT_NOFILE, draw(5));
  churn(2, 100);
  set_limit(RLIMIT_FSIZE, draw(3) * 1000);
  churn(3, 100);
  set_limit(RLIMIT_NPROC, 0);
  set_limit(RLIMIT_MEMLOCK, 0);
  churn(4, 100);
}

static void exhaust_memory(void)
{
  static void *blocks[4096];
  int count = 0;
  set_limit(draw(2) ? RLIMIT_AS : RLIMIT_DATA, ((rlim_t)hz_status_kib("VmSize") << 10) + (8 << 20));
  while (count < 4096 && (blocks[count] = malloc(400000)) != NULL)
    count++;
  say("refused: %s\n", count < 4096 && errno == ENOMEM ? "ENOMEM" : "no");
  while (count > 0)
    free(blocks[--count]);
  churn(5, 50);
}

static void change_limits(void)
{
  in_child("without files", run_without_files);
  in_child("without memory", exhaust_memory);
}

/* Privileges. */

static void say_result(const char *what, int result)
{
  say("%s: %d %d\n", what, result, result == 0 ? 0 : errno);
}

static void move_root(void)
{
  REQUIRE(mkdir("root", 0755) == 0 || errno == EEXIST);
  say_result("chroot", chroot("root"));
  say_result("chdir", chdir("/"));
  churn(6, 100);
}

static void become_nobody(void)
{
  churn(7, 20);
  say_result("setgid", setgid(65534));
  say_result("setuid", setuid(65534));
  prctl(PR_SET_DUMPABLE, (int)draw(2), 0, 0, 0);
  churn(8, 100);
}

static void *churn_as_anybody(void *unused)
{
  churn(9, 200);
  return unused;
}

/* libc makes every thread do it, by a signal of its own. */
static void become_nobody_in_threads(void)
{
  pthread_t threads[3];
  for (int i = 0; i < 3; i++)
    threads[i] = start_thread(churn_as_anybody, 0);
  become_nobody();
  for (int i = 0; i < 3; i++)
    join(threads[i]);
}

static void give_up_privileges(void)
{
  in_child("another root", move_root);
  in_child("nobody", draw(2) ? become_nobody : become_nobody_in_threads);
}

static void enter_namespaces(void)
{
  static const int flags[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS,
                              CLONE_FS,      CLONE_FILES};
  churn(10, 20);
  say_result("unshare", unshare(flags[draw(6)]));
  churn(11, 50);
  pid_t child = fork_child(); /* in a namespace of process numbers it is 1 */
  if (child == 0) {
    churn(12, 100);
    exit(18);
  }
  say_end("in namespaces", wait_for(child));
}

static void unshare_namespaces(void)
{
  in_child("unshared", enter_namespaces);
}

/* Filters: what malloc and exit need, and the rest fails, or kills. */

#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void filter_calls(unsigned otherwise, bool by_prctl)
{
  struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 ALLOW(write),
                                 ALLOW(brk),
                                 ALLOW(mmap),
                                 ALLOW(munmap),
                                 ALLOW(mremap),
                                 ALLOW(madvise),
                                 ALLOW(mprotect),
                                 ALLOW(futex),
                                 ALLOW(exit_group),
                                 ALLOW(exit),
                                 BPF_STMT(BPF_RET | BPF_K, otherwise)};
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  if (by_prctl)
    say_result("prctl", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
  else
    say_result("seccomp",
               (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, draw(2) ? SECCOMP_FILTER_FLAG_TSYNC : 0, &program));
}

static void run_filtered(void)
{
  churn(13, 20);
  filter_calls(draw(2) ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM, draw(2) == 0);
  churn(14, 200);
  churn_a_little(1 << 20);
}

static void run_strictly(void)
{
  churn(15, 50);
  say_result("strict", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0));
  for (size_t i = 0; i < 30; i++)
    churn_a_little(24 + i);
  syscall(SYS_exit, 19);
}

static void confine(void)
{
  in_child("filtered", run_filtered);
  in_child("strict", run_strictly);
}

#endif
