/* SPDX-License-Identifier: MIT */
/* What was found in debug information, kept by build id: one file each in $XDG_CACHE_HOME/heapprof, else
 * ~/.cache/heapprof.
 *
 * It is used only if the directories and files belong to the effective user and nobody else may write them. A file is
 * checked (version, checksum, form) before it is believed, and appears whole or not at all. Together they are at most
 * SYMBOL_CACHE_BYTES_MAX; the least recently used go first. What cannot be used is treated as missing: no failure, no
 * message.
 */
#ifndef HEAPPROF_SYMBOL_CACHE_H
#define HEAPPROF_SYMBOL_CACHE_H

#include "tools/symbols/symbol_set.h"

#define SYMBOL_CACHE_BYTES_MAX ((uint64_t)256 << 20)

/* NULL: nothing is kept. */
struct symbol_set *symbol_cache_load(const char *build_id);

/* Takes the place of what was kept. */
void symbol_cache_store(const char *build_id, const struct symbol_set *set);

#endif
