/* SPDX-License-Identifier: MIT */
/* U11: a handler on its own stack allocates after the program called a null pointer, called data, or overflowed its stack (in the main
 * thread, in one of its own), read what can't be read, or called abort, and leaves by siglongjmp.
 * hz_u11_crash null|data|overflow|thread|load|abort */
#include "hz_victim.h"
#include <setjmp.h>

static sigjmp_buf before;
static char alternate[64 << 10];
static char data[64];
static void (*volatile astray)(void);

VICTIM void victim_report(void)
{
  hz_once(1000);
  __asm__ volatile("" ::: "memory");
}

static void on_crash(int number)
{
  (void)number;
  victim_report();
  siglongjmp(before, 1);
}

VICTIM int victim_overflow(int levels)
{
  volatile char bytes[3000];
  bytes[0] = (char)levels;
  return levels < 0 ? 0 : victim_overflow(levels + 1) + bytes[0];
}

/* Without a frame of its own. */
VICTIM int victim_load(const volatile int *address)
{
  return *address;
}

static int load_from_nowhere(void)
{
  return victim_load((const int *)8);
}

VICTIM void victim_guilty(void)
{
  astray();
  __asm__ volatile("" ::: "memory");
}

static void *crash(void *function)
{
  const stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
  REQUIRE(sigaltstack(&stack, NULL) == 0 && sigaction(SIGSEGV, &action, NULL) == 0);
  REQUIRE(sigaction(SIGABRT, &action, NULL) == 0);
  if (sigsetjmp(before, 1) == 0)
    (void)(function ? (victim_guilty(), 0) : victim_overflow(0));
  return NULL;
}

int main(int argc, char **argv)
{
  REQUIRE(argc == 2);
  hz_alarm(20);
  if (strcmp(argv[1], "data") == 0)
    astray = (void (*)(void))(uintptr_t)data;
  if (strcmp(argv[1], "load") == 0)
    astray = (void (*)(void))load_from_nowhere;
  if (strcmp(argv[1], "abort") == 0)
    astray = abort;
  if (strcmp(argv[1], "thread") == 0)
    pthread_join(hz_thread(crash, NULL, 1 << 20), NULL);
  else
    crash(strcmp(argv[1], "overflow") == 0 ? NULL : data);
  shadow_print();
  return 0;
}
