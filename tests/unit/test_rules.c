/* SPDX-License-Identifier: MIT */
#include "core/rules.h"

#include "core/prng.h"
#include "unit.h"

static void expect_kept(struct frame_rule rule)
{
  packed_rule packed = rule_pack(rule);
  assert_int_equal(rule_kind(packed), rule.kind);
  assert_int_equal(rule_bp(packed), rule.bp);
  assert_int_equal(rule_cfa_offset(packed), rule.cfa_offset);
  assert_int_equal(rule_addend(packed), rule.addend);
  assert_int_equal(rule_bp_offset(packed), rule.bp_offset);
  assert_int_equal(rule_ra_offset(packed), rule.ra_offset);
}

static int32_t in_words(uint64_t *random, unsigned bits)
{
  return 8 * ((int32_t)(prng_next(random) % (1u << bits)) - (1 << (bits - 1)));
}

static void packing_keeps_every_field(void **state)
{
  (void)state;
  uint64_t random = 17;
  for (int i = 0; i < 100000; i++)
    expect_kept((struct frame_rule){.kind = (enum rule_kind)(1 + prng_next(&random) % 8),
                                    .bp = (enum rule_bp)(prng_next(&random) % 4),
                                    .cfa_offset = (int32_t)(prng_next(&random) % (1u << RULE_CFA_BITS)) -
                                                  (1 << (RULE_CFA_BITS - 1)),
                                    .addend = in_words(&random, ARCH_RULE_ADDEND_BITS),
                                    .bp_offset = in_words(&random, ARCH_RULE_BP_BITS),
                                    .ra_offset = in_words(&random, ARCH_RULE_RETURN_ADDRESS_BITS)});
}

static void limits_of_the_packed_form(void **state)
{
  (void)state;
  const struct frame_rule plain = {.kind = RULE_BP_DEREF, .bp = RULE_BP_AT_BP, .cfa_offset = 16, .ra_offset = -8};
  static const struct {
    size_t offset;
    int32_t bits, unit;
  } fields[] = {{offsetof(struct frame_rule, cfa_offset), RULE_CFA_BITS, 1},
                {offsetof(struct frame_rule, addend), ARCH_RULE_ADDEND_BITS, 8},
                {offsetof(struct frame_rule, bp_offset), ARCH_RULE_BP_BITS, 8},
                {offsetof(struct frame_rule, ra_offset), ARCH_RULE_RETURN_ADDRESS_BITS, 8}};
  assert_in_range(RULE_CFA_BITS, 26, 28); /* 32 MiB at least */
  for (size_t i = 0; i < COUNT_OF(fields); i++) {
    int32_t high = (1 << (fields[i].bits - 1)) - 1, low = -high - 1;
    struct frame_rule rule = plain;
    int32_t *field = (int32_t *)((char *)&rule + fields[i].offset);
    *field = low * fields[i].unit, expect_kept(rule);
    *field = high * fields[i].unit, expect_kept(rule);
    *field = (low - 1) * fields[i].unit;
    assert_int_equal(rule_pack(rule), RULE_CAREFUL);
    *field = (high + 1) * fields[i].unit;
    assert_int_equal(rule_pack(rule), RULE_CAREFUL);
    *field = 4;
    if (fields[i].unit == 8)
      assert_int_equal(rule_pack(rule), RULE_CAREFUL);
    *field = INT32_MIN;
    assert_int_equal(rule_pack(rule), RULE_CAREFUL);
  }
}

/* A rule that spells its pc. */
static packed_rule rule_of(uintptr_t pc)
{
  return rule_pack((struct frame_rule){.kind = RULE_SP, .cfa_offset = (int32_t)(pc % (1 << 22)), .ra_offset = -8});
}

/* As large as it gets. */
static void empty_cache(void)
{
  memset(rule_cache, 0, sizeof rule_cache);
  atomic_store(&rule_cache_more_sets, RULE_CACHE_SETS - RULE_CACHE_PAGE_SETS);
  atomic_store(&rule_generation, 0);
}

