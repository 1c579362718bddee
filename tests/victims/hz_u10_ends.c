/* SPDX-License-Identifier: MIT */
/* U10: allocates 50 times where a stack ends in one of these ways.
 * makecontext   in a coroutine of glibc
 * boost         in one that was made as Boost.Context makes it, and ends the program there
 * nothing       below code without unwind information that has 0 in rbp
 * zero          the same in a frame that begins with rbp, and with 0 for a return address */
#include "hz_victim.h"
#include <ucontext.h>

enum { STACK_BYTES = 64 << 10 };

static char stack[STACK_BYTES] __attribute__((aligned(4096)));

VICTIM void victim_allocate(void)
{
  for (volatile int i = 0; i < 50; i++)
    hz_once(100);
  __asm__ volatile("" ::: "memory");
}

/* More than a page of it. */
VICTIM void victim_coroutine(void)
{
  volatile char large[3 * 4096];
  large[0] = 1;
  victim_allocate();
  __asm__ volatile("" ::"r"(large) : "memory");
}

static ucontext_t outside, inside;

static void run_makecontext(void)
{
  REQUIRE(getcontext(&inside) == 0);
  inside.uc_stack.ss_sp = stack;
  inside.uc_stack.ss_size = sizeof stack;
  inside.uc_link = &outside;
  makecontext(&inside, victim_coroutine, 0);
  REQUIRE(swapcontext(&outside, &inside) == 0);
}

void enter(void *top, void (*function)(void));
void call_without_cfi(void (*function)(void));
void call_from_zero(void (*function)(void));
__asm__(".text\n"
        ".type enter, @function\n"
        "enter:\n"
        "  movq %rdi, %rsp\n"
        "  leaq finish(%rip), %rbp\n"
        "  pushq %rbp\n"
        "  jmp *%rsi\n"
        "finish:\n"
        "  xorq %rdi, %rdi\n"
        "  call exit@PLT\n"
        "  hlt\n"
        ".size enter, . - enter\n"
        ".type call_without_cfi, @function\n"
        "call_without_cfi:\n"
        "  pushq %rbp\n"
        "  xorl %ebp, %ebp\n"
        "  call *%rdi\n"
        "  popq %rbp\n"
        "  ret\n"
        ".size call_without_cfi, . - call_without_cfi\n"
        ".type call_from_zero, @function\n"
        "call_from_zero:\n"
        "  pushq %rbp\n"
        "  pushq $0\n"
        "  pushq $0\n"
        "  movq %rsp, %rbp\n"
        "  call *%rdi\n"
        "  addq $16, %rsp\n"
        "  popq %rbp\n"
        "  ret\n"
        ".size call_from_zero, . - call_from_zero\n");

static void coroutine_of_boost(void)
{
  victim_coroutine();
  shadow_print();
  fflush(stdout);
}

int main(int argc, char **argv)
{
  REQUIRE(argc == 2);
  hz_alarm(20);
  if (strcmp(argv[1], "makecontext") == 0)
    run_makecontext();
  else if (strcmp(argv[1], "boost") == 0)
    enter(stack + sizeof stack, coroutine_of_boost);
  else if (strcmp(argv[1], "nothing") == 0)
    call_without_cfi(victim_coroutine);
  else
    call_from_zero(victim_coroutine);
  shadow_print();
  return 0;
}
