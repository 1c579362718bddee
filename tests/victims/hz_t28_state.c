/* SPDX-License-Identifier: MIT */
/* hz_t28_state aligned | base | dispatch | clockless: until a line comes, the only thread that may be led away computes, in a state
 * that the C library can't be called in: accesses that are not aligned are faults; its thread pointer leads elsewhere;
 * system calls are signals, but for those of the program. Or reading the processor's clock is a fault, and then it
 * allocates. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static volatile bool is_over;

static void end_after_line(void)
{
  char byte;
  if (write(1, "ready\n", 6) != 6 || read(0, &byte, 1) != 1)
    _exit(9);
  is_over = true;
}

/* In a function of libc that nobody is led away from. */
static void *wait_for_line(void *unused)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, end_after_line);
  return unused;
}

static volatile unsigned long steps;

/* In memory, too, none of which is anybody else's. */
static void compute(void)
{
  while (!is_over)
    steps++;
}

#ifdef __x86_64__
#include <asm/prctl.h>
#include <sys/syscall.h>

enum { ALIGNMENT_FLAG = 0x40000, DISPATCH = 59, DISPATCH_ON = 1 };

static bool compute_aligned(void)
{
  uint64_t flags;
  __asm__ volatile("pushf; orq %0, (%%rsp); popf" ::"i"(ALIGNMENT_FLAG) : "memory", "cc");
  compute();
  __asm__ volatile("pushf; movq (%%rsp), %0; andq %1, (%%rsp); popf"
                   : "=&r"(flags)
                   : "i"(~ALIGNMENT_FLAG)
                   : "memory", "cc");
  return (flags & ALIGNMENT_FLAG) != 0;
}

static long set_base(uint64_t base)
{
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(SYS_arch_prctl), "D"(ARCH_SET_FS), "S"(base)
                   : "rcx", "r11", "memory");
  return result;
}

static bool compute_with_base(void)
{
  static char elsewhere[1 << 16];
  uint64_t base;
  if (syscall(SYS_arch_prctl, ARCH_GET_FS, &base) != 0)
    return false;
  bool is_set = set_base((uintptr_t)elsewhere + sizeof elsewhere / 2) == 0;
  compute();
  return set_base(base) == 0 && is_set;
}

/* The program's own are let pass, where it has none. */
static bool compute_with_dispatch(void)
{
  static volatile char selector;
  if (prctl(DISPATCH, DISPATCH_ON, 0, 1, &selector) != 0)
    _exit(77);
  selector = 1;
  compute();
  selector = 0;
  return true;
}

static bool compute_without_clock(void)
{
  enum { OBJECTS = 1000 };
  static void *volatile object;
  if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) != 0)
    return false;
  compute();
  for (int i = 0; i < OBJECTS; i++) {
    object = malloc(100);
    free(object);
  }
  return true;
}

int main(int argc, char **argv)
{
  pthread_t waiter;
  if (argc != 2 || pthread_create(&waiter, NULL, wait_for_line, NULL) != 0)
    return 2;
  bool is_good = strcmp(argv[1], "aligned") == 0     ? compute_aligned()
                 : strcmp(argv[1], "base") == 0      ? compute_with_base()
                 : strcmp(argv[1], "clockless") == 0 ? compute_without_clock()
                                                     : compute_with_dispatch();
  pthread_join(waiter, NULL);
  return is_good ? 0 : 1;
}
#else
int main(void)
{
  (void)compute, (void)wait_for_line;
  return 77;
}
#endif
