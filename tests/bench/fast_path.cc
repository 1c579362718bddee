/* SPDX-License-Identifier: MIT */
/* Pairs of allocating and freeing, in the ways that programs do it.
 *
 *   fast_path time MS          prints "CASE NS" for each case: the median of blocks, measured for that many milliseconds
 *   fast_path count N          under callgrind: runs each case N times, then 5 N times, with a dump of counts after each
 *   fast_path live MS HELD     under heapprof at R = 1: pairs and frees in a heap with HELD live samples, one on each
 *                              page, and in the same heap without
 *   fast_path live_dense MS HELD  the same where all that is held is a live sample
 *   fast_path live_count N HELD  as live_dense, for callgrind
 */
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <heapprof.h>
#include <initializer_list>
#include <pthread.h>
#include <semaphore.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_DUMP_STATS_AT(name) ((void)(name))
#endif

enum { BLOCKS_MAX = 4096, BLOCK = 1024 };

/* The compiler must not see that nobody uses it. */
static inline void *keep(void *pointer)
{
  __asm__ volatile("" : "+r"(pointer) : : "memory");
  return pointer;
}

static uint64_t thread_ns()
{
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Cases: each makes `count` pairs, and says how much CPU time they took. */
template <size_t SIZE> static uint64_t malloc_free(unsigned count)
{
  uint64_t begin = thread_ns();
  for (unsigned i = 0; i < count; i++)
    free(keep(malloc(SIZE)));
  return thread_ns() - begin;
}

static uint64_t calloc_free(unsigned count)
{
  uint64_t begin = thread_ns();
  for (unsigned i = 0; i < count; i++)
    free(keep(calloc(4, 16)));
  return thread_ns() - begin;
}

static uint64_t new_delete(unsigned count)
{
  uint64_t begin = thread_ns();
  for (unsigned i = 0; i < count; i++)
    ::operator delete(keep(::operator new(64)));
  return thread_ns() - begin;
}

/* A buffer that grows from 16 bytes to 1 KiB by 16; a step of realloc counts as a pair. */
static uint64_t realloc_growth(unsigned count)
{
  enum { STEP = 16, END = 1024 };
  void *pointer = nullptr;
  size_t size = 0;
  uint64_t begin = thread_ns();
  for (unsigned i = 0; i < count; i++) {
    size += STEP;
    pointer = keep(realloc(pointer, size));
    if (size == END) {
      free(pointer);
      pointer = nullptr;
      size = 0;
    }
  }
  free(pointer);
  return thread_ns() - begin;
}

/* Allocated here, freed by another thread, batch by batch. The hand-over itself is not timed. */
static void *handed[BLOCK];
static sem_t handed_over, taken;
static std::atomic<uint64_t> freeing_ns;

static void *free_handed(void *)
{
  for (;;) {
    while (sem_wait(&handed_over) != 0)
      ;
    if (handed[0] == nullptr)
      return nullptr;
    uint64_t begin = thread_ns();
    for (void *pointer : handed)
      free(pointer);
    freeing_ns += thread_ns() - begin;
    sem_post(&taken);
  }
}

static uint64_t other_thread(unsigned count)
{
  uint64_t spent = 0, freed_before = freeing_ns;
  for (unsigned i = 0; i < count; i += BLOCK) {
    uint64_t begin = thread_ns();
    for (void *&pointer : handed)
      pointer = keep(malloc(64));
    spent += thread_ns() - begin;
    sem_post(&handed_over);
    while (sem_wait(&taken) != 0)
      ;
  }
  return spent + (freeing_ns - freed_before);
}

static const struct {
  const char *name;
  uint64_t (*run)(unsigned count);
} cases[] = {
    {"malloc_free_16", malloc_free<16>},
    {"malloc_free_64", malloc_free<64>},
    {"malloc_free_1024", malloc_free<1024>},
    {"malloc_free_65536", malloc_free<65536>},
    {"calloc_64", calloc_free},
    {"realloc_growth", realloc_growth},
    {"new_delete_64", new_delete},
    {"other_thread_64", other_thread},
};

static int by_value(const void *a, const void *b)
{
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

/* The median of blocks, in ns a pair. */
static double measure(uint64_t (*run)(unsigned count), unsigned budget_ms)
{
  static thread_local double blocks[BLOCKS_MAX];
  unsigned count = 0;
  uint64_t spent = 0;
  run(BLOCK);
  while (count < BLOCKS_MAX && (count < 3 || spent < budget_ms * 1000000ull)) {
    uint64_t ns = run(BLOCK);
    spent += ns;
    blocks[count++] = (double)ns / BLOCK;
  }
  qsort(blocks, count, sizeof *blocks, by_value);
  return blocks[count / 2];
}

/* The same pair in two threads at once: a cache line that both write would show. */
static pthread_barrier_t both_ready;

static void *measure_in_thread(void *budget_ms)
{
  double *result = (double *)malloc(sizeof *result);
  pthread_barrier_wait(&both_ready);
  *result = measure(malloc_free<64>, *(unsigned *)budget_ms);
  return result;
}

static void time_two_threads(unsigned budget_ms)
{
  pthread_t threads[2];
  double sum = 0;
  pthread_barrier_init(&both_ready, nullptr, 2);
  for (pthread_t &thread : threads)
    pthread_create(&thread, nullptr, measure_in_thread, &budget_ms);
  for (pthread_t thread : threads) {
    void *result;
    pthread_join(thread, &result);
    sum += *(double *)result;
    free(result);
  }
  printf("two_threads_64 %.3f\n", sum / 2);
}

static void time_cases(unsigned budget_ms)
{
  for (auto &one : cases)
    printf("%s %.3f\n", one.name, measure(one.run, budget_ms));
  time_two_threads(budget_ms);
}

static void count_cases(unsigned count)
{
  for (auto &one : cases) {
    one.run(BLOCK);
    CALLGRIND_DUMP_STATS_AT("before");
    one.run(count);
    CALLGRIND_DUMP_STATS_AT(one.name);
    one.run(5 * count);
    CALLGRIND_DUMP_STATS_AT(one.name);
  }
}

/* Frees of a block of pointers that lie on as many pages as there are, in an order that no prefetcher knows. */
static uint64_t free_spread(unsigned count)
{
  static void *pointers[BLOCK];
  uint64_t spent = 0;
  for (unsigned i = 0; i < count; i += BLOCK) {
    for (void *&pointer : pointers)
      pointer = keep(malloc(200));
    for (unsigned at = 1; at < BLOCK; at++) {
      unsigned other = at * 2654435761u % at;
      void *kept = pointers[at];
      pointers[at] = pointers[other];
      pointers[other] = kept;
    }
    uint64_t begin = thread_ns();
    for (void *pointer : pointers)
      free(pointer);
    spent += thread_ns() - begin;
  }
  return spent;
}

/* A heap of small objects, four and four: every other one is freed, and leaves a hole for pairs to find. */
enum { GROUP = 4, GROUPS_A_PAGE = 8 };

struct heap {
  void **pointers;
  size_t count;
};

static heap make_heap(size_t groups)
{
  heap made = {(void **)malloc(groups * GROUP * sizeof(void *)), groups * GROUP};
  for (size_t i = 0; i < made.count; i++)
    made.pointers[i] = keep(malloc(i % GROUP < GROUP / 2 ? 64 : 200));
  for (size_t i = 0; i < made.count; i += 2) {
    free(made.pointers[i]);
    made.pointers[i] = nullptr;
  }
  return made;
}

static void release(heap made)
{
  for (size_t i = 0; i < made.count; i++)
    free(made.pointers[i]);
  free(made.pointers);
}

/* All that is held is a live sample, or nothing is. */
static heap hold_densely(unsigned held, bool is_sampled)
{
  if (is_sampled)
    heapprof_start();
  heap made = make_heap(held / (GROUP / 2));
  heapprof_stop();
  return made;
}

/* One object of a page is a live sample, as when a heap of 128 times as many pages is sampled every 512 KiB. It takes the place of one
 * that was not. */
static heap hold_sparsely(unsigned held, bool is_sampled)
{
  heap made = make_heap((size_t)held * GROUPS_A_PAGE);
  for (size_t i = 1; i < made.count; i += GROUP * GROUPS_A_PAGE)
    free(made.pointers[i]);
  if (is_sampled)
    heapprof_start();
  for (size_t i = 1; i < made.count; i += GROUP * GROUPS_A_PAGE)
    made.pointers[i] = keep(malloc(64));
  heapprof_stop();
  return made;
}

/* The same heap twice: what lies in it is not sampled, then it is. What is measured never is. */
static void with_and_without(heap hold(unsigned held, bool is_sampled), unsigned held,
                             void (*measure_heap)(const char *kind, unsigned amount), unsigned amount)
{
  heapprof_stop();
  for (bool is_sampled : {false, true}) {
    heap made = hold(held, is_sampled);
    measure_heap(is_sampled ? "with" : "without", amount);
    release(made);
  }
}

static void time_heap(const char *kind, unsigned budget_ms)
{
  printf("pair_%s %.3f\n", kind, measure(malloc_free<64>, budget_ms));
  printf("spread_%s %.3f\n", kind, measure(free_spread, budget_ms));
}

static void count_heap(const char *kind, unsigned count)
{
  char name[32];
  snprintf(name, sizeof name, "pair_%s", kind);
  malloc_free<64>(BLOCK);
  CALLGRIND_DUMP_STATS_AT("before");
  malloc_free<64>(count);
  CALLGRIND_DUMP_STATS_AT(name);
  malloc_free<64>(5 * count);
  CALLGRIND_DUMP_STATS_AT(name);
}

int main(int argc, char **argv)
{
  const char *mode = argc > 2 ? argv[1] : "";
  unsigned amount = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
  unsigned held = argc > 3 ? (unsigned)atoi(argv[3]) : 1000;
  bool is_live = strncmp(mode, "live", 4) == 0;
  pthread_t other;
  if (is_live && heapprof_stop == nullptr)
    return 2;
  sem_init(&handed_over, 0, 0);
  sem_init(&taken, 0, 0);
  if (!is_live)
    pthread_create(&other, nullptr, free_handed, nullptr);
  if (strcmp(mode, "time") == 0)
    time_cases(amount);
  else if (strcmp(mode, "count") == 0)
    count_cases(amount);
  else if (strcmp(mode, "live") == 0)
    with_and_without(hold_sparsely, held, time_heap, amount);
  else if (strcmp(mode, "live_dense") == 0)
    with_and_without(hold_densely, held, time_heap, amount);
  else if (strcmp(mode, "live_count") == 0)
    with_and_without(hold_densely, held, count_heap, amount);
  else
    return 2;
  if (!is_live) {
    handed[0] = nullptr;
    sem_post(&handed_over);
    pthread_join(other, nullptr);
  }
  return 0;
}
