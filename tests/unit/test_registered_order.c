/* SPDX-License-Identifier: MIT */
/* What a program registered, under every order that C11 allows (tests/order/explorer.h): an entry is found whole or not at all, while
 * another one takes its place. That its bytes stay while they are read is for readers.c, whose wait is bounded. */
#include "tests/order/explored.h"
#include "tests/order/weakened.h"

#include "core/cfi/bytes.c"
#include "core/cfi/eh_frame.c"
#include "core/cfi/registered.c"

#include "order.h"

_Atomic uint64_t rule_generation;
_Atomic unsigned sys_filters, sys_strict_filters;

void readers_wait(void) {}

/* A CIE ("zR"; CFA = rsp + 8, rip below), and entries for CODE_BYTES behind it. */
enum { CIE_BYTES = 24, ENTRY_BYTES = 20, CODE_FIELD_AT = 8, CODE_BYTES = 64 };

static const unsigned char cie[CIE_BYTES] = {20, 0,    0,  0, 0,    0,  0, 0, 1,    'z', 'R', 0,
                                             1,  0x78, 16, 1, 0x1b, 12, 7, 8, 0x90, 1,   0,   0};

static struct {
  _Alignas(8) unsigned char one[CIE_BYTES + ENTRY_BYTES + 4];
  _Alignas(8) unsigned char two[CIE_BYTES + 2 * ENTRY_BYTES + 4];
  unsigned char code[CODE_BYTES];
} image;

static void put_entry(unsigned char *at, const unsigned char *begin)
{
  int32_t length = ENTRY_BYTES - 4, shared = (int32_t)(at + 4 - begin),
          code = (int32_t)(image.code - (at + CODE_FIELD_AT));
  int32_t code_bytes = CODE_BYTES;
  memcpy(at, &length, sizeof length);
  memcpy(at + 4, &shared, sizeof shared);
  memcpy(at + CODE_FIELD_AT, &code, sizeof code);
  memcpy(at + CODE_FIELD_AT + 4, &code_bytes, sizeof code_bytes);
}

static void make_image(void)
{
  memcpy(image.one, cie, CIE_BYTES);
  memcpy(image.two, cie, CIE_BYTES);
  put_entry(image.one + CIE_BYTES, image.one);
  put_entry(image.two + CIE_BYTES, image.two);
  put_entry(image.two + CIE_BYTES + ENTRY_BYTES, image.two);
}

static void add_one(void)
{
  registered_add((uintptr_t)image.one);
}

static void replace_one(void)
{
  registered_remove((uintptr_t)image.one);
  registered_add((uintptr_t)image.two);
}

static void find_whole(void)
{
  unsigned position = 0;
  struct eh_frame_span span;
  if (!registered_next((uintptr_t)image.code + 1, &position, &span))
    return;
  bool is_one = span.low == (uintptr_t)image.one;
  explorer_require(is_one || span.low == (uintptr_t)image.two);
  explorer_require(span.high == span.low + (is_one ? sizeof image.one : sizeof image.two) - 4);
}

static const struct explorer_scenario first = {.name = "one is registered", .threads = {add_one, find_whole}};
static const struct explorer_scenario replaced = {
    .name = "one takes the place of another", .set_up = add_one, .threads = {replace_one, find_whole}};
static const struct explorer_scenario *const scenarios[] = {&first, &replaced};

/* Single: what the scenarios rely on. */
static void it_is_found(void **state)
{
  (void)state;
  unsigned position = 0;
  struct eh_frame_span span = {0, 0};
  struct eh_frame_span measured;
  struct address_range code;
  assert_true(measure((uintptr_t)image.two, &measured, &code));
  assert_int_equal(measured.high, (uintptr_t)image.two + sizeof image.two - 4);
  add_one();
  assert_true(registered_next((uintptr_t)image.code + 1, &position, &span));
  assert_int_equal(span.low, (uintptr_t)image.one);
  assert_int_equal(span.high, (uintptr_t)image.one + sizeof image.one - 4);
  registered_remove((uintptr_t)image.one);
  position = 0;
  assert_false(registered_next((uintptr_t)image.code + 1, &position, &span));
}

/* What registered_remove orders is who reads, and rules (readers.c, rules.c). */
ORDER_TESTS(what_is_found_is_whole, "registered_remove", NULL)

int main(void)
{
  make_image();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_found),
      cmocka_unit_test(what_is_found_is_whole),
      cmocka_unit_test(every_order_is_needed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
