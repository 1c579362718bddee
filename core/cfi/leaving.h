/* SPDX-License-Identifier: MIT */
/* A row for code without unwind information, from what the code itself does up to its end. Only where the C library is
 * musl, which is built without any: elsewhere such code is of compilers that nobody here knows.
 *
 * Threads, signals: safe; the object does not go. Stack: 150 bytes. Failure: false.
 */
#ifndef HEAPPROF_CFI_LEAVING_H
#define HEAPPROF_CFI_LEAVING_H

#include "core/cfi/object_cache.h"
#include "core/cfi/row.h"

#include <stdbool.h>
#include <stdint.h>

/* `leaving` is room to work in. */
bool leaving_find_row(const struct cfi_object *object, uintptr_t return_address, struct arch_leaving *leaving,
                      struct cfi_row *row);

/* Does musl start the program or a thread by the call in front of it? */
bool leaving_is_outermost(const struct cfi_object *object, uintptr_t return_address);

#endif
