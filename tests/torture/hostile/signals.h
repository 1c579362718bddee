/* SPDX-License-Identifier: MIT */
/* Handlers that allocate, fork and jump; on stacks of their own. */
#ifndef HOSTILE_SIGNALS_H
#define HOSTILE_SIGNALS_H

#include "hostile.h"

#include <setjmp.h>
#include <sys/auxv.h>
#include <ucontext.h>

static volatile int handled;
static sigjmp_buf way_out;

static void allocate_in_handler(int number)
{
  int error = errno;
  for (size_t i = 0; i < 5; i++)
    churn_a_little(30 + i * 300);
  handled += number != 0;
  errno = error;
}

static void fork_in_handler(int number)
{
  allocate_in_handler(number);
  pid_t child = fork();
  if (child == 0) {
    churn_a_little(500);
    _exit(4);
  }
  REQUIRE(child > 0 && WEXITSTATUS(wait_for(child)) == 4);
}

static void jump_out_of_handler(int number)
{
  allocate_in_handler(number);
  siglongjmp(way_out, 1);
}

static void install(int number, void (*handler)(int), int flags)
{
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  REQUIRE(sigaction(number, &action, NULL) == 0);
}

/* The kernel's own frame, and so many bytes; none below. Returns what to unmap. */
static stack_t signal_stack_begin(size_t bytes)
{
  size_t frame = (getauxval(AT_MINSIGSTKSZ) + 15) & ~15ul;
  char *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED && mprotect(memory, 4096, PROT_NONE) == 0);
  stack_t stack = {.ss_sp = memory + 4096, .ss_size = frame + bytes};
  REQUIRE(sigaltstack(&stack, NULL) == 0);
  return stack;
}

static void signal_stack_end(stack_t stack)
{
  stack_t none = {.ss_flags = SS_DISABLE};
  REQUIRE(sigaltstack(&none, NULL) == 0 && munmap((char *)stack.ss_sp - 4096, 65536) == 0);
}

static void raise_on_any_stack(void (*handler)(int))
{
  bool is_alternate = draw(2) == 0;
  stack_t stack = signal_stack_begin(2048 + draw(4096));
  handled = 0;
  install(SIGUSR1, handler, (is_alternate ? SA_ONSTACK : 0) | (draw(2) ? SA_NODEFER : 0) | SA_RESTART);
  for (int i = 0; i < 10; i++)
    switch (draw(3)) {
    case 0: raise(SIGUSR1); break;
    case 1: kill(getpid(), SIGUSR1); break;
    default: pthread_kill(pthread_self(), SIGUSR1); break;
    }
  while (handled < 10)
    sched_yield(); /* another thread may have got it */
  signal_stack_end(stack);
}

static void handle(void)
{
  raise_on_any_stack(allocate_in_handler);
  say("handled: %d\n", handled);
}

static void handle_by_fork(void)
{
  background_rest();
  raise_on_any_stack(fork_in_handler);
  say("handled by fork: %d\n", handled);
  background_go_on();
}

/* Faults. */

static void (*volatile null_function)(void);
static volatile int *volatile null_pointer;

__attribute__((noinline)) static int overflow(int depth)
{
  volatile char frame[2000];
  frame[0] = (char)depth;
  return depth < 0 ? 0 : overflow(depth + 1) + frame[0];
}

__attribute__((noinline)) static void do_wrong(unsigned way)
{
  switch (way) {
  case 0: *null_pointer = 1; break;
  case 1: null_function(); break;
  case 2: (void)overflow(0); break;
  default: __builtin_trap();
  }
  __asm__ volatile("" ::: "memory");
}

static void *fault_and_jump(void *way)
{
  stack_t stack = signal_stack_begin(16384);
  if (sigsetjmp(way_out, 1) == 0)
    do_wrong((unsigned)(uintptr_t)way);
  churn(5, 20);
  signal_stack_end(stack);
  return NULL;
}

static void survive_faults(void)
{
  handled = 0;
  install(SIGSEGV, jump_out_of_handler, SA_ONSTACK);
  install(SIGILL, jump_out_of_handler, SA_ONSTACK);
  for (int i = 0; i < 4; i++)
    join(start_thread(fault_and_jump, draw(4)));
  install(SIGSEGV, SIG_DFL, 0);
  install(SIGILL, SIG_DFL, 0);
  say("faults: %d\n", handled);
}

/* At any instruction of malloc. Where the allocator does not stand more, the handler only counts. */

static volatile bool may_jump, may_fork;

static void storm(int number)
{
  int error = errno;
  handled += number != 0;
  if (is_interruptible)
    churn_a_little(100);
  if (may_fork && handled % 16 == 0)
    fork_in_handler(number);
  if (may_jump && handled % 3 == 0)
    siglongjmp(way_out, 1);
  errno = error;
}

static void churn_in_storm(void)
{
  volatile unsigned long i = 0;
  sigsetjmp(way_out, 1);
  may_jump = is_interruptible;
  while (handled < 200) {
    hz_churn((int)(i % 20), 64 + i % 3000);
    i = i + 1;
  }
  may_jump = may_fork = false;
}

static void interrupt_malloc(void)
{
  timer_t timer;
  struct sigevent event = {
      .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG, ._sigev_un._tid = (pid_t)syscall(SYS_gettid)};
  struct itimerspec every = {{0, 70000}, {0, 70000}};
  handled = 0;
  may_fork = is_interruptible && draw(2) == 0;
  install(SIGURG, storm, SA_RESTART);
  REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &every, NULL) == 0);
  churn_in_storm();
  REQUIRE(timer_delete(timer) == 0);
  install(SIGURG, SIG_IGN, 0);
  say("interrupted: %s\n", handled >= 200 ? "often" : "not often");
}

/* Blocked, and taken by sigwait. */
static void wait_for_signals(void)
{
  sigset_t set, before;
  int number = 0;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  REQUIRE(pthread_sigmask(SIG_BLOCK, &set, &before) == 0);
  pthread_kill(pthread_self(), SIGUSR1);
  churn(chance, 50);
  REQUIRE(sigwait(&set, &number) == 0 && pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
  say("waited for: %d\n", number);
}

#endif
