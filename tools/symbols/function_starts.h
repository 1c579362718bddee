/* SPDX-License-Identifier: MIT */
/* Where functions start that no symbol names: by the tables for unwinding (.eh_frame), which stripped files keep.
 *
 * Code that no entry of those covers, as stubs of old linkers, counts as one function from where the one before it
 * ends, or its section starts. Files are hostile input as far as libdw takes it.
 */
#ifndef HEAPPROF_FUNCTION_STARTS_H
#define HEAPPROF_FUNCTION_STARTS_H

#include "tools/symbols/object_file.h"

/* One for each of the sorted addresses of the ELF file, to be freed: SYMBOL_NO_START where nothing tells. */
uint64_t *function_starts_find(const struct object_file *object, const uint64_t *addresses, uint32_t count);

#endif
