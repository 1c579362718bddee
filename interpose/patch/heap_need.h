/* SPDX-License-Identifier: MIT */
/* Does an allocator of the executable need the heap (brk) to grow? Many take other memory where it does not, some know
 * no other way, and give nothing then.
 *
 * Those that go on are known by name: jemalloc, gperftools, mimalloc and glibc's. Of another one it is not known, but
 * where the executable asks for no heap by name, and nobody has any. A system call that it makes by itself is not seen
 * before there is one.
 *
 * Threads: one at a time. Memory: as symbol_file.h. Failure: it does.
 */
#ifndef HEAPPROF_HEAP_NEED_H
#define HEAPPROF_HEAP_NEED_H

#include "core/compiler.h"
#include "interpose/object.h"

#include <stdbool.h>
#include <stdint.h>

/* `file`: the executable's; `malloc_value`: of the allocator's malloc, as its symbol says. */
HIDDEN bool heap_is_needed(const struct object *executable, const char *file, uint64_t malloc_value);

/* Where the heap ends, and whether it is in use. */
HIDDEN uintptr_t heap_end(void);
HIDDEN bool heap_is_in_use(void);

#endif
