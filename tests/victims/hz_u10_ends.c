/* SPDX-License-Identifier: MIT */
/* U10: allocates 50 times where a stack ends in one of these ways.
 * makecontext   in a coroutine of glibc
 * boost         in one that was made as Boost.Context makes it, and ends the program there
 * nothing       below code without unwind information that has 0 in rbp
 * zero          the same in a frame that begins with rbp, and with 0 for a return address
 * far           below a function whose unwind information leads far out of the stack
 * foreign       the same in a coroutine */
#include "hz_victim.h"
#include <sys/mman.h>
#include <ucontext.h>

enum { STACK_BYTES = 64 << 10, FAR_BYTES = 1 << 26 /* as in call_from_afar */ };

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

static void run_makecontext(char *lowest, void (*function)(void))
{
  REQUIRE(getcontext(&inside) == 0);
  inside.uc_stack.ss_sp = lowest;
  inside.uc_stack.ss_size = STACK_BYTES;
  inside.uc_link = &outside;
  makecontext(&inside, function, 0);
  REQUIRE(swapcontext(&outside, &inside) == 0);
}

void enter(void *top, void (*function)(void));
void call_without_cfi(void (*function)(void));
void call_from_zero(void (*function)(void));
void call_from_afar(void (*function)(void));
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
        ".size call_from_zero, . - call_from_zero\n"
        ".type call_from_afar, @function\n"
        "call_from_afar:\n"
        "  .cfi_startproc\n"
        "  .cfi_def_cfa_offset 1 << 26\n"
        "  pushq %rbp\n"
        "  call *%rdi\n"
        "  popq %rbp\n"
        "  ret\n"
        "  .cfi_endproc\n"
        ".size call_from_afar, . - call_from_afar\n");

static void coroutine_from_afar(void)
{
  call_from_afar(victim_coroutine);
  __asm__ volatile("" ::: "memory");
}

/* Nothing can be read far above it. */
static void run_foreign(void)
{
  char *lowest = mmap(NULL, STACK_BYTES + 2 * FAR_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(lowest != MAP_FAILED && mprotect(lowest, STACK_BYTES, PROT_READ | PROT_WRITE) == 0);
  run_makecontext(lowest, coroutine_from_afar);
}

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
    run_makecontext(stack, victim_coroutine);
  else if (strcmp(argv[1], "boost") == 0)
    enter(stack + sizeof stack, coroutine_of_boost);
  else if (strcmp(argv[1], "nothing") == 0)
    call_without_cfi(victim_coroutine);
  else if (strcmp(argv[1], "far") == 0)
    call_from_afar(victim_coroutine);
  else if (strcmp(argv[1], "foreign") == 0)
    run_foreign();
  else
    call_from_zero(victim_coroutine);
  shadow_print();
  return 0;
}
