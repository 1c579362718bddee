/* SPDX-License-Identifier: MIT */
/* Requests that no sane program makes, and stacks that are none of the system's. */
#ifndef HOSTILE_MEMORY_H
#define HOSTILE_MEMORY_H

#include "hostile.h"

#include <ucontext.h>

/* Not where the compiler sees it. */
static size_t huge(unsigned way)
{
  volatile size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2 + 1, (size_t)1 << 62, PTRDIFF_MAX, SIZE_MAX - 4096};
  return sizes[way % (sizeof sizes / sizeof *sizes)];
}

static void say_refusal(const char *what, const void *object)
{
  say("%s: %s %s\n", what, object == NULL ? "refused" : "given", object == NULL && errno == ENOMEM ? "ENOMEM" : "");
  errno = 0;
}

static char *volatile kept; /* through all refusals */

static void ask_for_too_much(void)
{
  errno = 0;
  void *object = NULL;
  kept = memset(malloc(100), 'k', 100);
  say_refusal("malloc", malloc(huge(draw(6))));
  say_refusal("calloc", calloc(huge(draw(6)), 1 + draw(9)));
  say_refusal("realloc", realloc(kept, huge(draw(6))));
  say_refusal("reallocarray", reallocarray(kept, huge(draw(6)), 2 + draw(9)));
  say_refusal("aligned_alloc", is_interruptible ? NULL : aligned_alloc(64, huge(draw(2))));
  say("posix_memalign: %d\n", posix_memalign(&object, 64, huge(draw(2))));
  say("kept: %c%c\n", kept[0], kept[99]);
  free(kept);
}

static void ask_oddly(void)
{
  static const size_t alignments[] = {0, 1, 3, 7, 12, 24, 48, 100, 4097};
  void *object = NULL;
  errno = 0;
  size_t alignment = alignments[draw(9)];
  object = memalign(alignment, draw(1000));
  say("memalign: %s, aligned: %d\n", object != NULL ? "given" : "refused", (uintptr_t)object % 16 == 0);
  free(object);
  say("posix_memalign: %d\n", posix_memalign(&object, alignments[draw(9)], 10));
  object = valloc(draw(5000));
  say("valloc: %d\n", (int)((uintptr_t)object % 4096));
  free(object);
  object = pvalloc(draw(5000));
  say("pvalloc: %d\n", (int)((uintptr_t)object % 4096));
  free(object);
  free(NULL);
  object = malloc(0);
  say("malloc of 0: %s\n", object != NULL ? "given" : "none");
  say("usable size of none: %zu\n", malloc_usable_size(NULL));
  free(object);
}

static void shrink_to_nothing(void)
{
  for (int i = 0; i < 50; i++) {
    volatile size_t nothing = 0;
    void *object = malloc(draw(3000) + 1);
    object = realloc(object, nothing); /* glibc frees it */
    if (i == 0)
      say("realloc to 0: %s\n", object != NULL ? "given" : "none");
    free(object);
    free(realloc(NULL, draw(100)));
  }
  if (draw(2) == 0)
    malloc_trim(0);
  if (draw(2) == 0)
    (void)mallopt(M_MMAP_THRESHOLD, 4096 << draw(6));
}

static void churn_here(void)
{
  say("churned %u\n", churn(chance, 600));
}

/* Coroutines: each on a stack in the middle of memory whose neighbours are looked at. */

enum { ROUTINES = 6, ROUNDS = 8, MARGIN = 1024, CANARY = 0xa5, SMALLEST_STACK = 2048 };

static struct routine {
  ucontext_t context;
  unsigned char *memory;
  size_t size;
} routines[ROUTINES];
static ucontext_t scheduler;

static void run_routine(int number)
{
  for (size_t i = 0; i < ROUNDS; i++) {
    churn_a_little(40 + i * 100 + (size_t)number);
    REQUIRE(swapcontext(&routines[number].context, &scheduler) == 0);
  }
}

static void routine_start(int number, size_t size)
{
  struct routine *routine = &routines[number];
  routine->size = size;
  routine->memory = mmap(NULL, size + 2 * MARGIN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(routine->memory != MAP_FAILED && getcontext(&routine->context) == 0);
  memset(routine->memory, CANARY, size + 2 * MARGIN);
  routine->context.uc_stack.ss_sp = routine->memory + MARGIN;
  routine->context.uc_stack.ss_size = size;
  routine->context.uc_link = &scheduler;
  makecontext(&routine->context, (void (*)(void))run_routine, 1, number);
}

static unsigned routine_end(int number)
{
  struct routine *routine = &routines[number];
  unsigned overwritten = 0;
  for (size_t i = 0; i < MARGIN; i++)
    overwritten += (routine->memory[i] != CANARY) + (routine->memory[MARGIN + routine->size + i] != CANARY);
  REQUIRE(munmap(routine->memory, routine->size + 2 * MARGIN) == 0);
  return overwritten;
}

static void run_coroutines(void)
{
  unsigned overwritten = 0;
  for (int i = 0; i < ROUTINES; i++)
    routine_start(i, (size_t)SMALLEST_STACK << draw(5));
  for (int round = 0; round <= ROUNDS; round++)
    for (int i = 0; i < ROUTINES; i++)
      REQUIRE(swapcontext(&scheduler, &routines[i].context) == 0);
  for (int i = 0; i < ROUTINES; i++)
    overwritten += routine_end(i);
  say("coroutines: %u bytes beside their stacks overwritten\n", overwritten);
}

#endif
