/* SPDX-License-Identifier: MIT */
/* Allocators in the executable that the program calls by other names than the usual ones, beside the one that has
 * those: jemalloc, gperftools and mimalloc with a prefix (Rust's crates link them so), or one whose usual names are not
 * exported. Each gets hooks at its entries (patch.h), and keeps its own functions behind them.
 *
 * They are looked for among what the executable exports, and in the .symtab of its file, if it has one: how much of a
 * file lies behind its segments tells, so a stripped program pays nothing. A family is known by functions that no other
 * has; what is not in it is not called.
 *
 * Threads: as own.h. Signals: blocked meanwhile. Failure: a family stays as it is,
 * and a flag tells.
 */
#ifndef HEAPPROF_BESIDE_H
#define HEAPPROF_BESIDE_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stdint.h>

/* `file`: the executable's. Flags of enum region_hooks; why a family has no hooks is said to people. */
HIDDEN uint32_t beside_take_over(const char *file, bool is_announced);

#endif
