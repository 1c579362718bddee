/* SPDX-License-Identifier: MIT */
/* Recipes: how to get from all registers of a frame to its caller's, as far as a few words can say that, and a cache of
 * them by pc. The quick walk does with the first word alone (rules.h); the careful one would read its way's rows each
 * time anew without these.
 *
 * A recipe is the frame's rule, and where its caller's values of the registers are that a rule does not speak of. Where
 * the CFA counts from one of those, the rule is RULE_CAREFUL and has its offsets all the same.
 *
 * The cache is like that of rules: no lock, and an entry of which somebody sees parts of two looks like a miss.
 *
 * Threads, signals: lock-free. Memory: 12 KiB of .bss, or 16 where there are more registers, touched as it fills. Fork:
 * copied on write.
 */
#ifndef HEAPPROF_CFI_RECIPES_H
#define HEAPPROF_CFI_RECIPES_H

#include "core/arch/arch.h"
#include "core/rules.h"

#include <stdbool.h>
#include <stdint.h>

enum {
  RECIPE_OTHERS = ARCH_CFI_SLOTS - 3, /* all but sp, bp and the return address */
  RECIPE_OTHERS_IN_WORD = 5,
  RECIPE_WORDS = (RECIPE_OTHERS + RECIPE_OTHERS_IN_WORD - 1) / RECIPE_OTHERS_IN_WORD,
  RECIPE_WAY_BITS = 2,
  RECIPE_OFFSET_BITS = 9, /* of words */
  RECIPE_OTHER_BITS = RECIPE_WAY_BITS + RECIPE_OFFSET_BITS,
  RECIPE_REGISTER_SHIFT = RECIPE_OTHERS_IN_WORD * RECIPE_OTHER_BITS, /* in the first word */
  RECIPE_NO_REGISTER = (1 << (64 - RECIPE_REGISTER_SHIFT)) - 1,
};

struct recipe {
  packed_rule rule;
  uint64_t saved[RECIPE_WORDS]; /* of the other registers, and what the CFA counts from, see recipe_saved */
};

_Static_assert(ARCH_DWARF_REGISTERS < RECIPE_NO_REGISTER, "so do the numbers");

/* By DWARF number, in the order of their slots. */
extern HIDDEN const uint8_t recipe_others[RECIPE_OTHERS];

/* One of the others: saved as bp is by a rule, `offset` from the CFA or from bp. */
struct recipe_saved {
  enum rule_bp way;
  int32_t offset;
};

static inline struct recipe_saved recipe_saved(const struct recipe *recipe, unsigned other)
{
  uint64_t word = recipe->saved[other / RECIPE_OTHERS_IN_WORD];
  unsigned shift = other % RECIPE_OTHERS_IN_WORD * RECIPE_OTHER_BITS;
  int32_t words = (int32_t)rule_field(word, shift + RECIPE_WAY_BITS, RECIPE_OFFSET_BITS);
  return (struct recipe_saved){(enum rule_bp)(word >> shift & ((1u << RECIPE_WAY_BITS) - 1)),
                               words * (int32_t)sizeof(uintptr_t)};
}

/* False: it does not fit. */
bool recipe_set_saved(struct recipe *recipe, unsigned other, struct recipe_saved saved);

/* Of RULE_CAREFUL: what the CFA counts from. RECIPE_NO_REGISTER: the row is none that a recipe can say. */
static inline unsigned recipe_register(const struct recipe *recipe)
{
  return (unsigned)(recipe->saved[0] >> RECIPE_REGISTER_SHIFT);
}

static inline void recipe_set_register(struct recipe *recipe, unsigned dwarf_register)
{
  recipe->saved[0] |= (uint64_t)dwarf_register << RECIPE_REGISTER_SHIFT;
}

/* False: the cache does not hold it. */
bool recipes_get(uintptr_t pc, struct recipe *recipe);

void recipes_put(uintptr_t pc, const struct recipe *recipe);

#endif
