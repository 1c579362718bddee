/* SPDX-License-Identifier: MIT */
/* Parents and their forked children added up, so that what a child inherited counts once (core/inherited.h).
 *
 * All processes that were forked from one since its exec are a family. Before profiles are combined each is marked with
 * its family. Of each stack of the sum, the family then has what its members allocated themselves or, where that was
 * freed meanwhile by who allocated it, the most that one of the others inherited and still has.
 *
 * Memory: texts are the heap's, but for those of a family, which the caller owns.
 */
#ifndef HEAPPROF_FAMILY_H
#define HEAPPROF_FAMILY_H

#include "tools/heap/heap.h"

/* "created_unix_ns pid" of the first process of the family, as a new string; NULL: nobody knows, or there are several.
 */
char *family_of(const struct heap *heap);

/* Is it a forked child? */
bool family_has_parent(const struct heap *heap);

/* Gives each sample a mark of its family and, if it was inherited, of the process. `is_counted`: somebody else's
 * exact_units have what it inherited. */
void family_mark(struct heap *heap, const char *family, unsigned process, bool is_counted);

/* Of the combined heap: takes the marks away, with what would count twice. */
void family_count_once(struct heap *heap);

#endif
