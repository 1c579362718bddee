/* SPDX-License-Identifier: MIT */
/* A thread that allocates while the constructor runs, under every order that C11 allows (tests/order/explorer.h). */
#include "core/compiler.h"
#include "tests/order/explored.h"

#include "core/sys.h"
#include "core/ticks.h"
#include "tests/order/threads.h"
#include "tests/order/weakened.h"

/* Nothing is timed. */
#define ticks_now() 0

#include "core/prng.c"
#include "core/sampler.c"
#include "core/thread.c"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;
static _Atomic uint64_t token = 1;
_Atomic unsigned sys_filters, sys_strict_filters, sys_clock_refusals;
uint32_t ticks_per_ns_q16;
_Atomic uint64_t *process_token = &token;
_Atomic uint8_t lanes_turn_mask = 7;
struct trail trails[TRAILS];

struct region_header *region_header(void)
{
  return NULL;
}

struct region_record *region_at(uint32_t granule)
{
  (void)granule;
  return NULL;
}

/* As interpose/lifecycle.c: the sampler is set up, and told to begin last. */
static void construct(void)
{
  sampler_init(1, 1, true);
  atomic_store(&sampler_mode, SAMPLER_ON);
}

enum { SIZE = 100 };

static void allocate(void)
{
  struct sampler_decision decision = sampler_decide(SIZE);
  if (decision.is_sampled)
    explorer_require(sampler_interval() == 1 && decision.units_counted == SIZE + 1);
}

static const struct explorer_scenario constructed = {.name = "an allocation while the constructor runs",
                                                     .threads = {construct, allocate}};
static const struct explorer_scenario *const scenarios[] = {&constructed};

ORDER_MAIN(who_samples_knows_the_settings, "core/process.h", "core/lock.h", "core/sys.h", NULL)
