/* SPDX-License-Identifier: MIT */
/* Which loaded object holds a pc. glibc answers that itself since 2.35 (_dl_find_object), without a lock. For others
 * there is a list of ours, made of the loader's list of objects as debuggers see it: each in its place, for that list
 * only grows at its end where nothing is ever unloaded. musl unloads nothing; of an older glibc the list has what the
 * program started with, which is never unloaded either.
 *
 * musl asks its own callers to wait for a lock, which a handler may have interrupted the holder of. So nobody here
 * calls it: the list is followed without a lock, and only while no dlopen that could fail takes back what it added.
 *
 * Threads: anywhere; one at a time adds to the list. Signals: what a handler finds being added to is as if a dlopen
 * were under way. Memory: mapped once, where there is no _dl_find_object. Fork: loaded_was_forked. Failure: false.
 */
#ifndef HEAPPROF_LOADED_H
#define HEAPPROF_LOADED_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

/* From the constructor. `of_libc` is _dl_find_object, or NULL: then `first` is the loader's first object, the program,
 * and `loader_state` musl's note of whether its list is whole. */
struct link_map;
typedef int loaded_finder(void *pc, struct dl_find_object *found);
void loaded_init(loaded_finder *of_libc, const struct link_map *first, const int *loader_state);

/* Is there anything to ask? Does that know all objects? */
bool loaded_are_known(void);
bool loaded_are_all_known(void);

/* As _dl_find_object; the link map may be a copy of ours. False: there is none, or none yet. */
bool loaded_find(uintptr_t pc, struct dl_find_object *object);

/* Is there one perhaps that is not found only now? */
bool loaded_are_changing(void);

/* Around a real dlopen of musl's. They nest, also by constructors that open something. */
void loaded_begin_opening(void);
void loaded_end_opening(void);

/* In the child. */
void loaded_was_forked(void);

#endif
