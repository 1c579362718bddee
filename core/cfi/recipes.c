/* SPDX-License-Identifier: MIT */
#include "core/cfi/recipes.h"

#include "core/compiler.h"

enum { SETS = 128, WAYS = 4 };

_Static_assert(SETS == 1 << (64 - 57), "set_of takes the upper 7 bits of the product");

static struct entry {
  _Atomic uint64_t key_xor_words, rule, saved;
} cache[SETS][WAYS] LARGE;

static struct entry *set_of(uintptr_t pc)
{
  return cache[(uint64_t)pc * 0x9e3779b97f4a7c15u >> 57];
}

static uint64_t get(const _Atomic uint64_t *word)
{
  return atomic_load_explicit(word, memory_order_relaxed);
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
  atomic_store_explicit(word, value, memory_order_relaxed);
}

/* The words of one recipe are alike: one of them is turned, lest what differs in both falls out. */
static uint64_t mix(uint64_t rule, uint64_t saved)
{
  return rule ^ (saved << 32 | saved >> 32);
}

const uint8_t recipe_others[RECIPE_OTHERS] = ARCH_CFI_OTHER_REGISTERS;

bool recipe_set_saved(struct recipe *recipe, unsigned other, struct recipe_saved saved)
{
  int32_t words = saved.offset / (int32_t)sizeof(uintptr_t), limit = 1 << (RECIPE_OFFSET_BITS - 1);
  if (saved.offset % (int32_t)sizeof(uintptr_t) != 0 || words < -limit || words >= limit)
    return false;
  uint64_t bits = (uint64_t)saved.way | ((uint64_t)(int64_t)words & ((1u << RECIPE_OFFSET_BITS) - 1))
                                            << RECIPE_WAY_BITS;
  recipe->saved |= bits << other * (RECIPE_WAY_BITS + RECIPE_OFFSET_BITS);
  return true;
}

bool recipes_get(uintptr_t pc, struct recipe *recipe)
{
  const struct entry *entries = set_of(pc);
  uint64_t key = rule_key(pc);
  for (unsigned way = 0; way < WAYS; way++) {
    *recipe = (struct recipe){get(&entries[way].rule), get(&entries[way].saved)};
    if ((get(&entries[way].key_xor_words) ^ mix(recipe->rule, recipe->saved)) == key && recipe->rule != 0)
      return true;
  }
  return false;
}

void recipes_put(uintptr_t pc, const struct recipe *recipe)
{
  struct entry *entries = set_of(pc), *victim = &entries[(pc >> 3) % WAYS];
  uint64_t key = rule_key(pc);
  for (unsigned way = 0; way < WAYS; way++) {
    uint64_t rule = get(&entries[way].rule);
    uint64_t old = get(&entries[way].key_xor_words) ^ mix(rule, get(&entries[way].saved));
    if (rule == 0 || old == key || (old ^ key) >> 48 != 0) { /* free, ours, or of another generation */
      victim = &entries[way];
      break;
    }
  }
  set(&victim->rule, recipe->rule);
  set(&victim->saved, recipe->saved);
  set(&victim->key_xor_words, key ^ mix(recipe->rule, recipe->saved));
}
