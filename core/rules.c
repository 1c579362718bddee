/* SPDX-License-Identifier: MIT */
#include "core/rules.h"

#include "core/compiler.h"

LARGE struct rule_cache_entry rule_cache[RULE_CACHE_SETS][RULE_CACHE_WAYS];
_Atomic uint64_t rule_generation;
_Atomic uint64_t rule_cache_more_sets;
struct rule_code rule_code[2];
static _Atomic uint32_t entries_used;

_Static_assert(RULE_CACHE_SETS == 1 << (64 - 52), "a rule's place elsewhere is the upper 12 bits of a product");
_Static_assert(RULE_CACHE_PAGE_SETS == 1 << (64 - 58), "and that in its page the upper 6");

static bool fits(int32_t value, unsigned bits, int32_t unit)
{
  int32_t limit = 1 << (bits - 1);
  return value % unit == 0 && value / unit >= -limit && value / unit < limit;
}

static uint64_t field(int32_t value, unsigned shift, unsigned bits)
{
  return ((uint64_t)(int64_t)value & ((1ull << bits) - 1)) << shift;
}

packed_rule rule_pack(struct frame_rule rule)
{
  if (!fits(rule.ra_offset, ARCH_RULE_RETURN_ADDRESS_BITS, 8) || !fits(rule.bp_offset, ARCH_RULE_BP_BITS, 8) ||
      !fits(rule.addend, ARCH_RULE_ADDEND_BITS, 8) || !fits(rule.cfa_offset, RULE_CFA_BITS, 1))
    return RULE_CAREFUL;
  return (uint64_t)rule.kind | (uint64_t)rule.bp << 4 |
         field(rule.ra_offset / 8, RULE_RETURN_ADDRESS_SHIFT, ARCH_RULE_RETURN_ADDRESS_BITS) |
         field(rule.bp_offset / 8, RULE_BP_SHIFT, ARCH_RULE_BP_BITS) |
         field(rule.addend / 8, RULE_ADDEND_SHIFT, ARCH_RULE_ADDEND_BITS) |
         field(rule.cfa_offset, RULE_CFA_SHIFT, RULE_CFA_BITS);
}

packed_rule rule_cache_get_elsewhere(uintptr_t pc)
{
  return rule_cache_look(rule_cache_elsewhere(pc), rule_key(pc));
}

/* An entry that is free, ours, or of another generation. NULL: there is none. */
static struct rule_cache_entry *find_room(struct rule_cache_entry *set, uint64_t key)
{
  for (unsigned way = 0; way < RULE_CACHE_WAYS; way++) {
    uint64_t old = atomic_load_explicit(&set[way].rule, memory_order_relaxed);
    uint64_t old_key = old ^ atomic_load_explicit(&set[way].key_xor_rule, memory_order_relaxed);
    if (old == 0 || old_key == key || (old_key ^ key) >> 48 != 0)
      return &set[way];
  }
  return NULL;
}

static struct rule_cache_entry *find_place(uintptr_t pc)
{
  uint64_t key = rule_key(pc);
  struct rule_cache_entry *entry = find_room(rule_cache_home(pc), key);
  if (entry == NULL)
    entry = find_room(rule_cache_elsewhere(pc), key);
  return entry != NULL ? entry : &rule_cache_elsewhere(pc)[(pc >> 3) % RULE_CACHE_WAYS];
}

static void set(struct rule_cache_entry *entry, uint64_t key, packed_rule rule)
{
  atomic_store_explicit(&entry->rule, rule, memory_order_relaxed);
  atomic_store_explicit(&entry->key_xor_rule, key ^ rule, memory_order_relaxed);
}

/* To where the entry is looked for now. One of an older generation stays, for others to take. */
static void move(struct rule_cache_entry *entry)
{
  packed_rule rule = atomic_load_explicit(&entry->rule, memory_order_relaxed);
  uint64_t key = rule ^ atomic_load_explicit(&entry->key_xor_rule, memory_order_relaxed);
  uintptr_t pc = (uintptr_t)(key ^ rule_key(0));
  size_t set_number = (size_t)(entry - rule_cache[0]) / RULE_CACHE_WAYS;
  struct rule_cache_entry *here = rule_cache[set_number];
  if (rule == RULE_ABSENT || pc >> 48 != 0 || here == rule_cache_home(pc) || here == rule_cache_elsewhere(pc))
    return;
  set(find_place(pc), key, rule);
  set(entry, 0, RULE_ABSENT);
}

/* Left by siglongjmp, some rules are not found any more, and compiled again. */
static COLD void grow(uint64_t more_sets)
{
  uint64_t next = 2 * more_sets + RULE_CACHE_PAGE_SETS;
  if (!atomic_compare_exchange_strong_explicit(&rule_cache_more_sets, &more_sets, next, memory_order_relaxed,
                                               memory_order_relaxed))
    return;
  for (uint64_t number = 0; number < more_sets + RULE_CACHE_PAGE_SETS; number++)
    for (unsigned way = 0; way < RULE_CACHE_WAYS; way++)
      move(&rule_cache[number][way]);
}

static void grow_if_half_full(void)
{
  uint64_t more = rule_cache_more(), entries = (more + RULE_CACHE_PAGE_SETS) * RULE_CACHE_WAYS;
  if (more < RULE_CACHE_SETS - RULE_CACHE_PAGE_SETS &&
      atomic_load_explicit(&entries_used, memory_order_relaxed) > entries / 2)
    grow(more);
}

static struct rule_code *code_of(uintptr_t pc)
{
  return &rule_code[pc >> ARCH_PROGRAM_BIT & 1];
}

/* Two threads at a time may lose what one of them has. Then rules are waited for. */
static void widen_code(uintptr_t pc)
{
  struct rule_code *code = code_of(pc);
  uintptr_t low = atomic_load_explicit(&code->low, memory_order_relaxed);
  if (low == 0 || pc < low)
    atomic_store_explicit(&code->low, pc, memory_order_relaxed);
  if (pc > atomic_load_explicit(&code->high, memory_order_relaxed))
    atomic_store_explicit(&code->high, pc, memory_order_relaxed);
}

void rule_cache_fetch(const volatile uintptr_t *words, size_t count)
{
  uintptr_t low[COUNT_OF(rule_code)], span[COUNT_OF(rule_code)];
  for (unsigned i = 0; i < COUNT_OF(rule_code); i++) {
    low[i] = atomic_load_explicit(&rule_code[i].low, memory_order_relaxed);
    span[i] = atomic_load_explicit(&rule_code[i].high, memory_order_relaxed) - low[i];
  }
  for (size_t i = 0; i < count; i++) {
    uintptr_t pc = words[i] - 1;
    if (UNLIKELY(pc - low[0] <= span[0] || pc - low[1] <= span[1]))
      __builtin_prefetch(rule_cache_home(pc));
  }
}

void rule_cache_put(uintptr_t pc, packed_rule rule)
{
  INVARIANT(rule_kind(rule) != RULE_ABSENT);
  widen_code(pc);
  grow_if_half_full();
  struct rule_cache_entry *entry = find_place(pc);
  if (atomic_load_explicit(&entry->rule, memory_order_relaxed) == RULE_ABSENT)
    atomic_fetch_add_explicit(&entries_used, 1, memory_order_relaxed);
  set(entry, rule_key(pc), rule);
}
