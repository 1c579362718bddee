/* SPDX-License-Identifier: MIT */
/* beside all | threads | fork: an allocator whose names have a prefix (PREFIX), beside libc's, both at once. JEMALLOC, MIMALLOC: what
 * else it has, of mimalloc in beside_mi.c. SECOND: the prefix of one more. */
#include "shadow.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

#define JOINED(a, b) a##b
#define PREFIXED(a, b) JOINED(a, b)
#define OF(name) PREFIXED(PREFIX, name)

void *OF(malloc)(size_t size);
void OF(free)(void *pointer);
void *OF(calloc)(size_t count, size_t size);
void *OF(realloc)(void *pointer, size_t size);
void *OF(memalign)(size_t alignment, size_t size);
int OF(posix_memalign)(void **pointer, size_t alignment, size_t size);
void *OF(mallocx)(size_t size, int flags);
void *OF(rallocx)(void *pointer, size_t size, int flags);
size_t OF(xallocx)(void *pointer, size_t size, size_t extra, int flags);
void OF(dallocx)(void *pointer, int flags);
void OF(sdallocx)(void *pointer, size_t size, int flags);
void *OF(zalloc)(size_t size);
void *OF(malloc_aligned)(size_t size, size_t alignment);
void *OF(zalloc_aligned)(size_t size, size_t alignment);
void *OF(realloc_aligned)(void *pointer, size_t size, size_t alignment);
void OF(free_size_aligned)(void *pointer, size_t size, size_t alignment);

enum { ROUNDS = 400, THREADS = 4 };

/* Keeps one in four. */
static void keep_some(int round, void *pointer, size_t size, void (*release)(void *pointer))
{
  REQUIRE(pointer != NULL);
  memset(pointer, 0x41, size);
  if (round % 4 == 0)
    return;
  shadow_remove(size);
  release(pointer);
}

VICTIM void victim_libc(int round, size_t size)
{
  keep_some(round, shadow_add(malloc(size), size), size, free);
  keep_some(round, shadow_add(calloc(2, size), 2 * size), 2 * size, free);
}

VICTIM void victim_beside(int round, size_t size)
{
  void *aligned = NULL, *resized = shadow_add(OF(malloc)(size), size);
  keep_some(round, shadow_add(OF(malloc)(size), size), size, OF(free));
  keep_some(round, shadow_add(OF(calloc)(3, size), 3 * size), 3 * size, OF(free));
  keep_some(round, shadow_add(OF(memalign)(256, size), size), size, OF(free));
  REQUIRE(OF(posix_memalign)(&aligned, 4096, size) == 0);
  keep_some(round, shadow_add(aligned, size), size, OF(free));
  shadow_remove(size);
  keep_some(round, shadow_add(OF(realloc)(resized, 5 * size), 5 * size), 5 * size, OF(free));
  REQUIRE(OF(calloc)((size_t)-1 / 2, 3) == NULL);
  OF(free)(NULL);
}

#ifdef JEMALLOC
static void release_sized(void *pointer)
{
  OF(dallocx)(pointer, 0);
}

VICTIM void victim_more(int round, size_t size)
{
  void *resized = shadow_add(OF(mallocx)(size, 0), size);
  keep_some(round, shadow_add(OF(mallocx)(size, 0x40), size), size, release_sized);
  shadow_remove(size);
  resized = shadow_add(OF(rallocx)(resized, 9 * size, 0), 9 * size);
  REQUIRE(OF(xallocx)(resized, 9 * size, 0, 0) >= 9 * size); /* what it has: nothing else is certain */
  shadow_remove(9 * size);
  shadow_add(resized, 9 * size);
  OF(sdallocx)(resized, 9 * size, 0);
  shadow_remove(9 * size);
}
#elif defined MIMALLOC
static void release_aligned(void *pointer)
{
  OF(free_size_aligned)(pointer, 1, 64);
}

VICTIM void victim_more(int round, size_t size)
{
  void *resized = shadow_add(OF(malloc_aligned)(size, 64), size);
  keep_some(round, shadow_add(OF(zalloc)(size), size), size, OF(free));
  keep_some(round, shadow_add(OF(zalloc_aligned)(size, 64), size), size, release_aligned);
  shadow_remove(size);
  keep_some(round, shadow_add(OF(realloc_aligned)(resized, 7 * size, 64), 7 * size), 7 * size, OF(free));
}
#else
VICTIM void victim_more(int round, size_t size)
{
  (void)round, (void)size;
}
#endif

#ifdef SECOND
#define OF_SECOND(name) PREFIXED(SECOND, name)
void *OF_SECOND(malloc)(size_t size);
void *OF_SECOND(realloc)(void *pointer, size_t size);
void OF_SECOND(free)(void *pointer);

VICTIM void victim_second(int round, size_t size)
{
  size_t *resized = shadow_add(OF_SECOND(malloc)(size), size);
  REQUIRE(resized[-1] == size); /* own_allocator.c keeps it there: it is from there */
  keep_some(round, shadow_add(OF_SECOND(malloc)(size), size), size, OF_SECOND(free));
  shadow_remove(size);
  keep_some(round, shadow_add(OF_SECOND(realloc)(resized, 3 * size), 3 * size), 3 * size, OF_SECOND(free));
}
#else
VICTIM void victim_second(int round, size_t size)
{
  (void)round, (void)size;
}
#endif

static void *work(void *unused)
{
  for (int i = 0; i < ROUNDS; i++) {
    size_t size = 16 + (size_t)(i * 37 % 900);
    victim_libc(i, size);
    victim_beside(i, size);
    victim_more(i, size);
    victim_second(i, size);
  }
  return unused;
}

static void work_in_threads(void)
{
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    REQUIRE(pthread_create(&threads[i], NULL, work, NULL) == 0);
  for (int i = 0; i < THREADS; i++)
    REQUIRE(pthread_join(threads[i], NULL) == 0);
}

int main(int argc, char **argv)
{
  const char *how = argc > 1 ? argv[1] : "all";
  int status = 0;
  work(NULL);
  if (strcmp(how, "threads") == 0)
    work_in_threads();
  if (strcmp(how, "fork") == 0) {
    pid_t child = fork();
    if (child == 0)
      shadow_become_child();
    work_in_threads();
    REQUIRE(child == 0 || (waitpid(child, &status, 0) == child && status == 0));
  }
  shadow_print();
  return 0;
}
