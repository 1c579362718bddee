/* SPDX-License-Identifier: MIT */
/* A1: one thread frees a block, another gets its address before that free has returned, and keeps it. What is kept must be in
 * use at the end. Needs hz_handing_allocator behind it to be sure of the moment. */
#include "hz_handing_allocator.h"
#include "hz_victim.h"

#include <sched.h>

enum { ROUNDS = 500 };

static _Atomic int kept;

VICTIM static void *victim_get(void)
{
  void *p = malloc(HANDED_BYTES);
  REQUIRE(p != NULL);
  return p;
}

static void *keep_what_is_freed(void *unused)
{
  while (kept < ROUNDS) {
    if (hz_is_offered != NULL && !hz_is_offered()) {
      sched_yield();
      continue;
    }
    shadow_add(victim_get(), HANDED_BYTES);
    kept++;
  }
  return unused;
}

int main(void)
{
  pthread_t keeper;
  hz_alarm(50);
  REQUIRE(pthread_create(&keeper, NULL, keep_what_is_freed, NULL) == 0);
  for (int i = 0; i < ROUNDS; i++) {
    void *p = shadow_add(victim_get(), HANDED_BYTES);
    shadow_remove(HANDED_BYTES);
    free(p);
  }
  pthread_join(keeper, NULL);
  shadow_print();
  return 0;
}
