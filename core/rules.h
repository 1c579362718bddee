/* SPDX-License-Identifier: MIT */
/* Frame rules: how to get from a frame to its caller, and the process-wide cache of them by pc.
 *
 * The cache has a fixed size and no lock. An entry is two words, the rule and key ^ rule: a reader that sees halves of
 * two entries gets a key that does not fit and takes it for a miss (the trick of chess programs' transposition tables;
 * R. Hyatt and T. Mann, A lockless transposition-table implementation, ICGA Journal 2002). The key holds the module
 * generation, so a dlclose makes every older rule unreachable. A stale or wrong rule is harmless: the walker bounds
 * every read. What finds no room in the page of its code goes anywhere.
 *
 * It begins on one page and doubles when it is half full, for most processes end before they need more.
 *
 * Threads, signals: lock-free; who meets a growth misses rules that are on their way. Memory: 256 KiB of .bss, touched
 * as it grows. Fork: copied on write.
 */
#ifndef HEAPPROF_RULES_H
#define HEAPPROF_RULES_H

#include "core/arch/arch.h"
#include "core/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rule_kind {
  RULE_ABSENT,        /* not in the cache */
  RULE_SP,            /* CFA = sp + cfa_offset */
  RULE_BP,            /* CFA = bp + cfa_offset */
  RULE_SP_DEREF,      /* CFA = *(sp + cfa_offset) + addend */
  RULE_BP_DEREF,      /* CFA = *(bp + cfa_offset) + addend */
  RULE_SIGNAL,        /* sp points to the ucontext that a signal interrupted */
  RULE_OUTERMOST,     /* no caller */
  RULE_FRAME_POINTER, /* nothing is known: try bp as a frame pointer, believe little */
  RULE_KEPT_FRAME,    /* no unwind information, but bp is a frame pointer there, if need be to another stack */
  RULE_CAREFUL,       /* known, but it takes other registers, or more room than there is here */
};

enum rule_bp {
  RULE_BP_KEPT,   /* unchanged in this frame */
  RULE_BP_AT_CFA, /* saved at CFA + bp_offset */
  RULE_BP_AT_BP,  /* saved at bp + bp_offset */
  RULE_BP_LOST,
};

/* Unpacked. The limits are those of the packed form; a frame beyond them gets RULE_CAREFUL. */
struct frame_rule {
  enum rule_kind kind;
  enum rule_bp bp;
  int32_t cfa_offset; /* +- 32 MiB at least */
  int32_t addend;     /* a multiple of 8, as the next two; ... */
  int32_t bp_offset;
  int32_t ra_offset; /* of the return address from the CFA; ... how far is in ARCH_RULE_..._BITS */
};

/* From the low end: 4 bits of kind, 2 of bp, then the offsets. */
typedef uint64_t packed_rule;

enum {
  RULE_RETURN_ADDRESS_SHIFT = 6,
  RULE_BP_SHIFT = RULE_RETURN_ADDRESS_SHIFT + ARCH_RULE_RETURN_ADDRESS_BITS,
  RULE_ADDEND_SHIFT = RULE_BP_SHIFT + ARCH_RULE_BP_BITS,
  RULE_CFA_SHIFT = RULE_ADDEND_SHIFT + ARCH_RULE_ADDEND_BITS,
  RULE_CFA_BITS = 64 - RULE_CFA_SHIFT,
};

static ALWAYS_INLINE enum rule_kind rule_kind(packed_rule rule)
{
  return (enum rule_kind)(rule & 15);
}

static ALWAYS_INLINE enum rule_bp rule_bp(packed_rule rule)
{
  return (enum rule_bp)(rule >> 4 & 3);
}

static ALWAYS_INLINE intptr_t rule_field(packed_rule rule, unsigned shift, unsigned bits)
{
  return (intptr_t)(rule << (64 - shift - bits)) >> (64 - bits);
}

static ALWAYS_INLINE intptr_t rule_ra_offset(packed_rule rule)
{
  return rule_field(rule, RULE_RETURN_ADDRESS_SHIFT, ARCH_RULE_RETURN_ADDRESS_BITS) * 8;
}

