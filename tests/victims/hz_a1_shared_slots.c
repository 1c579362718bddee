/* SPDX-License-Identifier: MIT */
/* Allocator row 1: 16 threads allocate, reallocate and free through shared slots, so that most blocks are freed by another
 * thread than their own and addresses are reused at once. Argument: operations per thread. */
#include "hz_victim.h"

enum { THREADS = 16, SLOTS = 32 };
static size_t *slots[SLOTS]; /* a block begins with its size */
static long operations;

static size_t *allocated(size_t *block, size_t size)
{
  REQUIRE(shadow_add(block, size) != NULL);
  *block = size;
  return block;
}

static void release(size_t *block)
{
  if (block) {
    shadow_remove(*block);
    free(block);
  }
}

static void *work(void *argument)
{
  unsigned long state = (uintptr_t)argument;
  for (long i = 0; i < operations; i++) {
    size_t size = 8 + shadow_random(&state) % (i % 4 ? 64 : 4096), **slot = &slots[shadow_random(&state) % SLOTS],
           *block = NULL;
    if (i % 3 == 0) {
      block = __atomic_exchange_n(slot, NULL, __ATOMIC_ACQ_REL);
      if (block)
        shadow_remove(*block);
      block = allocated(realloc(block, size), size);
    } else if (i % 7) {
      block = allocated(malloc(size), size);
    }
    release(__atomic_exchange_n(slot, block, __ATOMIC_ACQ_REL));
  }
  return NULL;
}

static void *run(void *argument)
{
  return victim_counted(work, argument);
}

int main(int argc, char **argv)
{
  pthread_t threads[THREADS];
  hz_alarm(60);
  operations = hz_argument(argc, argv, 1, 20000);
  for (long i = 0; i < THREADS; i++)
    threads[i] = hz_thread(run, (void *)(i + 1), 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  hz_report();
  return 0;
}