static void cache_holds_what_was_put(void **state)
{
  (void)state;
  unsigned held = 0;
  const uintptr_t base = 0x7f1234500000;
  empty_cache();
  assert_int_equal(rule_cache_get(base), RULE_ABSENT);
  for (uintptr_t pc = base; pc < base + 8000; pc++)
    rule_cache_put(pc, rule_of(pc));
  for (uintptr_t pc = base; pc < base + 8000; pc++) {
    packed_rule rule = rule_cache_get(pc);
    assert_true(rule == RULE_ABSENT || rule == rule_of(pc));
    held += rule != RULE_ABSENT;
  }
  assert_true(held > 7000); /* half full */
  assert_int_equal(rule_cache_get(base - 1), RULE_ABSENT);
  rule_cache_put(base, RULE_OUTERMOST);
  assert_int_equal(rule_cache_get(base), RULE_OUTERMOST);
}

static unsigned pages_in_use(void)
{
  enum { SETS_OF_PAGE = RULE_CACHE_PAGE_SETS };
  unsigned used = 0;
  for (unsigned page = 0; page < RULE_CACHE_PAGES; page++) {
    bool is_used = false;
    for (unsigned set = page * SETS_OF_PAGE; set < (page + 1) * SETS_OF_PAGE; set++)
      for (unsigned way = 0; way < RULE_CACHE_WAYS; way++)
        is_used |= atomic_load(&rule_cache[set][way].rule) != 0;
    used += is_used;
  }
  return used;
}

static unsigned held_of(const uintptr_t *pcs, unsigned count)
{
  unsigned held = 0;
  for (unsigned i = 0; i < count; i++)
    held += rule_cache_get(pcs[i]) == rule_of(pcs[i]);
  return held;
}

/* Before all others: the cache never gets smaller. */
static void begins_on_one_page_and_keeps_rules_as_it_grows(void **state)
{
  (void)state;
  enum { FEW = 120, MANY = 6000, CODE_BYTES = 64 << 20 };
  static uintptr_t pcs[MANY];
  uint64_t random = 9;
  for (unsigned i = 0; i < MANY; i++) {
    pcs[i] = 0x7f1234500000 + prng_next(&random) % CODE_BYTES;
    rule_cache_put(pcs[i], rule_of(pcs[i]));
    if (i + 1 == FEW)
      assert_int_equal(pages_in_use(), 1);
    if ((i & (i + 1)) == 0) /* each time it doubles, and in between */
      assert_true(held_of(pcs, i + 1) >= i + 1 - i / 100);
  }
  assert_true(held_of(pcs, MANY) >= MANY - MANY / 100);
  assert_int_equal(pages_in_use(), RULE_CACHE_PAGES);
  assert_int_equal(rule_cache_more_sets, RULE_CACHE_SETS - RULE_CACHE_PAGE_SETS);
}

/* Of 100 places in one library no more than a few may find their set full. */
static void code_that_lies_together_has_its_rules_together(void **state)
{
  (void)state;
  enum { PLACES = 100, CODE_BYTES = 1 << RULE_CACHE_CODE_SHIFT };
  uint64_t random = 5;
  empty_cache();
  for (int i = 0; i < PLACES; i++) {
    uintptr_t pc = 0x7f1234500000 + prng_next(&random) % CODE_BYTES;
    rule_cache_put(pc, rule_of(pc));
    assert_int_equal(rule_cache_get(pc), rule_of(pc));
  }
  assert_true(pages_in_use() <= 4);
}

static void full_set_gives_up_an_old_entry(void **state)
{
  (void)state;
  enum { ALL = 20, PAGE_STEP = (RULE_CACHE_PAGES << RULE_CACHE_CODE_SHIFT) + 16 };
  uintptr_t same_home[ALL], same_places[ALL];
  unsigned found = 0, found_everywhere = 0;
  empty_cache();
  for (uintptr_t pc = 0x400000; found < COUNT_OF(same_home); pc++)
    if (rule_cache_home(pc) == rule_cache_home(0x400000))
      same_home[found++] = pc;
  for (unsigned i = 0; i < ALL; i++) { /* the first ones go elsewhere when their home is full */
    rule_cache_put(same_home[i], rule_of(same_home[i]));
    assert_int_equal(held_of(same_home, i + 1), i + 1);
  }
  /* Those that have both in common give up old ones. */
  empty_cache();
  for (uintptr_t pc = 0x400000; found_everywhere < ALL; pc += PAGE_STEP)
    if (rule_cache_home(pc) == rule_cache_home(0x400000) && rule_cache_elsewhere(pc) == rule_cache_elsewhere(0x400000))
      same_places[found_everywhere++] = pc;
  for (unsigned i = 0; i < ALL; i++) {
    rule_cache_put(same_places[i], rule_of(same_places[i]));
    assert_int_equal(rule_cache_get(same_places[i]), rule_of(same_places[i]));
  }
  assert_int_equal(held_of(same_places, ALL), 2 * RULE_CACHE_WAYS);
}

