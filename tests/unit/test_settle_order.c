/* SPDX-License-Identifier: MIT */
/* How a process comes to its region, under every order that C11 allows (tests/order/explorer.h): once, and whoever sees that it has one
 * sees all of it. */
#include "core/compiler.h"
#include "tests/order/explored.h"

#include "core/on_stack.h"
#include "tests/order/threads.h"
#include "tests/order/weakened.h"

#include "core/cfi/cfi.h"
#include "core/live/live.h"
#include "core/mappings/mapping_table.h"
#include "core/modules.h"
#include "core/region.h"
#include "core/sampler.h"
#include "core/stacks.h"
#include "core/ticks.h"

/* No scenario has a stack of its own, nor a kernel. */
#define on_stack_below(end, function, argument) ((void)(end), (function)(argument))
#define on_fresh_stack(function, argument, bytes) ((function)(argument), true)
#define sys_map_anonymous explorer_map
#define sys_madvise(address, size, advice) ((void)(address), (void)(size), (void)(advice), 0)
#define sys_getpid() 7
#define sys_may_call(number) true

#include "core/process.c"
#include "core/settle.c"

#include "order.h"

/* The region. */
static struct region_header the_header;
static _Atomic(struct region_header *) header;
static _Atomic int creations, adoptions;
static unsigned content; /* no atomic: of who makes the region, until others know of it */

struct region_header *region_header(void)
{
  return atomic_load_explicit(&header, memory_order_acquire);
}

bool region_create(const struct config *config, const char *program, const char *allocator)
{
  (void)config, (void)program, (void)allocator;
  (void)atomic_fetch_add_explicit(&creations, 1, memory_order_relaxed);
  content = 1;
  atomic_store_explicit(&header, &the_header, memory_order_release);
  return true;
}

bool region_adopt(const struct config *config)
{
  (void)config;
  content = 2;
  (void)atomic_fetch_add_explicit(&adoptions, 1, memory_order_relaxed);
  return true;
}

void region_announce(void) {}

/* What else takes part. */

static struct live_entry no_entry;

void ticks_init(void) {}

void ticks_settle(void) {}

double ticks_per_second(void)
{
  return 1e9;
}

packed_rule cfi_compile(uintptr_t pc)
{
  return pc;
}

void stacks_inherit(void)
{
  content++;
}

void stacks_count_inherited(uint32_t stack, struct sample_weight weight)
{
  (void)stack, (void)weight;
}

void stacks_count_free(uint32_t stack, struct sample_weight weight)
{
  (void)stack, (void)weight;
}

void live_adopt_each(void (*visit)(struct live_entry entry))
{
  (void)visit;
}

void live_adopt_settle(void (*visit)(struct live_entry entry))
{
  (void)visit;
}

bool live_remove_during_adoption(const void *pointer)
{
  (void)pointer;
  return no_entry.stack != 0;
}

void mapping_table_adopt(void) {}

void mapping_table_end_adoption(void) {}

void modules_check_unloaded(void) {}

struct sample_weight sampler_weigh(uint64_t size_bytes)
{
  return (struct sample_weight){.size_bytes = size_bytes};
}

uint64_t sampler_interval(void)
{
  return 1;
}

static const struct config config;

static void start(void)
{
  explorer_require(settle_init(&config, "program", "allocator"));
}

/* The first sample makes the region. */

static void begin_and_look(void)
{
  explorer_require(settle_for_sample());
  explorer_require(content == 1);
}

static void expect_one_creation(void)
{
  explorer_require(atomic_load_explicit(&creations, memory_order_relaxed) == 1 && content == 1);
}

static const struct explorer_scenario first_samples = {.name = "the first samples of two threads",
                                                       .set_up = start,
                                                       .threads = {begin_and_look, begin_and_look},
                                                       .finish = expect_one_creation};

/* A forked child that goes on with two threads. */

static void fork_child(void)
{
  start();
  settle_begin();
  settle_was_forked();
}

static void settle_and_look(void)
{
  explorer_require(settle());
  explorer_require(content == 3);
}

static void look_if_settled(void)
{
  if (process_is_settled())
    explorer_require(content == 3);
}

static void expect_one_adoption(void)
{
  explorer_require(atomic_load_explicit(&adoptions, memory_order_relaxed) == 1 && content == 3);
  explorer_require(process_epoch() == 2 * PROCESS_EPOCH_FIRST);
}

static const struct explorer_scenario child = {.name = "two threads of a child settle it",
                                               .set_up = fork_child,
                                               .threads = {settle_and_look, settle_and_look, look_if_settled},
                                               .finish = expect_one_adoption};

/* Where no handler was run, the page that the kernel wiped says that it is a child. */

static void fork_without_handler(void)
{
  start();
  settle_begin();
  atomic_store_explicit(process_token, 0, memory_order_relaxed);
  atomic_store_explicit(&page->has_begun_epoch, 0, memory_order_relaxed);
}

static const struct explorer_scenario raw_child = {.name = "two threads of a child whose handlers did not run",
                                                   .set_up = fork_without_handler,
                                                   .threads = {settle_and_look, settle_and_look},
                                                   .finish = expect_one_adoption};

/* A sample that finds no region is counted, in the region if one is made meanwhile. */

static void lose_sample(void)
{
  settle_lose_sample();
}

static void begin_alone(void)
{
  settle_begin();
}

static void expect_one_lost(void)
{
  uint64_t waiting = atomic_load_explicit(&samples_without_region, memory_order_relaxed);
  explorer_require(waiting == 0 && atomic_load_explicit(&the_header.lost[LOSS_region], memory_order_relaxed) == 1);
}

static const struct explorer_scenario lost = {.name = "a sample is lost while the region is made",
                                              .set_up = start,
                                              .threads = {lose_sample, begin_alone},
                                              .finish = expect_one_lost};

static const struct explorer_scenario *const scenarios[] = {&first_samples, &child, &raw_child, &lost};

ORDER_MAIN(region_is_made_once_and_seen_whole, "core/lock.h", "core/rules.h", "core/sys.h", NULL)
