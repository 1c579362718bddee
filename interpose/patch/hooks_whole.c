/* SPDX-License-Identifier: MIT */
#include "interpose/patch/hooks_whole.h"

#include "core/arch/arch.h"
#include "core/live/live_filter.h"
#include "core/record.h"
#include "core/sampler.h"
#include "interpose/allocation.h"
#include "interpose/real.h"

#include <stdint.h>
#include <string.h>

/* What a function does. Its other arguments are found by that of the size: the count of an array comes before it, what
 * is resized before both. */
enum does {
  ALLOCATES,
  ALLOCATES_ARRAY,
  ALLOCATES_STRING, /* its result tells how large it is */
  ALLOCATES_AT,     /* its first argument points to where the result is put; 0: done */
  RESIZES,
  RESIZES_ARRAY,
  RESIZES_AT, /* an array, to which the first argument points; 0: done */
  RESIZES_OR_FREES,
  EXPANDS,          /* in place, or not at all: never frees */
  RESIZES_IN_PLACE, /* its result is the new size, or less: then nothing was changed */
  FREES,
  FREES_HEAP,
  IS_ASKED, /* by hooks */
};

enum { FAMILY_NONE = UINT8_MAX };

static const struct shape {
  uint8_t does, size_at, first;
} shapes[] = {
#define HEAPPROF_FAMILY(symbol, does, size, first) {does, size, FAMILY_##first},
#include "interpose/patch/family.def"
#include "interpose/patch/mimalloc.def"
#undef HEAPPROF_FAMILY
};

_Static_assert(COUNT_OF(shapes) == FAMILY_ALL && COUNT_OF(shapes) < UINT8_MAX, "a shape for each");

/* Where a set begins among all functions of all sets; the last is the longest. */
#define SET_BEGIN(set) ((set)*FAMILY_FUNCTIONS)
enum { MIMALLOC_BEGIN = SET_BEGIN(HOOKS_MIMALLOC), REALS = MIMALLOC_BEGIN + FAMILY_ALL };

/* Written before the hooks are called. */
static LARGE void *reals[REALS];

/* As many arguments as there are registers for, in all functions, so that one may end in a jump to the next: a function
 * is not disturbed by those that it does not have. The last of our own is which one is hooked. */
typedef uintptr_t function(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t which);

static unsigned family_of(uintptr_t which)
{
  return (unsigned)(which < MIMALLOC_BEGIN ? which % FAMILY_FUNCTIONS : which - MIMALLOC_BEGIN);
}

/* The first ones of the program's own are those of all hooks: what looks after an opened library may stand before them
 * (rebind.h). */
static ALWAYS_INLINE void *real_at(uintptr_t which)
{
  enum { SHARED = FAMILY_realloc };
  return which <= SHARED ? ((void *const *)&real)[which] : reals[which];
}

static ALWAYS_INLINE function *real_of(uintptr_t which)
{
  return (function *)real_at(which);
}

#define SAME_PLACE(symbol) (offsetof(struct real_functions, symbol) == FAMILY_##symbol * sizeof(void *))
_Static_assert(HOOKS_OWN == 0 && SAME_PLACE(malloc) && SAME_PLACE(free) && SAME_PLACE(calloc) && SAME_PLACE(realloc),
               "found by their numbers");

struct call {
  uintptr_t which;
  struct shape shape;
  const uintptr_t *arguments;
};

static uintptr_t call_real(const struct call *call, uintptr_t which)
{
  const uintptr_t *given = call->arguments;
  return real_of(which)(given[0], given[1], given[2], given[3], given[4], 0);
}

/* What throws would leave the pause for good: first what does the same and does not. NULL: that failed, and so will
 * this, or somebody makes room in between. */
static uintptr_t call_in_pause(const struct call *call)
{
  uintptr_t first =
      call->shape.first == FAMILY_NONE ? call->which : call->which - family_of(call->which) + call->shape.first;
  if (real_of(first) == NULL)
    return 0;
  struct sampler_pause pause = sampler_pause_begin();
  uintptr_t result = call_real(call, first);
  sampler_pause_end(pause);
  return result;
}

