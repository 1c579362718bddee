/* SPDX-License-Identifier: MIT */
/* G2: the signal that asks for a profile comes while the stack pointer stands a few words above a guard page. With an alternate
 * stack that is a program's good right; a handler that does not use it has nowhere to run. */
#include "hz_victim.h"

#include <sys/mman.h>
#include <sys/syscall.h>

static void signal_without_stack(char *bottom)
{
  long pid = getpid(); /* before rax is taken */
  register long number __asm__("rax") = SYS_kill;
  __asm__ volatile("mov %%rsp, %%rbx\n\t"
                   "lea 256(%1), %%rsp\n\t"
                   "syscall\n\t"
                   "mov %%rbx, %%rsp"
                   : "+r"(number)
                   : "r"(bottom), "D"(pid), "S"((long)SIGUSR2)
                   : "rbx", "rcx", "r11", "memory");
  REQUIRE(number == 0);
}

int main(void)
{
  enum { PAGE = 4096, ALTERNATE_BYTES = 64 << 10 };
  char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t alternate = {.ss_sp = mmap(NULL, ALTERNATE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                       .ss_size = ALTERNATE_BYTES};
  REQUIRE(pages != MAP_FAILED && alternate.ss_sp != MAP_FAILED && sigaltstack(&alternate, NULL) == 0);
  REQUIRE(mprotect(pages, PAGE, PROT_NONE) == 0);
  struct sigaction now;
  REQUIRE(sigaction(SIGUSR2, NULL, &now) == 0);
  if (now.sa_handler == SIG_DFL) /* nobody is there to ask */
    signal(SIGUSR2, SIG_IGN);
  hz_churn(5, 100);
  for (int i = 0; i < 3; i++)
    signal_without_stack(pages + PAGE);
  puts("alive");
  return 0;
}
