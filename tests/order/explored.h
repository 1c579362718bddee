/* SPDX-License-Identifier: MIT */
/* To be included before the source that the explorer shall run: puts the explorer's operations in place of those of <stdatomic.h>.
 * Every order that is named gets a site, which can be weakened.
 */
#ifndef HEAPPROF_EXPLORED_H
#define HEAPPROF_EXPLORED_H

#include "tests/order/explorer.h"

#include <stdatomic.h>
#include <string.h>

#define EXPLORED_SITE(what, named_order)                                                                               \
  __extension__({                                                                                                      \
    static struct explorer_site explored_site = {                                                                      \
        .file = __FILE__, .function = __func__, .operation = what, .line = __LINE__, .order = named_order};            \
    static struct explorer_site *const explored_entry __attribute__((section("explorer_sites"), used)) =               \
        &explored_site;                                                                                                \
    (void)explored_entry;                                                                                              \
    &explored_site;                                                                                                    \
  })

/* The type of what is stored there, without _Atomic. */
#define EXPLORED_TYPE(address) __typeof__((void)0, *(address))

static inline uint64_t explored_bits(const void *value, size_t size)
{
  uint64_t bits = 0;
  __builtin_memcpy(&bits, value, size);
  return bits;
}

#define EXPLORED_AS(address, call)                                                                                     \
  __extension__({                                                                                                      \
    uint64_t explored_result = (call);                                                                                 \
    EXPLORED_TYPE(address) explored_value;                                                                             \
    __builtin_memcpy(&explored_value, &explored_result, sizeof explored_value);                                        \
    explored_value;                                                                                                    \
  })

/* The bits of `value`, converted to the type of what is stored there. */
#define EXPLORED_BITS(address, value)                                                                                  \
  __extension__({                                                                                                      \
    EXPLORED_TYPE(address) explored_new = (value);                                                                     \
    explored_bits(&explored_new, sizeof explored_new);                                                                 \
  })

#undef atomic_load_explicit
#undef atomic_load
#undef atomic_store_explicit
#undef atomic_store
#undef atomic_exchange_explicit
#undef atomic_exchange
#undef atomic_fetch_add_explicit
#undef atomic_fetch_add
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_or_explicit
#undef atomic_fetch_or
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_weak_explicit
#undef atomic_compare_exchange_weak
#undef atomic_thread_fence
#undef atomic_signal_fence

#define atomic_load_explicit(address, order)                                                                           \
  EXPLORED_AS(address, explorer_load(EXPLORED_SITE("load", order), (address), sizeof *(address)))
#define atomic_store_explicit(address, value, order)                                                                   \
  explorer_store(EXPLORED_SITE("store", order), (address), sizeof *(address), EXPLORED_BITS(address, value))
#define atomic_exchange_explicit(address, value, order)                                                                \
  EXPLORED_AS(address, explorer_exchange(EXPLORED_SITE("exchange", order), (address), sizeof *(address),               \
                                         EXPLORED_BITS(address, value)))
#define atomic_fetch_add_explicit(address, value, order)                                                               \
  EXPLORED_AS(address, explorer_add(EXPLORED_SITE("fetch_add", order), (address), sizeof *(address), (uint64_t)(value)))
#define atomic_fetch_sub_explicit(address, value, order)                                                               \
  EXPLORED_AS(address,                                                                                                 \
              explorer_add(EXPLORED_SITE("fetch_sub", order), (address), sizeof *(address), -(uint64_t)(value)))
#define atomic_fetch_or_explicit(address, value, order)                                                                \
  EXPLORED_AS(address, explorer_or(EXPLORED_SITE("fetch_or", order), (address), sizeof *(address),                     \
                                   EXPLORED_BITS(address, value)))
#define atomic_compare_exchange_strong_explicit(address, expected, desired, success, failure)                          \
  explorer_compare_exchange(EXPLORED_SITE("compare_exchange, success", success),                                       \
                            EXPLORED_SITE("compare_exchange, failure", failure), (address), sizeof *(address),         \
                            (expected), EXPLORED_BITS(address, desired))
#define atomic_thread_fence(order) explorer_fence(EXPLORED_SITE("fence", order))
#define atomic_signal_fence(order) __asm__ volatile("" ::: "memory") /* there are no handlers */

#define atomic_load(address) atomic_load_explicit(address, memory_order_seq_cst)
#define atomic_store(address, value) atomic_store_explicit(address, value, memory_order_seq_cst)
#define atomic_exchange(address, value) atomic_exchange_explicit(address, value, memory_order_seq_cst)
#define atomic_fetch_add(address, value) atomic_fetch_add_explicit(address, value, memory_order_seq_cst)
#define atomic_fetch_sub(address, value) atomic_fetch_sub_explicit(address, value, memory_order_seq_cst)
#define atomic_fetch_or(address, value) atomic_fetch_or_explicit(address, value, memory_order_seq_cst)
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_strong(address, expected, desired)                                                     \
  atomic_compare_exchange_strong_explicit(address, expected, desired, memory_order_seq_cst, memory_order_seq_cst)
#define atomic_compare_exchange_weak atomic_compare_exchange_strong

#endif
