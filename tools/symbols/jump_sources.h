/* SPDX-License-Identifier: MIT */
/* Who jumps to a function without a name. An exported function that has nothing left to do but call another one jumps
 * there, as localtime does in libc, and is on no stack; what it jumps to has no name in a stripped file.
 *
 * Read from the code, byte by byte: a jump is one that leads from an exported function to just where one of those
 * starts. Nothing on machines whose jumps are not known (core/arch). Files are hostile input as far as libelf takes it.
 */
#ifndef HEAPPROF_JUMP_SOURCES_H
#define HEAPPROF_JUMP_SOURCES_H

#include <glib.h>
#include <stdint.h>

/* By start (uint64_t *), the names (GPtrArray of char *) of the exported functions that jump there. `starts`: addresses
 * in the ELF file, which has that build id. NULL: it cannot be read. */
GHashTable *jump_sources_find(const char *path, const char *build_id, const uint64_t *starts, uint32_t count);

#endif
