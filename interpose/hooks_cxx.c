/* SPDX-License-Identifier: MIT */
/* operator new and delete, by their Itanium ABI names.
 *
 * An allocator with operators of its own (jemalloc, tcmalloc, mimalloc) is counted here. libstdc++'s call malloc, which
 * is counted there: then the hook is one jump, taken through a table, and the walker leaves libstdc++'s frame out.
 * Exceptions (bad_alloc) pass through: no hook holds anything while the real operator runs. */
#include "interpose/hooks.h"

#include "core/record.h"
#include "interpose/allocation.h"
#include "interpose/probe.h"
#include "interpose/real.h"

/* An allocator's operator may still come back through a hook: jemalloc's aligned forms call aligned_alloc. */
static const char probe_nothrow;

/* For each form: what its probe makes, and gives back by the delete that belongs to it; what the hook jumps to at
 * first, when the operator is counted, and when it is due. */
#define NEW_HOOK(symbol, parameters, arguments, delete_symbol, delete_arguments)                                       \
  static void *make_by_##symbol(void)                                                                                  \
  {                                                                                                                    \
    UNUSED size_t size = PROBE_BYTES, alignment = PROBE_BYTES;                                                         \
    UNUSED const void *nothrow = &probe_nothrow;                                                                       \
    return real.symbol arguments;                                                                                      \
  }                                                                                                                    \
  static void release_of_##symbol(void *pointer)                                                                       \
  {                                                                                                                    \
    UNUSED size_t alignment = PROBE_BYTES;                                                                             \
    real.delete_symbol delete_arguments;                                                                               \
  }                                                                                                                    \
  static struct probe probe_##symbol = {.make = make_by_##symbol, .release = release_of_##symbol};                     \
  static void *first_##symbol parameters;                                                                              \
  static void *(*target_##symbol)parameters = first_##symbol;                                                          \
  static NOINLINE ARCH_ENTRY void *due_##symbol parameters                                                             \
  {                                                                                                                    \
    struct unwind_start start = UNWIND_START_HERE();                                                                   \
    struct sampler_decision decision = sampler_decide(size);                                                           \
    void *pointer = real.symbol arguments;                                                                             \
    allocation_finish(pointer, size, &decision, &start);                                                               \
    return pointer;                                                                                                    \
  }                                                                                                                    \
  static void *counted_##symbol parameters                                                                             \
  {                                                                                                                    \
    return sampler_count_down(size) ? due_##symbol arguments : real.symbol arguments;                                  \
  }                                                                                                                    \
  static ARCH_ENTRY void *first_##symbol parameters                                                                    \
  {                                                                                                                    \
    real_ensure();                                                                                                     \
    (void)probe_answer(&probe_##symbol, real_is_allocators.symbol);                                                    \
    int known = atomic_load(&probe_##symbol.counting);                                                                 \
    if (known != COUNTING_UNKNOWN)                                                                                     \
      target_##symbol = known == COUNTING_HERE ? counted_##symbol : real.symbol;                                       \
    return known == COUNTING_HERE ? counted_##symbol arguments : real.symbol arguments;                                \
  }                                                                                                                    \
  void *symbol parameters                                                                                              \
  {                                                                                                                    \
    return target_##symbol arguments;                                                                                  \
  }

NEW_HOOK(_Znwm, (size_t size), (size), _ZdlPv, (pointer))
NEW_HOOK(_Znam, (size_t size), (size), _ZdaPv, (pointer))
NEW_HOOK(_ZnwmRKSt9nothrow_t, (size_t size, const void *nothrow), (size, nothrow), _ZdlPv, (pointer))
NEW_HOOK(_ZnamRKSt9nothrow_t, (size_t size, const void *nothrow), (size, nothrow), _ZdaPv, (pointer))
NEW_HOOK(_ZnwmSt11align_val_t, (size_t size, size_t alignment), (size, alignment), _ZdlPvSt11align_val_t,
         (pointer, alignment))
NEW_HOOK(_ZnamSt11align_val_t, (size_t size, size_t alignment), (size, alignment), _ZdaPvSt11align_val_t,
         (pointer, alignment))
NEW_HOOK(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *nothrow),
         (size, alignment, nothrow), _ZdlPvSt11align_val_t, (pointer, alignment))
NEW_HOOK(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *nothrow),
         (size, alignment, nothrow), _ZdaPvSt11align_val_t, (pointer, alignment))

/* Whoever provides delete, the pointer leaves the live table here; if free is called in turn, it finds nothing more to
 * do. */
#define DELETE_HOOK(symbol, parameters, arguments)                                                                     \
  static NOINLINE ARCH_ENTRY void noted_##symbol parameters                                                            \
  {                                                                                                                    \
    real_ensure();                                                                                                     \
    record_free(pointer);                                                                                              \
    real.symbol arguments;                                                                                             \
  }                                                                                                                    \
  void symbol parameters                                                                                               \
  {                                                                                                                    \
    if (UNLIKELY(live_filter_may_hold(pointer)) || UNLIKELY(real.symbol == NULL))                                      \
      noted_##symbol arguments;                                                                                        \
    else                                                                                                               \
      real.symbol arguments;                                                                                           \
  }

DELETE_HOOK(_ZdlPv, (void *pointer), (pointer))
DELETE_HOOK(_ZdaPv, (void *pointer), (pointer))
DELETE_HOOK(_ZdlPvm, (void *pointer, size_t size), (pointer, size))
DELETE_HOOK(_ZdaPvm, (void *pointer, size_t size), (pointer, size))
DELETE_HOOK(_ZdlPvRKSt9nothrow_t, (void *pointer, const void *nothrow), (pointer, nothrow))
DELETE_HOOK(_ZdaPvRKSt9nothrow_t, (void *pointer, const void *nothrow), (pointer, nothrow))
DELETE_HOOK(_ZdlPvSt11align_val_t, (void *pointer, size_t alignment), (pointer, alignment))
DELETE_HOOK(_ZdaPvSt11align_val_t, (void *pointer, size_t alignment), (pointer, alignment))
DELETE_HOOK(_ZdlPvmSt11align_val_t, (void *pointer, size_t size, size_t alignment), (pointer, size, alignment))
DELETE_HOOK(_ZdaPvmSt11align_val_t, (void *pointer, size_t size, size_t alignment), (pointer, size, alignment))
DELETE_HOOK(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *pointer, size_t alignment, const void *nothrow),
            (pointer, alignment, nothrow))
DELETE_HOOK(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *pointer, size_t alignment, const void *nothrow),
            (pointer, alignment, nothrow))