static ALWAYS_INLINE intptr_t rule_bp_offset(packed_rule rule)
{
  return rule_field(rule, RULE_BP_SHIFT, ARCH_RULE_BP_BITS) * 8;
}

static ALWAYS_INLINE intptr_t rule_addend(packed_rule rule)
{
  return rule_field(rule, RULE_ADDEND_SHIFT, ARCH_RULE_ADDEND_BITS) * 8;
}

static ALWAYS_INLINE intptr_t rule_cfa_offset(packed_rule rule)
{
  return rule_field(rule, RULE_CFA_SHIFT, RULE_CFA_BITS);
}

packed_rule rule_pack(struct frame_rule rule);

enum { RULE_CACHE_SETS = 4096, RULE_CACHE_WAYS = 4 };
#define RULE_CACHE_FACTOR 0x9e3779b97f4a7c15u

struct rule_cache_entry {
  _Atomic uint64_t key_xor_rule;
  _Atomic uint64_t rule;
};

extern HIDDEN struct rule_cache_entry rule_cache[RULE_CACHE_SETS][RULE_CACHE_WAYS];

/* Moves with every library that is unloaded (modules.h). */
extern HIDDEN _Atomic uint64_t rule_generation;

static ALWAYS_INLINE uint64_t rule_key(uintptr_t pc)
{
  return (uint64_t)pc ^ atomic_load_explicit(&rule_generation, memory_order_acquire) << 48;
}

/* 256 KiB of code have their rules in one page: a walk that finds the caches cold pays for each page, and the first use
 * of a page is a fault. */
enum { RULE_CACHE_PAGES = 64, RULE_CACHE_PAGE_SETS = RULE_CACHE_SETS / RULE_CACHE_PAGES, RULE_CACHE_CODE_SHIFT = 18 };

/* Sets in use beyond the first page's. Moves up only. */
extern HIDDEN _Atomic uint64_t rule_cache_more_sets;

static ALWAYS_INLINE uint64_t rule_cache_more(void)
{
  return atomic_load_explicit(&rule_cache_more_sets, memory_order_relaxed);
}

static ALWAYS_INLINE struct rule_cache_entry *rule_cache_home(uintptr_t pc)
{
  size_t page = pc / ((1 << RULE_CACHE_CODE_SHIFT) / RULE_CACHE_PAGE_SETS) & rule_cache_more();
  return rule_cache[page + ((uint64_t)pc * RULE_CACHE_FACTOR >> 58)];
}

static ALWAYS_INLINE packed_rule rule_cache_look(const struct rule_cache_entry *set, uint64_t key)
{
  for (unsigned way = 0; way < RULE_CACHE_WAYS; way++) {
    uint64_t mixed = atomic_load_explicit(&set[way].key_xor_rule, memory_order_relaxed);
    uint64_t rule = atomic_load_explicit(&set[way].rule, memory_order_relaxed);
    if ((mixed ^ rule) == key && rule != 0)
      return rule;
  }
  return RULE_ABSENT;
}

/* Where a rule is that found its home set full. */
static ALWAYS_INLINE struct rule_cache_entry *rule_cache_elsewhere(uintptr_t pc)
{
  return rule_cache[(uint64_t)pc * RULE_CACHE_FACTOR >> 52 & (rule_cache_more() | (RULE_CACHE_PAGE_SETS - 1))];
}

SAMPLED packed_rule rule_cache_get_elsewhere(uintptr_t pc);

/* RULE_ABSENT (0) when the cache does not hold it. */
static ALWAYS_INLINE packed_rule rule_cache_get(uintptr_t pc)
{
  packed_rule rule = rule_cache_look(rule_cache_home(pc), rule_key(pc));
  return LIKELY(rule != RULE_ABSENT) ? rule : rule_cache_get_elsewhere(pc);
}

void rule_cache_put(uintptr_t pc, packed_rule rule);

/* Code that has rules: the program's, and that of libraries, which lie further up. Moves outwards only. */
struct rule_code {
  _Atomic uintptr_t low, high;
};
extern HIDDEN struct rule_code rule_code[2];

/* Brings the rules into the cache of what is found among so many words: return addresses, and what looks like one. */
SAMPLED void rule_cache_fetch(const volatile uintptr_t *words, size_t count);

#endif
