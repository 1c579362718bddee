/* SPDX-License-Identifier: MIT */
/* U9: allocates below a frame of MiB MiB, or below that much of small frames, in the main thread or in one of its own; first a few times,
 * then behind a filter that kills who asks whether memory can be read, but for that of the arguments, which the profile at exit reads.
 * hz_u9_large_frames frame|recursion main|thread MIB */
#include "hz_victim.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { ASKING = -1, RECURSIONS = 90, PAGE_BYTES = 4096 };

static uintptr_t arguments;

/* By an instruction of its own, so that nobody foresees it. */
static void forbid_asking(void)
{
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigprocmask, 0, 6),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)ASKING, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(arguments & -sizeof(uintptr_t)), 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)((arguments | (PAGE_BYTES - 1)) + 1), 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
  long result;
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(SYS_seccomp), "D"(SECCOMP_SET_MODE_FILTER), "S"(0), "d"(&program)
                   : "rcx", "r11", "memory");
  REQUIRE(result == 0);
}

VICTIM void victim_allocate(void)
{
  for (volatile int i = 0; i < 200; i++) {
    if (i == 100)
      forbid_asking();
    hz_once(100);
  }
  __asm__ volatile("" ::: "memory");
}

VICTIM void victim_below(size_t bytes, unsigned levels)
{
  volatile char large[bytes];
  large[0] = 1; /* and nothing between here and its end */
  if (levels > 1)
    victim_below(bytes, levels - 1);
  else
    victim_allocate();
  __asm__ volatile("" ::"r"(large) : "memory");
}

static size_t frame_bytes;
static unsigned frames;

VICTIM void *victim_outermost(void *unused)
{
  victim_below(frame_bytes, frames);
  __asm__ volatile("" ::: "memory");
  return unused;
}

int main(int argc, char **argv)
{
  REQUIRE(argc == 4);
  hz_alarm(20);
  arguments = (uintptr_t)argv[0];
  size_t bytes = strtoul(argv[3], NULL, 10) << 20;
  frames = strcmp(argv[1], "recursion") == 0 ? RECURSIONS : 1;
  frame_bytes = bytes / frames;
  if (strcmp(argv[2], "main") == 0)
    victim_outermost(NULL);
  else
    pthread_join(hz_thread(victim_outermost, NULL, bytes + (1 << 20)), NULL);
  shadow_print();
  return 0;
}
