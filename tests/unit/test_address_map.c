/* SPDX-License-Identifier: MIT */
/* Which address is recorded for a pc, also while the map is being renewed. */
#include "core/address_map.h"
#include "tests/unit/unit.h"

enum { PLACE = 0x10000, WIDTH = 0x3000, READERS = 3, RENEWALS = 20000 };
#define SHIFT (1ull << 60)

static uintptr_t place(unsigned n)
{
  return (uintptr_t)(n + 1) * PLACE;
}

static void at_first_every_pc_is_its_own(void **state)
{
  (void)state;
  assert_false(address_map_is_in_use());
  for (uintptr_t pc = 1; pc != 0; pc <<= 1)
    assert_int_equal(address_map_get(pc), pc);
}

static void each_place_by_its_rule(void **state)
{
  (void)state;
  address_map_begin();
  address_map_add_loaded(place(2), place(2) + WIDTH, 0);
  address_map_add_loaded(place(4), place(4) + WIDTH, SHIFT);
  address_map_add_past(place(2), place(2) + WIDTH);
  address_map_add_past(place(3), place(3) + WIDTH);
  address_map_set_past_span(place(5), place(7));
  assert_int_equal(address_map_get(place(4)), place(4)); /* not in force */
  address_map_end();
  assert_true(address_map_is_in_use());
  const uint64_t added[] = {0, 0, 0, ADDRESS_MAP_NOBODY, SHIFT, ADDRESS_MAP_NOBODY, ADDRESS_MAP_NOBODY, 0, 0};
  for (unsigned n = 0; n < COUNT_OF(added); n++)
    for (uintptr_t offset = 0; offset < WIDTH; offset += WIDTH - 1)
      assert_int_equal(address_map_get(place(n) + offset), place(n) + offset + added[n]);
  assert_int_equal(address_map_get(place(3) + WIDTH), place(3) + WIDTH);
  assert_int_equal(address_map_get(place(4) - 1), place(4) - 1);
  assert_int_equal(address_map_get(UINTPTR_MAX), UINTPTR_MAX);
}

static void as_many_as_there_is_room_for(void **state)
{
  (void)state;
  address_map_begin();
  for (unsigned n = 0; n < ADDRESS_MAP_MAX; n++) {
    address_map_add_loaded(place(2 * n), place(2 * n) + WIDTH, SHIFT + n);
    address_map_add_past(place(2 * n + 1), place(2 * n + 1) + WIDTH);
  }
  address_map_end();
  for (unsigned n = 0; n < ADDRESS_MAP_MAX; n++) {
    assert_int_equal(address_map_get(place(2 * n) + 1), place(2 * n) + 1 + SHIFT + n);
    assert_int_equal(address_map_get(place(2 * n + 1) + 1), place(2 * n + 1) + 1 + ADDRESS_MAP_NOBODY);
  }
}

static _Atomic bool is_over;

/* One map shifts a pc by 1, the next by 2: whatever is read is of one of them, or nobody's. */
static void *read_all_the_time(void *argument)
{
  uintptr_t *wrong = argument;
  while (!atomic_load(&is_over))
    for (unsigned n = 0; n < 8; n++) {
      uint64_t added = address_map_get(place(n) + 1) - place(n) - 1;
      *wrong += added != SHIFT + n && added != 2 * SHIFT + n && added != ADDRESS_MAP_NOBODY;
    }
  return NULL;
}

static void renew(uint64_t shift, unsigned first)
{
  address_map_begin();
  for (unsigned n = 0; n < first; n++) /* so that each is elsewhere in the table */
    address_map_add_loaded(n, n + 1, 7);
  for (unsigned n = 0; n < 8; n++)
    address_map_add_loaded(place(n), place(n) + WIDTH, shift + n);
  address_map_end();
}

static void renewed_while_it_is_read(void **state)
{
  (void)state;
  pthread_t readers[READERS];
  uintptr_t wrong[READERS] = {0};
  renew(SHIFT, 0);
  for (unsigned i = 0; i < READERS; i++)
    assert_int_equal(pthread_create(&readers[i], NULL, read_all_the_time, &wrong[i]), 0);
  for (unsigned i = 0; i < RENEWALS; i++)
    renew(i % 2 == 0 ? 2 * SHIFT : SHIFT, i % 5);
  atomic_store(&is_over, true);
  for (unsigned i = 0; i < READERS; i++) {
    pthread_join(readers[i], NULL);
    assert_int_equal(wrong[i], 0);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(at_first_every_pc_is_its_own),
      cmocka_unit_test(each_place_by_its_rule),
      cmocka_unit_test(as_many_as_there_is_room_for),
      cmocka_unit_test(renewed_while_it_is_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