static void count(void *pointer, size_t bytes, const struct unwind_start *start)
{
  if (pointer == NULL || LIKELY(!sampler_count_down(bytes)))
    return;
  struct sampler_decision decision = sampler_decide(bytes);
  allocation_finish(pointer, bytes, &decision, start);
}

/* What is too much, or has no place for its result, is refused by the real function, in its own way. */
static bool find_bytes(const struct call *call, size_t *bytes)
{
  uint8_t does = call->shape.does, at = call->shape.size_at;
  if (does == RESIZES_AT && call->arguments[0] == 0)
    return false;
  bool is_array = does == ALLOCATES_ARRAY || does == RESIZES_ARRAY || does == RESIZES_AT;
  *bytes = call->arguments[at];
  return !is_array || !__builtin_mul_overflow(call->arguments[at - 1], *bytes, bytes);
}

static SAMPLED ARCH_ENTRY uintptr_t allocate(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e,
                                             uintptr_t which)
{
  struct unwind_start start = UNWIND_START_HERE();
  const uintptr_t arguments[] = {a, b, c, d, e};
  const struct call call = {which, shapes[family_of(which)], arguments};
  size_t bytes;
  if (!find_bytes(&call, &bytes))
    return call_real(&call, which);
  uintptr_t result = call_in_pause(&call);
  if (result == 0 && call.shape.first != FAMILY_NONE)
    return call_real(&call, which);
  void *pointer = (void *)result;
  if (call.shape.does == ALLOCATES_STRING && pointer != NULL)
    bytes = strlen(pointer) + 1;
  else if (call.shape.does == ALLOCATES_AT)
    pointer = (int)result == 0 ? *(void **)a : NULL;
  count(pointer, bytes, &start);
  return result;
}

static bool has_freed(const struct call *call, const void *pointer, size_t bytes, const void *resized)
{
  if (call->shape.does == EXPANDS)
    return resized != NULL;
  return call->shape.does == RESIZES_OR_FREES || resize_has_freed(pointer, bytes, resized);
}

static SAMPLED ARCH_ENTRY uintptr_t resize(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e,
                                           uintptr_t which)
{
  struct unwind_start start = UNWIND_START_HERE();
  const uintptr_t arguments[] = {a, b, c, d, e};
  const struct call call = {which, shapes[family_of(which)], arguments};
  bool is_array = call.shape.does == RESIZES_ARRAY, is_at = call.shape.does == RESIZES_AT;
  size_t bytes;
  if (!find_bytes(&call, &bytes))
    return call_real(&call, which);
  void *pointer = is_at ? *(void **)a : (void *)arguments[call.shape.size_at - (is_array ? 2 : 1)];
  struct resize old = resize_begin(pointer);
  uintptr_t result = call_in_pause(&call);
  void *resized = !is_at ? (void *)result : (int)result == 0 ? *(void **)a : NULL;
  resize_end(&old, is_at ? (int)result == 0 : has_freed(&call, pointer, bytes, resized));
  if (result == 0 && call.shape.first != FAMILY_NONE)
    return call_real(&call, which);
  count(resized, bytes, &start);
  return result;
}

static ARCH_ENTRY uintptr_t resize_in_place(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e,
                                            uintptr_t which)
{
  struct unwind_start start = UNWIND_START_HERE();
  uintptr_t size = real_of(which)(a, b, c, d, e, which);
  if (size < b)
    return size;
  struct resize resize = resize_begin((void *)a);
  resize_end(&resize, true);
  count((void *)a, b, &start);
  return size;
}

static SAMPLED NOINLINE ARCH_ENTRY uintptr_t release_noted(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d,
                                                           uintptr_t e, uintptr_t which)
{
  record_free((const void *)a);
  return real_of(which)(a, b, c, d, e, which);
}

static SAMPLED uintptr_t release(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t which)
{
  if (UNLIKELY(live_filter_may_hold((const void *)a)))
    JUMP return release_noted(a, b, c, d, e, which);
  JUMP return real_of(which)(a, b, c, d, e, which);
}

/* How mimalloc describes a part of a heap, as far as versions agree. */
struct area {
  uint8_t *start;
  size_t bytes;
};

/* Objects lie at multiples of a word, all of the area's are the heap's. Heaps are large, so pages without a sample
 * are passed over. */
