/* SPDX-License-Identifier: MIT */
/* resident WHAT...: has memory of each kind that is named, all of it written to, says how much of each, and waits for an order.
 *   small    objects of one size, half of them freed again
 *   large    one object of 24 MB
 *   absent   one of 48 MB that nobody writes to
 *   threads  three threads whose stacks are 1 MiB deep
 *   direct   a mapping of its own, 16 MiB
 *   huge     one of 8 MiB that may have huge pages
 *   shared   8 MiB of a memfd
 *   file     a file of 4 MiB, mapped and read
 *   own      a thread on a stack from malloc
 *   leave    no first thread: it ends
 *   ask      a profile that it asks for; handler: the same from a handler that has interrupted the allocator, as far as anybody can see */
#include "heapprof.h"
#include "orders.h"
#include "shadow.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum {
  MIB = 1 << 20,
  OBJECTS = 40000,
  OBJECT_BYTES = 1001,
  THREADS = 3,
  LARGE_BYTES = 24000000,
  ABSENT_BYTES = 48000000
};

static pthread_barrier_t barrier;
static unsigned long usable_bytes, asked_bytes;

static void *written(void *p, size_t size)
{
  REQUIRE(p != NULL && p != MAP_FAILED);
  memset(p, 1, size);
  return p;
}

/* Plumbing: what it allocates is its caller's. */
static __attribute__((noinline)) void *xmalloc(size_t size)
{
  return written(shadow_add(malloc(size), size), size);
}

VICTIM void victim_small(void)
{
  static void *objects[OBJECTS];
  for (int i = 0; i < OBJECTS; i++)
    objects[i] = xmalloc(OBJECT_BYTES);
  for (int i = 0; i < OBJECTS; i += 2) {
    free(objects[i]);
    shadow_remove(OBJECT_BYTES);
  }
  for (int i = 1; i < OBJECTS; i += 2) {
    usable_bytes += malloc_usable_size(objects[i]);
    asked_bytes += OBJECT_BYTES;
  }
}

VICTIM void victim_large(void)
{
  (void)written(shadow_add(malloc(LARGE_BYTES), LARGE_BYTES), LARGE_BYTES);
}

VICTIM void victim_absent(void)
{
  (void)shadow_add(malloc(ABSENT_BYTES), ABSENT_BYTES);
}

static void *wait_in_depth(void *unused)
{
  char frame[MIB];
  (void)written(frame, sizeof frame);
  pthread_barrier_wait(&barrier);
  pause();
  return unused;
}

static void start_threads(unsigned count, const pthread_attr_t *attributes)
{
  REQUIRE(pthread_barrier_init(&barrier, NULL, count + 1) == 0);
  for (unsigned i = 0; i < count; i++) {
    pthread_t thread;
    REQUIRE(pthread_create(&thread, attributes, wait_in_depth, NULL) == 0);
  }
  pthread_barrier_wait(&barrier);
}

VICTIM void victim_own(void)
{
  pthread_attr_t attributes;
  enum { STACK_BYTES = 2 * MIB };
  void *stack = shadow_add(aligned_alloc(4096, STACK_BYTES), STACK_BYTES);
  REQUIRE(stack != NULL && pthread_attr_init(&attributes) == 0 &&
          pthread_attr_setstack(&attributes, written(stack, STACK_BYTES), STACK_BYTES) == 0);
  start_threads(1, &attributes);
}

static inline __attribute__((always_inline)) void *map_arena(size_t size, int flags, int fd)
{
  return mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
}

VICTIM void victim_mapped(size_t size, int flags, int fd)
{
  (void)written(map_arena(size, flags, fd), size);
  (void)map_arena(size, flags | MAP_NORESERVE, fd); /* as much, which is not resident */
}

static void map_huge(void)
{
  enum { SIZE = 8 * MIB };
  void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  (void)madvise(memory, SIZE, MADV_HUGEPAGE);
  (void)written(memory, SIZE);
}

static int file_of(size_t size)
{
  FILE *file = tmpfile();
  REQUIRE(file != NULL && ftruncate(fileno(file), (off_t)size) == 0);
  return fileno(file);
}

static void map_file(void)
{
  enum { SIZE = 4 * MIB };
  const volatile char *memory = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, file_of(SIZE), 0);
  REQUIRE(memory != MAP_FAILED);
  for (size_t i = 0; i < SIZE; i += 4096)
    (void)memory[i];
}

static void ask(int number)
{
  (void)number;
  REQUIRE(heapprof_dump("/dev/null") == 0);
}

static void ask_in_handler(void)
{
  REQUIRE(signal(SIGURG, ask) != SIG_ERR && raise(SIGURG) == 0);
}

static void have(const char *what)
{
  if (strcmp(what, "small") == 0)
    victim_small();
  else if (strcmp(what, "large") == 0)
    victim_large();
  else if (strcmp(what, "absent") == 0)
    victim_absent();
  else if (strcmp(what, "own") == 0)
    victim_own();
  else if (strcmp(what, "threads") == 0)
    start_threads(THREADS, NULL);
  else if (strcmp(what, "direct") == 0)
    victim_mapped(16 * MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  else if (strcmp(what, "huge") == 0)
    map_huge();
  else if (strcmp(what, "shared") == 0) {
    int fd = memfd_create("of a victim", 0);
    REQUIRE(fd >= 0 && ftruncate(fd, 8 * MIB) == 0);
    victim_mapped(8 * MIB, MAP_SHARED, fd);
  } else if (strcmp(what, "file") == 0)
    map_file();
  else if (strcmp(what, "ask") == 0)
    ask(0);
  else if (strcmp(what, "handler") == 0)
    ask_in_handler();
  else
    REQUIRE(strcmp(what, "leave") == 0);
}

int main(int argc, char **argv)
{
  char order[32];
  for (int i = 1; i < argc; i++)
    have(argv[i]);
  shadow_print();
  dprintf(STDOUT_FILENO, "usable %lu asked %lu\nready\n", usable_bytes, asked_bytes);
  if (argc > 1 && strcmp(argv[argc - 1], "leave") == 0)
    pthread_exit(NULL);
  while (read_order(order, sizeof order))
    continue;
  return 0;
}
