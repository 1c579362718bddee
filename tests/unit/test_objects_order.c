/* SPDX-License-Identifier: MIT */
/* Threads that come to an object for the first time at once, under every order that C11 allows (tests/order/explorer.h): each is told what it
 * is, whoever writes the cache meanwhile. That they wait boundedly for the lock is not explored: they wait for as long as they must. */
#include "core/arch/arch.h"
#include "tests/order/explored.h"

/* On the stack of the explorer's thread, and no signals come. */
#define arch_call_on_stack(function, argument, end) ((void)(end), (function)(argument))

#include "core/on_stack.h"

#define signals_block() ((struct blocked_signals){0})
#define signals_restore(before) ((void)(before))

#include "tests/order/threads.h"
#include "tests/order/weakened.h"

#include <errno.h>

static int errno_of[EXPLORER_THREADS];
#undef errno
#define errno errno_of[explorer_thread()]

#include "core/cfi/object_cache.c"
#include "core/cfi/objects.c"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;
_Atomic uint64_t rule_generation;
_Atomic unsigned sys_filters, sys_strict_filters;
struct lock modules_lock;

enum { CODE_LOW = 100, CODE_HIGH = 200, PC = 150, START = 300 };

static const struct object_holder holder = {(const void *)0x1000, (const void *)0x2000};
static struct module module;

struct module *modules_find(uintptr_t pc)
{
  (void)pc;
  return &module;
}

bool modules_look(uintptr_t pc, struct module *seen)
{
  (void)pc;
  *seen = module;
  return true;
}

struct address_range module_segment(const struct module *of, uintptr_t address)
{
  (void)of, (void)address;
  return (struct address_range){CODE_LOW, CODE_HIGH};
}

bool modules_are_permanent(const void *link_map)
{
  return link_map == holder.link_map;
}

const struct link_map *modules_next_permanent(const struct link_map *map)
{
  (void)map;
  return NULL;
}

bool loaded_find(uintptr_t pc, struct dl_find_object *object)
{
  (void)pc, (void)object;
  return false;
}

void locate_frames(struct module *of)
{
  (void)of;
}

bool locate_noted_frames(struct module *of)
{
  (void)of;
  return true;
}

bool locate_sort_if_needed(struct module *of)
{
  (void)of;
  return false;
}

bool readers_see_unloading(void)
{
  return false;
}

static void set_up(void)
{
  module = (struct module){.link_map = holder.link_map,
                           .eh_frame_hdr = holder.eh_frame_hdr,
                           .frames = {.span = {START, START}, .start = START},
                           .frames_are_known = true};
}

static void use(const struct cfi_object *object, struct objects_question *question)
{
  (void)question;
  explorer_require(object->code.low == CODE_LOW && object->code.high == CODE_HIGH);
  explorer_require(object->frames.span.low == START && object->frames.start == START);
}

static void come(void)
{
  struct objects_question question = {.holder = &holder, .pc = PC, .use = use, .learned = OBJECTS_BUSY};
  objects_answer(&question);
  explorer_require(question.learned == OBJECTS_LEARNED || question.learned == OBJECTS_SEEN);
}

static const struct explorer_scenario at_once = {.name = "two come at once", .set_up = set_up, .threads = {come, come}};
static const struct explorer_scenario *const scenarios[] = {&at_once};

/* The orders are weakened in test_object_cache_order and test_lock_order. */
static void each_is_told(void **state)
{
  (void)state;
  assert_true(weakened_hold_all(scenarios, COUNT_OF(scenarios)));
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_is_told)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
