/* SPDX-License-Identifier: MIT */
#include "core/cfi/recipes.h"

#include "core/compiler.h"

enum { SETS = 128, WAYS = 4 };

_Static_assert(SETS == 1 << (64 - 57), "set_of takes the upper 7 bits of the product");

static struct entry {
  _Atomic uint64_t key_xor_words, rule, saved[RECIPE_WORDS];
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

/* The words of one recipe are alike: each is turned otherwise, lest what differs in two falls out. */
static uint64_t mix(const struct recipe *recipe)
{
  uint64_t mixed = recipe->rule;
  for (unsigned i = 0; i < RECIPE_WORDS; i++)
    mixed ^= recipe->saved[i] << (32 >> i) | recipe->saved[i] >> (64 - (32 >> i));
  return mixed;
}

static struct recipe read_words(const struct entry *entry)
{
  struct recipe recipe = {.rule = get(&entry->rule)};
  for (unsigned i = 0; i < RECIPE_WORDS; i++)
    recipe.saved[i] = get(&entry->saved[i]);
  return recipe;
}

const uint8_t recipe_others[RECIPE_OTHERS] = ARCH_CFI_OTHER_REGISTERS;

bool recipe_set_saved(struct recipe *recipe, unsigned other, struct recipe_saved saved)
{
  int32_t words = saved.offset / (int32_t)sizeof(uintptr_t), limit = 1 << (RECIPE_OFFSET_BITS - 1);
  if (saved.offset % (int32_t)sizeof(uintptr_t) != 0 || words < -limit || words >= limit)
    return false;
  uint64_t bits = (uint64_t)saved.way | ((uint64_t)(int64_t)words & ((1u << RECIPE_OFFSET_BITS) - 1))
                                            << RECIPE_WAY_BITS;
  recipe->saved[other / RECIPE_OTHERS_IN_WORD] |= bits << other % RECIPE_OTHERS_IN_WORD * RECIPE_OTHER_BITS;
  return true;
}

bool recipes_get(uintptr_t pc, struct recipe *recipe)
{
  const struct entry *entries = set_of(pc);
  uint64_t key = rule_key(pc);
  for (unsigned way = 0; way < WAYS; way++) {
    *recipe = read_words(&entries[way]);
    if ((get(&entries[way].key_xor_words) ^ mix(recipe)) == key && recipe->rule != 0)
      return true;
  }
  return false;
}

void recipes_put(uintptr_t pc, const struct recipe *recipe)
{
  struct entry *entries = set_of(pc), *victim = &entries[(pc >> 3) % WAYS];
  uint64_t key = rule_key(pc);
  for (unsigned way = 0; way < WAYS; way++) {
    struct recipe there = read_words(&entries[way]);
    uint64_t old = get(&entries[way].key_xor_words) ^ mix(&there);
    if (there.rule == 0 || old == key || (old ^ key) >> 48 != 0) { /* free, ours, or of another generation */
      victim = &entries[way];
      break;
    }
  }
  set(&victim->rule, recipe->rule);
  for (unsigned i = 0; i < RECIPE_WORDS; i++)
    set(&victim->saved[i], recipe->saved[i]);
  set(&victim->key_xor_words, key ^ mix(recipe));
}
