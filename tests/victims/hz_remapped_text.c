/* SPDX-License-Identifier: MIT */
/* The program's code moves to anonymous memory at the same address, as servers do that want it on huge pages. */
#include "hz_victim.h"
#include <sys/mman.h>

VICTIM void *victim_leaf(size_t size)
{
  return shadow_add(malloc(size), size);
}

VICTIM void victim_caller(void)
{
  REQUIRE(victim_leaf(1000) != NULL);
  __asm__ volatile("" : : : "memory");
}

__attribute__((noinline)) static void move(uintptr_t low, size_t size)
{
  void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(copy != MAP_FAILED);
  memcpy(copy, (void *)low, size);
  REQUIRE(mprotect(copy, size, PROT_READ | PROT_EXEC) == 0);
  REQUIRE(mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)low) == (void *)low);
}

static void move_code(void)
{
  char line[512], flags[8];
  unsigned long low, high, found_low = 0, found_high = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  REQUIRE(maps != NULL);
  while (fgets(line, sizeof line, maps))
    if (sscanf(line, "%lx-%lx %7s", &low, &high, flags) == 3 && low <= (uintptr_t)move_code &&
        high > (uintptr_t)move_code)
      found_low = low, found_high = high;
  fclose(maps);
  REQUIRE(found_low != 0);
  move(found_low, found_high - found_low);
}

int main(void)
{
  victim_caller();
  move_code();
  victim_caller();
  shadow_print();
  return 0;
}
