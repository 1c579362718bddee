/* SPDX-License-Identifier: MIT */
#include "tools/state/addresses.h"

#include "unit.h"

enum { COUNT = 200000 };

/* A different one for each number, in no order. */
static uint64_t scattered(uint64_t number)
{
  uint64_t value = number * UINT64_C(0x9e3779b97f4a7c15);
  return value ^ value >> 32;
}

/* Half of them once, the others twice. */
static void add_all(struct addresses *addresses, uint64_t (*address)(uint64_t))
{
  for (uint32_t i = 0; i < COUNT; i++)
    assert_int_equal(addresses_add(addresses, address(i)), i);
  for (uint32_t i = 0; i < COUNT; i += 2)
    assert_int_equal(addresses_add(addresses, address(i)), i);
  assert_int_equal(addresses->values->len, COUNT);
}

static void check_sorted(uint64_t (*address)(uint64_t))
{
  struct addresses addresses;
  addresses_init(&addresses);
  add_all(&addresses, address);
  g_autofree uint32_t *ranks = addresses_sort(&addresses);
  for (uint32_t i = 0; i < COUNT; i++) {
    assert_int_equal(g_array_index(addresses.values, uint64_t, ranks[i]), address(i));
    if (i > 0)
      assert_true(g_array_index(addresses.values, uint64_t, i - 1) < g_array_index(addresses.values, uint64_t, i));
  }
  addresses_clear(&addresses);
}

static void test_scattered(void **state)
{
  (void)state;
  check_sorted(scattered);
}

static uint64_t in_a_row(uint64_t number)
{
  return 0x7f0000000000 + 16 * number;
}

static uint64_t falling(uint64_t number)
{
  return UINT64_MAX - 4096 * number;
}

static void test_in_a_row(void **state)
{
  (void)state;
  check_sorted(in_a_row);
  check_sorted(falling);
}

static void test_none(void **state)
{
  (void)state;
  struct addresses addresses;
  addresses_init(&addresses);
  g_free(addresses_sort(&addresses));
  assert_int_equal(addresses.values->len, 0);
  addresses_clear(&addresses);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scattered),
      cmocka_unit_test(test_in_a_row),
      cmocka_unit_test(test_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
