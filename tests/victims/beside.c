/* SPDX-License-Identifier: MIT */
/* beside all | threads | fork | wait (for the end of its input): an allocator whose names have a prefix (PREFIX), beside libc's, both at
 * once. JEMALLOC, TCMALLOC, MIMALLOC: what else it has, of mimalloc in beside_mi.c. SECOND: the prefix of one more. */
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
void *OF(malloc_aligned_at)(size_t size, size_t alignment, size_t offset);
void *OF(mallocn)(size_t count, size_t size);
char *OF(strdup)(const char *string);
void *OF(reallocf)(void *pointer, size_t size);
int OF(reallocarr)(void *place, size_t count, size_t size);
void *OF(new)(size_t size);
void *OF(new_n)(size_t count, size_t size);
void *OF(new_aligned)(size_t size, size_t alignment);
void *OF(new_aligned_nothrow)(size_t size, size_t alignment, const void *nothrow);
void *OF(newarray_aligned)(size_t size, size_t alignment);
void OF(delete_aligned)(void *pointer, size_t alignment);
void OF(delete_sized_aligned)(void *pointer, size_t size, size_t alignment);
void OF(deletearray_aligned)(void *pointer, size_t alignment);
void *OF(expand)(void *pointer, size_t size);
void *OF(new_realloc)(void *pointer, size_t size);
void *OF(heap_new)(void);
void *OF(heap_malloc)(void *heap, size_t size);
void *OF(heap_calloc)(void *heap, size_t count, size_t size);
void *OF(heap_malloc_aligned)(void *heap, size_t size, size_t alignment);
char *OF(heap_strdup)(void *heap, const char *string);
void *OF(heap_alloc_new)(void *heap, size_t size);
void *OF(heap_realloc)(void *heap, void *pointer, size_t size);
void OF(heap_destroy)(void *heap);
void OF(heap_delete)(void *heap);

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
#elif defined TCMALLOC
/* Of C++, with an alignment. */
VICTIM void victim_more(int round, size_t size)
{
  void *kept = shadow_add(OF(new_aligned)(size, 64), size);
  void *sized = shadow_add(OF(new_aligned_nothrow)(size, 128, ""), size);
  void *array = shadow_add(OF(newarray_aligned)(3 * size, 64), 3 * size);
  OF(delete_sized_aligned)(sized, size, 128);
  shadow_remove(size);
  OF(deletearray_aligned)(array, 64);
  shadow_remove(3 * size);
  if (round % 4 == 0)
    return;
  OF(delete_aligned)(kept, 64);
  shadow_remove(size);
}
#elif defined MIMALLOC
static void release_aligned(void *pointer)
{
  OF(free_size_aligned)(pointer, 1, 64);
}

VICTIM void victim_new(int round, size_t size)
{
  void *resized = shadow_add(OF(new)(size), size);
  keep_some(round, shadow_add(OF(new_n)(3, size), 3 * size), 3 * size, OF(free));
  keep_some(round, shadow_add(OF(new_aligned)(size, 128), size), size, OF(free));
  shadow_remove(size);
  keep_some(round, shadow_add(OF(new_realloc)(resized, 3 * size), 3 * size), 3 * size, OF(free));
}

VICTIM void victim_names(int round, size_t size)
{
  void *place = shadow_add(OF(mallocn)(2, size), 2 * size);
  keep_some(round, shadow_add(OF(strdup)("fifteen letters"), 16), 16, OF(free));
  shadow_remove(2 * size);
  place = shadow_add(OF(reallocf)(place, 3 * size), 3 * size);
  REQUIRE(OF(reallocarr)(NULL, 4, size) != 0);
  REQUIRE(OF(reallocarr)(&place, 4, size) == 0);
  shadow_remove(3 * size);
  keep_some(round, shadow_add(place, 4 * size), 4 * size, OF(free));
  if (round % 8 == 0)
    victim_expand(size);
  if (round % 8 == 0)
    keep_some(0, shadow_add(OF(malloc_aligned_at)(size, 64, 16), size), size, NULL);
}

/* It stays as it was, or becomes one of no bytes; in no case it is freed. */
VICTIM void victim_expand(size_t size)
{
  void *kept = shadow_add(OF(malloc)(size), size);
  memset(kept, 0x41, size);
  if (OF(expand)(kept, 0) == NULL)
    return;
  shadow_remove(size);
  shadow_add(kept, 0);
}

/* What a heap has is freed with it, or stays. */
VICTIM void victim_heap(void *heap, size_t size, int is_destroyed)
{
  void *resized = shadow_add(OF(heap_malloc)(heap, size), size);
  memset(resized, 0x41, size);
  shadow_add(OF(heap_calloc)(heap, 2, size), 2 * size);
  shadow_add(OF(heap_strdup)(heap, "fifteen letters"), 16);
  shadow_add(OF(heap_alloc_new)(heap, size), size);
  shadow_add(OF(heap_malloc_aligned)(heap, size, 64), size);
  shadow_add(OF(heap_realloc)(heap, resized, 6 * size), 6 * size);
  shadow_remove(size);
  if (!is_destroyed)
    return;
  shadow_remove(2 * size);
  shadow_remove(16);
  shadow_remove(size);
  shadow_remove(size);
  shadow_remove(6 * size);
}

static void use_heap(int round, size_t size) /* itself an object */
{
  void *heap = OF(heap_new)();
  victim_heap(heap, size, round % 4 != 0);
  victim_heap(heap, size + 30, round % 4 != 0);
  if (round % 4 != 0)
    OF(heap_destroy)(heap);
  else
    OF(heap_delete)(heap);
}

VICTIM void victim_more(int round, size_t size)
{
  void *resized = shadow_add(OF(malloc_aligned)(size, 64), size);
  victim_new(round, size);
  victim_names(round, size);
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

#ifndef MIMALLOC
static void use_heap(int round, size_t size)
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

static void *work(void *thread)
{
  for (int i = 0; i < ROUNDS; i++) {
    size_t size = 16 + (size_t)(i * 37 % 900);
    victim_libc(i, size);
    victim_beside(i, size);
    victim_more(i, size);
    if (thread == NULL) /* mimalloc of before version 3 destroys what it took over from a thread that ended */
      use_heap(i, size);
    victim_second(i, size);
  }
  return NULL;
}

static void work_in_threads(void)
{
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    REQUIRE(pthread_create(&threads[i], NULL, work, &threads[i]) == 0);
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
  if (strcmp(how, "wait") == 0)
    REQUIRE(dprintf(STDOUT_FILENO, "done\n") == 5 && getchar() == EOF);
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
