/* SPDX-License-Identifier: MIT */
/* Allocations at the bottom of deep stacks, whose frames are all of different functions.
 *
 *   frames time         prints "DEPTH KIND NS" for a pair of malloc and free: first (stacks not seen before, one pair), warm (the same
 *                       stack again), site (two places in one function in turn), moved (the whole stack elsewhere each time),
 *                       two_threads (warm)
 *   frames cold [BYTES] cold (the same stack again) and cold_moved, each pair after the caches were filled with other memory
 *   frames touch KIND   under valgrind: some pairs 32 frames deep, warm or moved, between stores to a mark; prints where that and
 *                       the stack lie, and /proc/self/maps
 *   frames count N      under callgrind: N pairs at each depth, then 5 N, with a dump of counts after each
 */
#include <algorithm>
#include <alloca.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <pthread.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_DUMP_STATS_AT(name) ((void)(name))
#endif

/* All frames that a walk sees. Below main there are three of libc and of the start code. */
static const unsigned depths[] = {8, 16, 32, 64, 128};
enum {
  DEPTH_MAX = 128,
  OTHER_FRAMES = 7,
  BLOCKS = 41,
  PAIRS = 50,
  COLD_PAIRS = 21,
  TOUCH_PAIRS = 6,
  TOUCH_DEPTH = 32,
  MOVED_PAIRS = 1001,
  COLD_BYTES = 64 << 20
};

typedef double action_in_depth(unsigned pairs);

/* A chain of functions, with frames of different sizes. */
template <int PLACE>
__attribute__((noinline)) static double descend(unsigned left, action_in_depth *action, unsigned pairs)
{
  volatile char room[PLACE * 37 % 200 + 8];
  room[0] = 1;
  double result;
  if constexpr (PLACE < DEPTH_MAX)
    result = left > 0 ? descend<PLACE + 1>(left - 1, action, pairs) : action(pairs);
  else
    result = action(pairs);
  return result * room[0];
}

__attribute__((noinline)) static double at_depth(unsigned depth, action_in_depth *action, unsigned pairs)
{
  return descend<0>(depth - OTHER_FRAMES, action, pairs);
}