static ARCH_ENTRY bool forget_area(const void *heap, const struct area *area, void *block, size_t block_bytes,
                                   void *unused)
{
  (void)heap, (void)block, (void)block_bytes, (void)unused;
  enum { LAST_WORD = (1 << LIVE_FILTER_PAGE_SHIFT) - sizeof(void *) };
  uintptr_t limit = (uintptr_t)area->start + area->bytes;
  for (uintptr_t at = (uintptr_t)area->start; at < limit; at += sizeof(void *))
    if (UNLIKELY(live_filter_may_hold((const void *)at)))
      record_free((const void *)at);
    else
      at |= LAST_WORD;
  return true;
}

typedef bool area_visitor(const void *heap, const struct area *area, void *block, size_t block_bytes, void *argument);
typedef bool heap_visitor(const void *heap, bool with_blocks, area_visitor *visit, void *argument);

/* All objects of the heap are freed at once. */
static ARCH_ENTRY uintptr_t release_heap(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e,
                                         uintptr_t which)
{
  heap_visitor *visit = (heap_visitor *)reals[MIMALLOC_BEGIN + FAMILY_heap_visit_blocks];
  if (visit != NULL && a != 0)
    (void)visit((const void *)a, false, forget_area, NULL);
  return real_of(which)(a, b, c, d, e, which);
}

#define BY_ALLOCATES allocate
#define BY_ALLOCATES_ARRAY allocate
#define BY_ALLOCATES_STRING allocate
#define BY_ALLOCATES_AT allocate
#define BY_RESIZES resize
#define BY_RESIZES_ARRAY resize
#define BY_RESIZES_AT resize
#define BY_RESIZES_OR_FREES resize
#define BY_EXPANDS resize
#define BY_RESIZES_IN_PLACE resize_in_place
#define BY_FREES release
#define BY_FREES_HEAP release_heap
#define BY_IS_ASKED release /* never called */

#define WHOLE(set, prefix, symbol, does)                                                                               \
  static uintptr_t prefix##_##symbol(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f)     \
  {                                                                                                                    \
    (void)f;                                                                                                           \
    JUMP return BY_##does(a, b, c, d, e, SET_BEGIN(set) + FAMILY_##symbol);                                            \
  }

#define HEAPPROF_FAMILY(symbol, does, size, first) WHOLE(HOOKS_OWN, own, symbol, does)
#include "interpose/patch/usual.def"
#undef HEAPPROF_FAMILY
#define HEAPPROF_FAMILY(symbol, does, size, first) WHOLE(HOOKS_FIRST, first, symbol, does)
#include "interpose/patch/family.def"
#undef HEAPPROF_FAMILY
#define HEAPPROF_FAMILY(symbol, does, size, first) WHOLE(HOOKS_SECOND, second, symbol, does)
#include "interpose/patch/family.def"
#undef HEAPPROF_FAMILY
#define HEAPPROF_FAMILY(symbol, does, size, first) WHOLE(HOOKS_MIMALLOC, mimalloc, symbol, does)
#include "interpose/patch/family.def"
#include "interpose/patch/mimalloc.def"
#undef HEAPPROF_FAMILY

/* What nearly all calls are of: with no more arguments than there are. */
#define REAL_MALLOC(set) ((void *(*)(size_t))real_at(SET_BEGIN(set) + FAMILY_malloc))
#define REAL_FREE(set) ((void (*)(void *))real_at(SET_BEGIN(set) + FAMILY_free))
#define FAST(set, prefix)                                                                                              \
  static SAMPLED NOINLINE ARCH_ENTRY void *prefix##_malloc_due(size_t size)                                            \
  {                                                                                                                    \
    struct unwind_start start = UNWIND_START_HERE();                                                                   \
    struct sampler_decision decision = sampler_decide(size);                                                           \
    void *pointer = REAL_MALLOC(set)(size);                                                                            \
    allocation_finish(pointer, size, &decision, &start);                                                               \
    return pointer;                                                                                                    \
  }                                                                                                                    \
  static SAMPLED void *prefix##_fast_malloc(size_t size)                                                               \
  {                                                                                                                    \
    return sampler_count_down(size) ? prefix##_malloc_due(size) : REAL_MALLOC(set)(size);                              \
  }                                                                                                                    \
  static SAMPLED NOINLINE ARCH_ENTRY void prefix##_free_noted(void *pointer)                                           \
  {                                                                                                                    \
    record_free(pointer);                                                                                              \
    REAL_FREE(set)(pointer);                                                                                           \
  }                                                                                                                    \
  static SAMPLED void prefix##_fast_free(void *pointer)                                                                \
  {                                                                                                                    \
    if (UNLIKELY(live_filter_may_hold(pointer)))                                                                       \
      prefix##_free_noted(pointer);                                                                                    \
    else                                                                                                               \
      REAL_FREE(set)(pointer);                                                                                         \
  }

