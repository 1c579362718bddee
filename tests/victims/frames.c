/* SPDX-License-Identifier: MIT */
/* frames: allocates below each kind of frame that the way to the caller may differ for from machine to machine. Each allocation is in a
 * function of its own, victim_in_..., whose callers the test knows. */
#include "shadow.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { LARGE_FRAME_BYTES = 200000, STACK_BYTES = 1 << 18 };

static void *volatile kept;
static int *volatile forbidden; /* a page that can't be read until a handler has been there */
static sigjmp_buf before;
static volatile sig_atomic_t is_leaf_interrupted;

#define PLACE(name)                                                                                                    \
  VICTIM void victim_in_##name(void)                                                                                   \
  {                                                                                                                    \
    kept = shadow_add(malloc(100), 100);                                                                               \
  }
PLACE(leaf_handler)
PLACE(astray_handler)
PLACE(large_frame)
PLACE(sized_frame)
PLACE(thread)
PLACE(coroutine)
PLACE(generated)

static void handle(int number)
{
  (void)number;
  if (!is_leaf_interrupted) {
    victim_in_astray_handler();
    siglongjmp(before, 1);
  }
  victim_in_leaf_handler();
  mprotect(forbidden, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE);
}

/* It has no frame, and calls nothing. */
VICTIM int victim_leaf(const int *word)
{
  return *word;
}

VICTIM void victim_calls_leaf(void)
{
  long page = sysconf(_SC_PAGESIZE);
  is_leaf_interrupted = true;
  forbidden = mmap(NULL, (size_t)page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int sum = victim_leaf(forbidden);
  kept = (char *)kept + sum;
  is_leaf_interrupted = false;
}

VICTIM void victim_goes_astray(void (*volatile nowhere)(void))
{
  if (sigsetjmp(before, 1) == 0)
    nowhere();
}

VICTIM void victim_large_frame(void)
{
  char bytes[LARGE_FRAME_BYTES];
  memset(bytes, 1, sizeof bytes);
  victim_in_large_frame();
  kept = (char *)kept + bytes[kept == NULL];
}

VICTIM void victim_sized_frame(size_t size)
{
  char bytes[size];
  memset(bytes, 1, size);
  victim_in_sized_frame();
  kept = (char *)kept + bytes[kept == NULL];
}

VICTIM void *victim_thread(void *argument)
{
  victim_in_thread();
  kept = argument;
  return argument;
}

static ucontext_t here, there;

VICTIM void victim_coroutine(void)
{
  victim_in_coroutine();
  kept = NULL;
}

/* Code without unwind information, which keeps frame pointers. Where they need not lie at the frame's end, they don't. */
void victim_generated(void (*called)(void));
#if defined(__x86_64__)
__asm__(".text\n"
        ".globl victim_generated\n"
        ".type victim_generated, @function\n"
        "victim_generated:\n"
        "  pushq %rbp\n"
        "  movq %rsp, %rbp\n"
        "  subq $32, %rsp\n"
        "  call *%rdi\n"
        "  leave\n"
        "  ret\n"
        ".size victim_generated, . - victim_generated\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl victim_generated\n"
        ".type victim_generated, %function\n"
        "victim_generated:\n"
        "  hint #34\n"
        "  stp x29, x30, [sp, #-64]!\n"
        "  mov x29, sp\n"
        "  blr x0\n"
        "  ldp x29, x30, [sp], #64\n"
        "  ret\n"
        ".size victim_generated, . - victim_generated\n");
#endif

/* Its unwind information counts from sp, as gcc's does, where the frame pointer below does not tell of that. */
void victim_calls_generated(void);
#if defined(__aarch64__)
__asm__(".text\n"
        ".globl victim_calls_generated\n"
        ".type victim_calls_generated, %function\n"
        "victim_calls_generated:\n"
        "  .cfi_startproc\n"
        "  hint #34\n"
        "  stp x29, x30, [sp, #-32]!\n"
        "  .cfi_def_cfa_offset 32\n"
        "  .cfi_offset x29, -32\n"
        "  .cfi_offset x30, -24\n"
        "  mov x29, sp\n"
        "  adrp x0, victim_in_generated\n"
        "  add x0, x0, :lo12:victim_in_generated\n"
        "  bl victim_generated\n"
        "  ldp x29, x30, [sp], #32\n"
        "  .cfi_def_cfa_offset 0\n"
        "  .cfi_restore x29\n"
        "  .cfi_restore x30\n"
        "  ret\n"
        "  .cfi_endproc\n"
        ".size victim_calls_generated, . - victim_calls_generated\n");
#else
VICTIM void victim_calls_generated(void)
{
  victim_generated(victim_in_generated);
  kept = NULL;
}
#endif

/* A handler's stack: the interrupted one need not have room. */
static void catch_faults(bool is_on_own_stack)
{
  static char stack[STACK_BYTES];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_NODEFER | (is_on_own_stack ? SA_ONSTACK : 0)};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
}

int main(void)
{
  static char coroutine_stack[STACK_BYTES];
  for (int is_on_own_stack = 0; is_on_own_stack < 2; is_on_own_stack++) {
    catch_faults(is_on_own_stack);
    victim_calls_leaf();
    victim_goes_astray(NULL);
  }
  victim_large_frame();
  victim_sized_frame(3000);
  pthread_t thread;
  pthread_create(&thread, NULL, victim_thread, NULL);
  pthread_join(thread, NULL);
  getcontext(&there);
  there.uc_stack = (stack_t){.ss_sp = coroutine_stack, .ss_size = sizeof coroutine_stack};
  there.uc_link = &here;
  makecontext(&there, victim_coroutine, 0);
  swapcontext(&here, &there);
  victim_calls_generated();
  shadow_print();
  return 0;
}