static void generation_makes_old_rules_unreachable(void **state)
{
  (void)state;
  empty_cache();
  rule_cache_put(0x400123, rule_of(0x400123));
  rule_cache_put(0x400124, rule_of(0x400124));
  atomic_fetch_add(&rule_generation, 1);
  assert_int_equal(rule_cache_get(0x400123), RULE_ABSENT);
  rule_cache_put(0x400123, RULE_SIGNAL);
  assert_int_equal(rule_cache_get(0x400123), RULE_SIGNAL);
  assert_int_equal(rule_cache_get(0x400124), RULE_ABSENT);
  empty_cache();
  for (uint64_t generation = 0; generation < 20; generation++) { /* old ones give way before current ones */
    atomic_store(&rule_generation, generation);
    for (uintptr_t pc = 0x500000; pc < 0x500000 + 2000; pc++)
      rule_cache_put(pc, rule_of(pc));
  }
  unsigned held = 0;
  for (uintptr_t pc = 0x500000; pc < 0x500000 + 2000; pc++)
    held += rule_cache_get(pc) == rule_of(pc);
  assert_true(held > 1950);
}

static void torn_entries_are_misses(void **state)
{
  (void)state;
  empty_cache();
  uintptr_t pcs[2] = {0x400000, 0};
  for (uintptr_t pc = pcs[0] + 1; pcs[1] == 0; pc++)
    if (rule_cache_home(pc) == rule_cache_home(pcs[0]))
      pcs[1] = pc;
  rule_cache_put(pcs[0], rule_of(pcs[0]));
  rule_cache_put(pcs[1], rule_of(pcs[1]));
  struct rule_cache_entry *set = rule_cache_home(pcs[0]);
  assert_int_equal(rule_cache_get(pcs[0]), rule_of(pcs[0]));
  uint64_t halves[2] = {atomic_load(&set[0].rule), atomic_load(&set[1].rule)};
  assert_true(halves[0] != 0 && halves[1] != 0 && halves[0] != halves[1]);
  atomic_store(&set[0].rule, halves[1]);
  atomic_store(&set[1].rule, halves[0]);
  assert_int_equal(rule_cache_get(pcs[0]), RULE_ABSENT);
  assert_int_equal(rule_cache_get(pcs[1]), RULE_ABSENT);
}

static _Atomic unsigned wrong, right;

static void *put_and_get(void *number)
{
  uint64_t random = (uintptr_t)number + 1;
  uintptr_t clash[64];
  for (unsigned found = 0; found < COUNT_OF(clash);) { /* few sets, so that writers meet */
    uintptr_t pc = 0x600000 + prng_next(&random) % (1 << 20);
    if ((rule_cache_home(pc) - rule_cache[0]) / RULE_CACHE_WAYS % RULE_CACHE_PAGE_SETS < 2)
      clash[found++] = pc;
  }
  for (int i = 0; i < 300000; i++) {
    uintptr_t pc = clash[prng_next(&random) % COUNT_OF(clash)];
    if (i % 2 == 0)
      rule_cache_put(pc, rule_of(pc));
    packed_rule rule = rule_cache_get(pc);
    if (rule == rule_of(pc))
      atomic_fetch_add_explicit(&right, 1, memory_order_relaxed);
    else if (rule != RULE_ABSENT)
      atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
  }
  return NULL;
}

static void writers_that_meet_cost_misses_only(void **state)
{
  (void)state;
  empty_cache();
  unit_run_threads(4, put_and_get);
  assert_int_equal(wrong, 0);
  assert_true(right > 600000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(packing_keeps_every_field),
      cmocka_unit_test(limits_of_the_packed_form),
      cmocka_unit_test(begins_on_one_page_and_keeps_rules_as_it_grows),
      cmocka_unit_test(cache_holds_what_was_put),
      cmocka_unit_test(code_that_lies_together_has_its_rules_together),
      cmocka_unit_test(full_set_gives_up_an_old_entry),
      cmocka_unit_test(generation_makes_old_rules_unreachable),
      cmocka_unit_test(torn_entries_are_misses),
      cmocka_unit_test(writers_that_meet_cost_misses_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
