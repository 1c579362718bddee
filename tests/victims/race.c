/* SPDX-License-Identifier: MIT */
/* race COUNTS THREADS [leave]: allocates and frees as fast as it can until it is killed. The file COUNTS, which exists and is a page
 * long, gets two numbers for each thread: the units (bytes, and one per object) that it asked for, and those that it got. leave: the first
 * thread ends as soon as the others run. */
#include "shadow.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { SLOTS = 64, SIZE_MAX_BYTES = 2000, THREADS_MAX = 8 };

struct counts {
  _Atomic uint64_t asked, got;
};

static struct counts *counts;

VICTIM void *victim_allocate(size_t size)
{
  void *p = malloc(size);
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

VICTIM void *victim_race(void *number)
{
  struct counts *mine = &counts[(uintptr_t)number];
  unsigned long random = (uintptr_t)number + 1;
  void *slots[SLOTS] = {NULL};
  for (;;) {
    unsigned slot = shadow_random(&random) % SLOTS;
    size_t size = shadow_random(&random) % SIZE_MAX_BYTES;
    free(slots[slot]);
    atomic_fetch_add(&mine->asked, size + 1);
    slots[slot] = victim_allocate(size);
    atomic_fetch_add(&mine->got, size + 1);
  }
  return NULL;
}

int main(int argc, char **argv)
{
  REQUIRE(argc >= 3);
  int fd = open(argv[1], O_RDWR);
  counts = mmap(NULL, THREADS_MAX * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  REQUIRE(counts != MAP_FAILED);
  close(fd);
  uintptr_t threads = (uintptr_t)atoi(argv[2]);
  REQUIRE(threads >= 1 && threads <= THREADS_MAX);
  for (uintptr_t i = 1; i < threads; i++) {
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, victim_race, (void *)i) == 0);
  }
  if (argc > 3)
    pthread_exit(NULL);
  victim_race((void *)0);
  return 0;
}
