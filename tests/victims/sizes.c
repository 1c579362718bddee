/* SPDX-License-Identifier: MIT */
/* sizes MIX ROUNDS DIRECTORY: allocates a fixed mix of sizes per round, keeps half of each size, writes a profile
 * DIRECTORY/ROUND.pb.gz and frees. Every profile is one estimate of in-use, and its difference to the one before an estimate of
 * what was allocated: many estimates for one start of a process. Nothing is touched, so that it is quick.
 *
 * The counts keep the bulk of the variance in sizes that are sampled some hundred times a round, as the normal interval
 * assumes, and let sizes 0 to 16 and 64 MiB take part. */
#include "heapprof.h"
#include "shadow.h"

#include <stdbool.h>
#include <string.h>

struct share {
  size_t size, count;
};

static const struct share wide[] = {{0, 40},       {1, 40},       {16, 4000},    {64, 1200000},
                                    {256, 300000}, {1024, 50000}, {4096, 12000}, {32768, 1500},
                                    {262144, 180}, {1 << 20, 40}, {5 << 20, 10}, {64 << 20, 2}};
static const struct share tiny[] = {{0, 150000}, {1, 100000}, {2, 50000}, {7, 40000},
                                    {24, 20000}, {64, 10000}, {4096, 100}};

static void *kept[2000000];
static size_t kept_count;

VICTIM void victim_allocate(const struct share *mix, size_t shares)
{
  for (size_t s = 0; s < shares; s++)
    for (size_t i = 0; i < mix[s].count; i++) {
      void *p = malloc(mix[s].size);
      __asm__ volatile("" : "+r"(p) : : "memory");
      if (i % 2 == 0)
        kept[kept_count++] = p;
      else
        free(p);
    }
}

static void free_kept(void)
{
  while (kept_count > 0)
    free(kept[--kept_count]);
}

/* The truth of one round; the loop above has no room for counting. */
static void print_truth(const struct share *mix, size_t shares)
{
  unsigned long objects = 0, bytes = 0, kept_objects = 0, kept_bytes = 0;
  for (size_t s = 0; s < shares; s++) {
    objects += mix[s].count;
    bytes += mix[s].count * mix[s].size;
    kept_objects += (mix[s].count + 1) / 2;
    kept_bytes += (mix[s].count + 1) / 2 * mix[s].size;
  }
  dprintf(STDOUT_FILENO, "shadow alloc_objects=%lu alloc_bytes=%lu inuse_objects=%lu inuse_bytes=%lu pid=%d\n", objects,
          bytes, kept_objects, kept_bytes, (int)getpid());
}

int main(int argc, char **argv)
{
  REQUIRE(argc == 4 && heapprof_dump != NULL);
  bool is_wide = strcmp(argv[1], "wide") == 0;
  const struct share *mix = is_wide ? wide : tiny;
  size_t shares = is_wide ? sizeof wide / sizeof *wide : sizeof tiny / sizeof *tiny;
  print_truth(mix, shares);
  for (int round = 0; round < atoi(argv[2]); round++) {
    char path[512];
    snprintf(path, sizeof path, "%s/%d.pb.gz", argv[3], round);
    victim_allocate(mix, shares);
    REQUIRE(heapprof_dump(path) == 0);
    free_kept();
  }
  return 0;
}
