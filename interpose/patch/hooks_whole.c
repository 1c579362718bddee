/* SPDX-License-Identifier: MIT */
#include "interpose/patch/hooks_whole.h"

#include "core/arch/arch.h"
#include "core/live/live_filter.h"
#include "core/record.h"
#include "core/sampler.h"
#include "interpose/allocation.h"
#include "interpose/real.h"

#include <string.h>

#define HOOK(symbol) own_##symbol
#define REAL(symbol) real.symbol
#include "interpose/patch/whole_hooks.def"
#undef HOOK
#undef REAL

#define HAS_ALL_OF_FAMILY

struct functions_beside {
#define HEAPPROF_FAMILY(symbol, type, parameters) type(*symbol) parameters;
#include "interpose/patch/family.def"
#undef HEAPPROF_FAMILY
};

static LARGE struct functions_beside beside[FAMILIES_BESIDE];

_Static_assert(sizeof beside[0] == FAMILY_FUNCTIONS * sizeof(void *), "one pointer for each function");

#define HOOK(symbol) first_##symbol
#define REAL(symbol) beside[0].symbol
#include "interpose/patch/whole_hooks.def"
#undef HOOK
#undef REAL

#define HOOK(symbol) second_##symbol
#define REAL(symbol) beside[1].symbol
#include "interpose/patch/whole_hooks.def"
#undef HOOK
#undef REAL

static const struct {
  const char *symbol;
  const void *hook;
} wholes[] = {
#define NAMED(symbol) {#symbol, (const void *)own_##symbol},
    NAMED(malloc) NAMED(free) NAMED(calloc) NAMED(realloc) NAMED(memalign) NAMED(aligned_alloc) NAMED(valloc)
        NAMED(pvalloc) NAMED(posix_memalign)};

const void *hooks_whole_find(const char *symbol)
{
  for (size_t i = 0; i < COUNT_OF(wholes); i++)
    if (strcmp(symbol, wholes[i].symbol) == 0)
      return wholes[i].hook;
  return NULL;
}

static const struct {
  const char *symbol;
  const void *hooks[FAMILIES_BESIDE];
} families[] = {
#define HEAPPROF_FAMILY(symbol, type, parameters)                                                                      \
  {#symbol, {(const void *)first_##symbol, (const void *)second_##symbol}},
#include "interpose/patch/family.def"
#undef HEAPPROF_FAMILY
};

struct hook_beside hooks_beside(unsigned set, size_t number)
{
  return (struct hook_beside){families[number].symbol, families[number].hooks[set],
                              (void **)(void *)&beside[set] + number};
}
