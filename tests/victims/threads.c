/* SPDX-License-Identifier: MIT */
/* threads [count [steps]]: threads that allocate into shared slots and free what they find there, mostly another's. An address
 * that is freed here is given out at once over there: the order of record and free shows. */
#include "shadow.h"

#include <pthread.h>

enum { SLOTS = 256, MAX_THREADS = 2048 };

struct block {
  size_t size; /* of itself */
};

static struct block *slots[SLOTS];
static int steps = 20000;

VICTIM struct block *victim_allocate(size_t size)
{
  struct block *block = shadow_add(malloc(size), size);
  block->size = size;
  return block;
}

VICTIM struct block *victim_resize(struct block *block, size_t size)
{
  shadow_remove(block->size);
  block = shadow_add(realloc(block, size), size);
  block->size = size;
  return block;
}

VICTIM void victim_release(struct block *block)
{
  shadow_remove(block->size);
  free(block);
}

static void *work(void *argument)
{
  unsigned long random = (unsigned long)argument;
  for (int step = 0; step < steps; step++) {
    size_t size = sizeof(struct block) + shadow_random(&random) % 256;
    struct block *mine = victim_allocate(size);
    if (size % 8 == 0)
      mine = victim_resize(mine, size * 3);
    struct block *other = __atomic_exchange_n(&slots[shadow_random(&random) % SLOTS], mine, __ATOMIC_ACQ_REL);
    if (other != NULL)
      victim_release(other);
  }
  return NULL;
}

int main(int argc, char **argv)
{
  static pthread_t threads[MAX_THREADS];
  unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 8;
  if (argc > 2)
    steps = atoi(argv[2]);
  REQUIRE(count <= MAX_THREADS);
  /* A process has its state from its first sample on. If threads that begin together made it, which musl does not allocate for, others
   * would lose samples that cannot wait for it. */
  victim_release(victim_allocate(sizeof(struct block)));
  for (unsigned long i = 0; i < count; i++)
    REQUIRE(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
  for (unsigned long i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
  shadow_print();
  return 0;
}
