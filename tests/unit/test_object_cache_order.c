/* SPDX-License-Identifier: MIT */
/* The cache of loaded objects, under every order that C11 allows (tests/order/explorer.h). */
#include "tests/order/explored.h"
#include "tests/order/weakened.h"

#include "core/cfi/object_cache.c"

#include "order.h"

_Atomic uint64_t rule_generation;

enum { CODE_LOW = 100, CODE_HIGH = 200, PC = 150, BEFORE = 1, AFTER = 2 };

static struct object_holder holder = {(const void *)0x1000, (const void *)0x2000};

/* Its numbers are all the same. */
static struct cfi_object object_of(uintptr_t number)
{
  return (struct cfi_object){.code = {CODE_LOW, CODE_HIGH}, .frames = {.span = {number, number}, .start = number}};
}

static void put_number(uintptr_t number)
{
  struct cfi_object object = object_of(number);
  object_cache_put(&holder, &object);
}

static void put_before(void)
{
  put_number(BEFORE);
}

static void put_after(void)
{
  put_number(AFTER);
}

static void expect_whole(uintptr_t either, uintptr_t other)
{
  struct cfi_object object;
  if (!object_cache_get(&holder, PC, &object))
    return;
  uintptr_t number = object.frames.start;
  explorer_require(number == either || number == other);
  explorer_require(object.code.low == CODE_LOW && object.code.high == CODE_HIGH);
  explorer_require(object.frames.span.low == number && object.frames.span.high == number);
}

static void get_either(void)
{
  expect_whole(BEFORE, AFTER);
}

static void get_first(void)
{
  expect_whole(AFTER, AFTER);
}

static const struct explorer_scenario replaced = {
    .name = "an entry is replaced", .set_up = put_before, .threads = {put_after, get_either}};
static const struct explorer_scenario fresh = {.name = "an entry is the first", .threads = {put_after, get_first}};
static const struct explorer_scenario *const scenarios[] = {&replaced, &fresh};

/* The generation belongs to who moves it (modules.c). */
ORDER_MAIN(what_is_got_is_whole, "key_of", NULL)
