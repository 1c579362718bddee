/* SPDX-License-Identifier: MIT */
/* hz_t1_stopped HOW WHERE: a thread is interrupted by a signal, within malloc's lock or (WHERE: harmless) nowhere, and
 * its handler waits until the first thread lets it go on, which reads a line first. HOW: it waits in sigsuspend, at a
 * semaphore, by running in circles, or at a semaphore on an alternate stack. Then a second line, with nothing held.
 * HOW late: in circles as well, and before that it computes until a line comes, on a stack that nobody may use. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCK_BYTES = 64 << 10, PAGE_BYTES = 4096, STACK_BYTES = 256 << 10 };

static sem_t has_stopped, may_go_on, is_done;
static atomic_bool may_begin, may_run_on;
static void *last_page; /* of the heap, where malloc looks how much is left */
static pthread_t stopped;
static const char *how;
static _Alignas(PAGE_BYTES) char stack_of_late[2 * STACK_BYTES];

static void ignore(int signal)
{
  (void)signal;
}

static void wait_in_handler(int signal)
{
  sigset_t others;
  (void)signal;
  if (last_page != NULL && mprotect(last_page, PAGE_BYTES, PROT_READ | PROT_WRITE) != 0)
    _exit(1);
  sigfillset(&others);
  sigdelset(&others, SIGUSR2);
  (void)sem_post(&has_stopped);
  if (strcmp(how, "suspends") == 0)
    (void)sigsuspend(&others);
  else if (strcmp(how, "runs") == 0 || strcmp(how, "late") == 0)
    while (!atomic_load(&may_run_on))
      ;
  else
    while (sem_wait(&may_go_on) != 0)
      ;
}

static void *be_stopped(void *where)
{
  stack_t stack = {.ss_sp = malloc(STACK_BYTES), .ss_size = STACK_BYTES};
  if (strcmp(how, "alternate") == 0 && (stack.ss_sp == NULL || sigaltstack(&stack, NULL) != 0))
    _exit(1);
  while (strcmp(how, "late") == 0 && !atomic_load(&may_begin))
    ;
  if (strcmp(where, "harmless") == 0) {
    (void)raise(SIGUSR1);
  } else {
    char *block = malloc(BLOCK_BYTES);
    last_page = (void *)((uintptr_t)(block + malloc_usable_size(block)) & ~(uintptr_t)(PAGE_BYTES - 1));
    if (mprotect(last_page, PAGE_BYTES, PROT_NONE) != 0)
      _exit(1);
    free(malloc(BLOCK_BYTES));
    free(block);
  }
  (void)sem_post(&is_done);
  for (;;)
    (void)pause();
  return NULL;
}

static void set_handlers(void)
{
  struct sigaction action = {.sa_handler = wait_in_handler, .sa_flags = SA_RESTART | SA_ONSTACK};
  sigfillset(&action.sa_mask);
  if (sigaction(SIGUSR1, &action, NULL) != 0 || sigaction(SIGSEGV, &action, NULL) != 0)
    _exit(1);
  action.sa_handler = ignore;
  if (sigaction(SIGUSR2, &action, NULL) != 0)
    _exit(1);
}

static void wait_for_line(const char *words)
{
  char line[2];
  if (write(1, words, strlen(words)) < 0 || read(0, line, sizeof line) != sizeof line)
    _exit(1);
}

static void begin(void *where)
{
  pthread_attr_t attributes;
  bool is_late = strcmp(how, "late") == 0;
  pthread_attr_init(&attributes);
  if ((is_late && pthread_attr_setstack(&attributes, stack_of_late, STACK_BYTES) != 0) ||
      pthread_create(&stopped, &attributes, be_stopped, where) != 0)
    _exit(1);
  if (is_late)
    wait_for_line("computes\n");
  atomic_store(&may_begin, true);
}

int main(int argc, char **argv)
{
  if (argc != 3 || mallopt(M_ARENA_MAX, 1) != 1)
    return 2;
  how = argv[1];
  set_handlers();
  begin(argv[2]);
  if (sem_wait(&has_stopped) != 0)
    return 1;
  wait_for_line("stopped\n");
  atomic_store(&may_run_on, true);
  if ((strcmp(how, "suspends") == 0 ? pthread_kill(stopped, SIGUSR2) : sem_post(&may_go_on)) != 0 ||
      sem_wait(&is_done) != 0)
    return 1;
  wait_for_line("goes on\n");
  return 0;
}
