/* SPDX-License-Identifier: MIT */
/* What people read of a region's hooks.
 *
 * Threads, signals, fork: as text.h.
 */
#ifndef HEAPPROF_REGION_HOOKS_H
#define HEAPPROF_REGION_HOOKS_H

#include "core/compiler.h"
#include "core/region_format.h"
#include "core/text.h"

enum { REGION_HOOKS_TEXT_BYTES = 256 };

static inline void region_hooks_put_some(struct text *text, const char *begin, uint32_t flags)
{
  static const char *const names[] = {
      "the program's own allocator",  "je_malloc", "_rjem_malloc", "tc_malloc", "mi_malloc",
      "a malloc that is not exported"};
  for (unsigned i = 0; i < COUNT_OF(names); i++) {
    if ((flags >> i & 1) == 0)
      continue;
    text_put(text, begin);
    text_put(text, names[i]);
    begin = ", ";
  }
}

/* Where the usual names are the program's, those of them that are not exported are the same allocator's: a linker
 * exports what libraries call. */
static inline uint32_t region_hooks_used(uint32_t hooks)
{
  uint32_t used = hooks & ((1u << REGION_HOOKS_REFUSED_SHIFT) - 1);
  return (used & REGION_HOOKS_OWN) != 0 ? used & ~(uint32_t)REGION_HOOKS_UNEXPORTED : used;
}

/* Nothing where they are in front of a library's functions alone. */
static inline void region_hooks_put(struct text *text, uint32_t hooks)
{
  uint32_t used = region_hooks_used(hooks), refused = hooks >> REGION_HOOKS_REFUSED_SHIFT;
  region_hooks_put_some(text, "at the entries of ", used);
  region_hooks_put_some(text, used != 0 ? "; not at those of " : "not at the entries of ", refused);
}

/* Of one line: those beside the usual ones, in short. */
static inline void region_hooks_put_beside(struct text *text, uint32_t hooks)
{
  region_hooks_put_some(text, " + ", region_hooks_used(hooks) & ~(uint32_t)REGION_HOOKS_OWN);
}

#endif
