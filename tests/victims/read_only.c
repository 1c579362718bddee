/* SPDX-License-Identifier: MIT */
/* What does the profiler write to on its fast path? Nothing that threads share: here everything writable is made read-only but for
 * the thread's own memory (TLS and stack), this program's and glibc's, while pairs of malloc and free run. A write ends in SIGSEGV.
 *
 *   read_only unsampled    pairs with no sample due, while some samples are live
 *   read_only live_page    frees on a page that holds live samples: a lock would be a write, too
 *   read_only sampled      the control: each allocation is sampled, which must write
 */
#include <errno.h>
#include <fcntl.h>
#include <heapprof.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAIRS = 1000 * 1000, HELD = 2000, RANGES_MAX = 1000, BIG_BYTES = 8 << 20 };

struct range {
  uintptr_t low, high;
};

static struct range closed[RANGES_MAX];
static unsigned closed_count;
static void *held[2 * HELD];

static void *keep(void *pointer)
{
  __asm__ volatile("" : "+r"(pointer) : : "memory");
  return pointer;
}

static int holds(struct range range, const void *pointer)
{
  return (uintptr_t)pointer >= range.low && (uintptr_t)pointer < range.high;
}

/* Not the profiler's: named so, or told by what lies in it. An unnamed mapping after that of a file is its .bss. */
static int is_others(struct range range, const char *path, const char *path_before)
{
  const char *name = *path == '\0' ? path_before : path;
  int here;
  return holds(range, &here) || holds(range, &errno) || strstr(name, "/libc.so") != NULL ||
         strstr(name, "/libc-2.") != NULL || strstr(name, "read_only") != NULL || strcmp(path, "[heap]") == 0 ||
         strcmp(path, "[stack]") == 0;
}

/* Reads all before it closes anything, and allocates nothing. */
static void find_ranges(void)
{
  static char maps[1 << 20], path_before[4096];
  int descriptor = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  size_t length = 0;
  for (ssize_t got = 1; got > 0; length += (size_t)got)
    got = read(descriptor, maps + length, sizeof maps - 1 - length);
  close(descriptor);
  for (char *rest, *line = strtok_r(maps, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
    struct range range;
    char mode[5], path[4096] = "";
    if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %4095s", &range.low, &range.high, mode, path) < 3)
      continue;
    if (mode[1] == 'w' && !is_others(range, path, path_before) && closed_count < RANGES_MAX)
      closed[closed_count++] = range;
    if (*path != '\0')
      strcpy(path_before, path);
  }
}

static void protect(int protection)
{
  for (unsigned i = 0; i < closed_count; i++)
    if (mprotect((void *)closed[i].low, closed[i].high - closed[i].low, protection) != 0)
      _exit(3);
}

static void make_pairs(void)
{
  free(keep(malloc(64)));
  find_ranges();
  protect(PROT_READ);
  for (unsigned i = 0; i < PAIRS; i++)
    free(keep(malloc(i % 8 * 16)));
  protect(PROT_READ | PROT_WRITE);
}

/* Samples whose interval is far above what the pairs allocate. */
static void hold_big(void)
{
  for (unsigned i = 0; i < 64; i++)
    held[i] = keep(malloc(BIG_BYTES));
}

/* At R = 1: every other object is freed again, so that pairs find holes beside live samples; then nothing more is sampled. */
static void hold_small(void)
{
  for (unsigned i = 0; i < 2 * HELD; i++)
    held[i] = keep(malloc(i % 8 * 16));
  for (unsigned i = 0; i < 2 * HELD; i += 16)
    for (unsigned j = i; j < i + 8; j++)
      free(held[j]);
  heapprof_stop();
}

int main(int argc, char **argv)
{
  const char *mode = argc > 1 ? argv[1] : "";
  struct heapprof_stats stats;
  if (heapprof_stats == NULL)
    return 2;
  if (strcmp(mode, "unsampled") == 0)
    hold_big();
  else if (strcmp(mode, "live_page") == 0)
    hold_small();
  make_pairs();
  heapprof_stats(&stats);
  printf("live samples %lu, closed mappings %s\n", (unsigned long)stats.live_samples,
         closed_count > 3 ? "many" : "few");
  return 0;
}
