/* SPDX-License-Identifier: MIT */
/* The trail that threads of one lane share, under every order that C11 allows (tests/order/explorer.h). */
#include "core/compiler.h"
#include "core/sys.h"
#include "tests/order/explored.h"
#include "tests/order/threads.h"
#include "tests/order/weakened.h"

#include "core/lock.h"

/* All threads are of one lane. */
#define lock_thread_identity() ((uintptr_t)0x10000)
#include "core/lanes/lanes.h"
#undef lock_thread_identity

#define sys_map_anonymous explorer_map
#define sys_munmap(address, size) ((void)(address), (void)(size))
#include "core/trail.c"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;
_Atomic uint64_t rule_generation, address_map_span;

uint64_t address_map_look_up(uintptr_t pc)
{
  return pc;
}

void region_add_own(const void *start, uint64_t bytes)
{
  (void)start;
  (void)bytes;
}

/* Records of stacks by number: the shared one, and one of this lane that a thread makes. */
enum { SHARED = 7, OWN = 8, FRAMES = 5, PC = 1000 };
static unsigned records[OWN + 1] = {[SHARED] = FRAMES};

/* A walk of one frame, always the same. */
static void walk_again(void)
{
  struct trail *trail = trail_take();
  if (trail == NULL)
    return;
  struct trail_cursor cursor = trail_begin(trail);
  if (cursor.known == 0)
    cursor.kept_count = 1;
  else
    trail->fresh[cursor.fresh_count++] =
        (struct trail_frame){.pc = PC, .sp = (uint64_t)TRAIL_BP_KEPT << TRAIL_ADDRESS_BITS};
  trail_end(&cursor);
  uint32_t stack = trail_stack(&cursor);
  if (stack != 0)
    explorer_require((stack == SHARED || stack == OWN) && records[stack] == FRAMES);
  else
    trail_set_stack(trail, SHARED);
  trail_give_back(trail);
}

static void leave_shared(void)
{
  records[OWN] = FRAMES;
  trail_replace_stack(SHARED, OWN);
}

static void walk_and_leave_shared(void)
{
  walk_again();
  leave_shared();
}

static const struct explorer_scenario walked = {
    .name = "two walk", .set_up = walk_again, .threads = {walk_again, walk_again}};
static const struct explorer_scenario first_walk = {.name = "two walk first", .threads = {walk_again, walk_again}};
static const struct explorer_scenario replaced = {
    .name = "the stack of a walk is replaced", .set_up = walk_again, .threads = {walk_and_leave_shared, walk_again}};
static const struct explorer_scenario *const scenarios[] = {&walked, &first_walk, &replaced};

/* The generation belongs to who moves it (modules.c). */
ORDER_MAIN(stack_of_a_walk_is_whole, "trail_begin", "chunk_at", "core/process.h", "core/rules.h", "core/address_map.h",
           NULL)