FAST(HOOKS_OWN, own)
FAST(HOOKS_FIRST, first)
FAST(HOOKS_SECOND, second)
FAST(HOOKS_MIMALLOC, mimalloc)

/* Tables of addresses would have to be relocated in each process. */
static const void *whole_of(size_t which)
{
  switch (which) {
#define CASE(set, prefix, symbol)                                                                                      \
  case SET_BEGIN(set) + FAMILY_##symbol:                                                                               \
    return (const void *)prefix##_##symbol;
#define HEAPPROF_FAMILY(symbol, does, size, first) CASE(HOOKS_OWN, own, symbol)
#include "interpose/patch/usual.def"
#undef HEAPPROF_FAMILY
#define HEAPPROF_FAMILY(symbol, does, size, first) CASE(HOOKS_FIRST, first, symbol)
#include "interpose/patch/family.def"
#undef HEAPPROF_FAMILY
#define HEAPPROF_FAMILY(symbol, does, size, first) CASE(HOOKS_SECOND, second, symbol)
#include "interpose/patch/family.def"
#undef HEAPPROF_FAMILY
#define HEAPPROF_FAMILY(symbol, does, size, first) CASE(HOOKS_MIMALLOC, mimalloc, symbol)
#include "interpose/patch/family.def"
#include "interpose/patch/mimalloc.def"
#undef HEAPPROF_FAMILY
  default: return NULL;
  }
}

static const void *fast_malloc_of(enum hooks_set set)
{
  switch (set) {
  case HOOKS_OWN: return (const void *)own_fast_malloc;
  case HOOKS_FIRST: return (const void *)first_fast_malloc;
  case HOOKS_SECOND: return (const void *)second_fast_malloc;
  case HOOKS_MIMALLOC: return (const void *)mimalloc_fast_malloc;
  }
  return NULL;
}

static const void *fast_free_of(enum hooks_set set)
{
  switch (set) {
  case HOOKS_OWN: return (const void *)own_fast_free;
  case HOOKS_FIRST: return (const void *)first_fast_free;
  case HOOKS_SECOND: return (const void *)second_fast_free;
  case HOOKS_MIMALLOC: return (const void *)mimalloc_fast_free;
  }
  return NULL;
}

struct hook_whole hooks_whole(enum hooks_set set, size_t number)
{
  const void *whole = shapes[number].does != IS_ASKED ? whole_of(SET_BEGIN(set) + number) : NULL;
  struct hook_whole found = {whole, NULL, &reals[SET_BEGIN(set) + number]};
  if (number == FAMILY_malloc) {
    found.hook = fast_malloc_of(set);
    found.whole = whole;
  }
  if (number == FAMILY_free)
    found.hook = fast_free_of(set);
  return found;
}

static const char names[] =
#define HEAPPROF_FAMILY(symbol, does, size, first) #symbol "\0"
#include "interpose/patch/family.def"
#include "interpose/patch/mimalloc.def"
#undef HEAPPROF_FAMILY
    ;

size_t hooks_whole_number(const char *symbol)
{
  size_t number = 0;
  for (const char *name = names; *name != '\0'; name += strlen(name) + 1, number++)
    if (strcmp(name, symbol) == 0)
      return number;
  return FAMILY_ALL;
}

const char *hooks_whole_symbol(size_t number)
{
  const char *name = names;
  for (size_t i = 0; i < number; i++)
    name += strlen(name) + 1;
  return name;
}

bool hooks_whole_find(const char *symbol, struct hook_whole *found)
{
  size_t number = hooks_whole_number(symbol);
  if (number >= FAMILY_USUAL)
    return false;
  *found = hooks_whole(HOOKS_OWN, number);
  return true;
}
