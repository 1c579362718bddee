/* SPDX-License-Identifier: MIT */
#include "core/settle.h"

#include "core/cfi/cfi.h"
#include "core/libc.h"
#include "core/live/live.h"
#include "core/mappings/mapping_table.h"
#include "core/modules.h"
#include "core/on_stack.h"
#include "core/process.h"
#include "core/region.h"
#include "core/sampler.h"
#include "core/stacks.h"
#include "core/sys.h"
#include "core/ticks.h"

#include <sys/auxv.h>

enum { SETUP_STACK_BYTES = 64 << 10 };
static LARGE char first_stack[SETUP_STACK_BYTES]; /* for begin(): mapped anew, it would cost as much as a page or two */

static const struct config *settings;
static const char *program_name, *allocator_name;
static int first_pid;
static _Atomic int is_adopting;
enum { NOT_BEGUN, BEGINNING, BEGUN };
static _Atomic int beginning;
static _Atomic uint64_t samples_without_region;

bool settle_init(const struct config *config, const char *program, const char *allocator)
{
  settings = config;
  program_name = program;
  allocator_name = allocator;
  first_pid = sys_getpid();
  return process_init();
}

/* A sample may find no region and be counted while another thread makes one: whoever is later, of who counts and who
 * makes it, sees what both did. */
static void count_lost_samples(void)
{
  if (!process_is_settled() || region_header() == NULL)
    return;
  uint64_t samples =
      atomic_exchange_explicit(&samples_without_region, 0, memory_order_release /* pairs with the add */);
  atomic_fetch_add_explicit(&region_header()->lost[LOSS_region], samples, memory_order_relaxed);
}

static void begin(void *unused)
{
  (void)unused;
  ticks_init();
  if (!region_create(settings, program_name, allocator_name))
    return;
  ticks_settle(); /* a state file takes its time */
  atomic_store_explicit(&region_header()->ticks_per_second, (uint64_t)ticks_per_second(), memory_order_relaxed);
  if (process_is_settled()) /* the first to allocate may be a vfork child: the region is its parent's all the same */
    region_header()->pid = (uint32_t)first_pid;
  process_begin_epoch();
  process_set_settled(); /* a child that was forked before there was a region owns the one it makes */
  count_lost_samples();
  (void)cfi_compile(getauxval(AT_ENTRY)); /* so that the main program is in every profile */
}

static bool is_still(const _Atomic int *state, int value)
{
  return atomic_load_explicit(state, memory_order_acquire /* pairs with the end of it */) == value;
}

/* Another thread is doing it and may need this core. A handler that interrupted that thread waits in vain, but not for
 * long. */
static void wait_while(const _Atomic int *state, int value)
{
  enum { SPINS = 2000, YIELDS = 200 };
  for (int spins = 0; spins < SPINS && is_still(state, value); spins++)
    arch_pause();
  for (int yields = 0; yields < YIELDS && is_still(state, value); yields++)
    sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

void settle_begin(void)
{
  if (LIKELY(region_header() != NULL) || settings == NULL || !sys_may_call(SYS_openat))
    return;
  int first = NOT_BEGUN;
  if (atomic_compare_exchange_strong_explicit(&beginning, &first, BEGINNING, memory_order_relaxed,
                                              memory_order_relaxed)) {
    on_stack_below(first_stack + sizeof first_stack, begin, NULL);
    atomic_store_explicit(&beginning, BEGUN, memory_order_release /* pairs with wait_while */);
  }
  wait_while(&beginning, BEGINNING);
}

void settle_was_forked(void)
{
  process_was_forked();
  atomic_store_explicit(&is_adopting, 0, memory_order_relaxed);
  atomic_store_explicit(&samples_without_region, 0, memory_order_relaxed);
  if (region_header() == NULL)
    atomic_store_explicit(&beginning, NOT_BEGUN, memory_order_relaxed);
}

void settle_lose_sample(void)
{
  atomic_fetch_add_explicit(&samples_without_region, 1, memory_order_acquire /* pairs with the exchange */);
  count_lost_samples();
}

bool settle_lost_everything(void)
{
  return atomic_load_explicit(&samples_without_region, memory_order_relaxed) > 0 &&
         (region_header() == NULL || !process_is_settled());
}

/* By the one thread that adopts. */
static struct {
  uint64_t objects_q16, bytes_q4;
} inherited;

static struct sample_weight weigh(struct live_entry entry)
{
  struct sample_weight weight = sampler_weigh(entry.size_bytes);
  weight.halves = entry.halves & HALF_BOTH;
  return weight;
}

static void count_inherited(struct live_entry entry)
{
  struct sample_weight weight = weigh(entry);
  stacks_count_inherited(entry.stack, weight);
  inherited.objects_q16 += weight.objects_q16;
  inherited.bytes_q4 += tally_bytes_q4(weight);
}

/* The estimates of a child begin with what it inherited, so what they are compared with does, too (docs/sampling.md,
 * 6). */
static void inherit_units(void)
{
  if (sampler_interval() == 1) /* the stacks tell them */
    return;
  uint64_t objects = (inherited.objects_q16 + (1 << 15)) >> 16, bytes = (inherited.bytes_q4 + (1 << 3)) >> 4;
  atomic_fetch_add_explicit(&region_header()->exact_units, objects + bytes, memory_order_relaxed);
}

static void count_deferred_free(struct live_entry entry)
{
  stacks_count_free(entry.stack, weigh(entry));
}

static void adopt(void *result)
{
  bool *is_settled = result;
  if (region_header() == NULL || !region_adopt(settings))
    return;
  process_begin_epoch();
  stacks_inherit();
  inherited.objects_q16 = inherited.bytes_q4 = 0;
  live_adopt_each(count_inherited);
  inherit_units();
  mapping_table_adopt();
  region_announce();
  process_set_settled();
  mapping_table_end_adoption();
  count_lost_samples();
  live_adopt_settle(count_deferred_free);
  modules_check_unloaded();
  *is_settled = true;
}

bool settle_for_sample(void)
{
  settle_begin();
  return region_header() != NULL && settle();
}

bool settle(void)
{
  if (process_is_settled())
    return true;
  int idle = 0;
  if (!atomic_compare_exchange_strong_explicit(&is_adopting, &idle, 1, memory_order_acquire /* pairs with the end */,
                                               memory_order_relaxed)) {
    wait_while(&is_adopting, 1);
    return process_is_settled();
  }
  bool is_settled = process_is_settled();
  if (!is_settled)
    (void)on_fresh_stack(adopt, &is_settled, SETUP_STACK_BYTES);
  atomic_store_explicit(&is_adopting, 0, memory_order_release /* pairs with who waited, or comes next */);
  return is_settled;
}

bool settle_defer_free(const void *pointer)
{
  bool was_live = live_remove_during_adoption(pointer);
  if (process_is_settled())
    live_adopt_settle(count_deferred_free); /* adopted between the two steps: the adopter may have missed it */
  return was_live;
}