static double now_ns(clockid_t clock)
{
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static size_t object_bytes = 64;

__attribute__((always_inline)) static inline void make_pair()
{
  void *pointer = malloc(object_bytes);
  __asm__ volatile("" : "+r"(pointer) : : "memory");
  free(pointer);
}

__attribute__((noinline)) static double make_pairs(unsigned pairs)
{
  double begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
  for (unsigned i = 0; i < pairs; i++)
    make_pair();
  return (now_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / pairs;
}

__attribute__((noinline)) static double make_pairs_at_two_sites(unsigned pairs)
{
  double begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
  for (unsigned i = 0; i < pairs; i += 2) {
    make_pair();
    make_pair();
  }
  return (now_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / pairs;
}

__attribute__((noinline)) static double make_one(unsigned)
{
  double begin = now_ns(CLOCK_MONOTONIC);
  make_pair();
  return now_ns(CLOCK_MONOTONIC) - begin;
}

__attribute__((noinline)) static double with_room(size_t bytes, unsigned depth, action_in_depth *action)
{
  volatile char *room = (volatile char *)alloca(bytes);
  room[0] = 1;
  return at_depth(depth, action, 1) * room[0];
}

static double median(double *values, unsigned count)
{
  std::sort(values, values + count);
  return values[count / 2];
}

static double warm(unsigned depth, action_in_depth *action)
{
  double blocks[BLOCKS];
  for (double &block : blocks)
    block = at_depth(depth, action, PAIRS);
  return median(blocks, BLOCKS);
}

/* No two stacks in a row have a frame in common but the outermost. */
static double moved(unsigned depth)
{
  double pairs[MOVED_PAIRS];
  for (unsigned i = 0; i < MOVED_PAIRS; i++)
    pairs[i] = with_room(64 + i % 2 * 80, depth, make_one);
  return median(pairs, MOVED_PAIRS);
}

static void *warm_in_thread(void *depth)
{
  static __thread double result;
  result = warm(*(const unsigned *)depth, make_pairs);
  double *copy = (double *)malloc(sizeof *copy);
  *copy = result;
  return copy;
}

static double in_two_threads(unsigned depth)
{
  pthread_t threads[2];
  double sum = 0;
  for (pthread_t &thread : threads)
    pthread_create(&thread, nullptr, warm_in_thread, &depth);
  for (pthread_t thread : threads) {
    void *result;
    pthread_join(thread, &result);
    sum += *(double *)result;
    free(result);
  }
  return sum / 2;
}

static void time_all()
{
  for (unsigned depth : depths) {
    printf("%u first %.1f\n", depth, at_depth(depth, make_pairs, 1));
    printf("%u warm %.1f\n", depth, warm(depth, make_pairs));
    printf("%u site %.1f\n", depth, warm(depth, make_pairs_at_two_sites));
    printf("%u moved %.1f\n", depth, moved(depth));
  }
  for (unsigned depth : depths)
    printf("%u two_threads %.1f\n", depth, in_two_threads(depth));
}

alignas(64) static volatile long mark;

__attribute__((noinline)) static double make_marked(unsigned)
{
  mark = 1;
  make_pair();
  mark = 2;
  return 0;
}

static volatile char *other_memory;

static void fill_caches()
{
  for (size_t i = 0; i < COLD_BYTES; i += 64)
    other_memory[i]++;
}

/* The clock itself is warm. */
__attribute__((noinline)) static double make_cold(unsigned)
{
  fill_caches();
  (void)now_ns(CLOCK_MONOTONIC);
  return make_one(1);
}

static void time_cold()
{
  other_memory = (volatile char *)calloc(1, COLD_BYTES);
  for (unsigned depth : depths) {
    double same[COLD_PAIRS], elsewhere[COLD_PAIRS];
    (void)moved(depth);
    for (unsigned i = 0; i < COLD_PAIRS; i++)
      elsewhere[i] = with_room(64 + i % 2 * 80, depth, make_cold);
    at_depth(depth, make_pairs, 2);
    for (double &pair : same)
      pair = at_depth(depth, make_cold, 1);
    printf("%u cold %.1f\n%u cold_moved %.1f\n", depth, median(same, COLD_PAIRS), depth, median(elsewhere, COLD_PAIRS));
  }
}

static void touch(bool is_moved)
{
  char line[256];
  for (unsigned i = 0; i < TOUCH_PAIRS; i++)
    with_room(64 + (is_moved ? i % 2 * 80 : 0), TOUCH_DEPTH, make_marked);
  printf("mark %p\nstack %p\n", (void *)&mark, (void *)line);
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps != nullptr && fgets(line, sizeof line, maps) != nullptr)
    fputs(line, stdout);
}

/* valgrind maps the stack only as far as it has been used; the profiler sees its end, and keeps away from it. */
__attribute__((noinline)) static void use_stack()
{
  volatile char room[256 << 10];
  for (size_t i = 0; i < sizeof room; i += 1024)
    room[i] = 1;
}

static void count_all(unsigned pairs)
{
  use_stack();
  for (unsigned depth : depths) {
    char name[8];
    snprintf(name, sizeof name, "%u", depth);
    at_depth(depth, make_pairs, 2);
    CALLGRIND_DUMP_STATS_AT("before");
    at_depth(depth, make_pairs, pairs);
    CALLGRIND_DUMP_STATS_AT(name);
    at_depth(depth, make_pairs, 5 * pairs);
    CALLGRIND_DUMP_STATS_AT(name);
  }
}

int main(int argc, char **argv)
{
  const char *mode = argc > 1 ? argv[1] : "";
  if (strcmp(mode, "time") == 0)
    time_all();
  else if (strcmp(mode, "cold") == 0)
    object_bytes = argc > 2 ? (size_t)atoi(argv[2]) : object_bytes, time_cold();
  else if (strcmp(mode, "touch") == 0 && argc > 2)
    use_stack(), touch(strcmp(argv[2], "moved") == 0);
  else if (strcmp(mode, "count") == 0 && argc > 2)
    count_all((unsigned)atoi(argv[2]));
  else
    return 2;
  return 0;
}
