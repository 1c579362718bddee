/* SPDX-License-Identifier: MIT */
/* The real functions: for every hook the next definition behind ours (RTLD_NEXT).
 *
 * They are looked up by the first call of any allocating hook, which may come before our constructor, from a
 * constructor of another library, on any thread: in the tables of the loaded objects; by dlsym only where those do not
 * tell (real.c). dlsym may allocate: such requests of the resolving thread are served by the bootstrap arena.
 *
 * Threads: anyone may call real_ensure at any time; two threads that resolve at once store the same pointers. Signals,
 * fork: safe. Failure: a required function that is missing makes the shim inert; an optional one is replaced by means
 * of others.
 */
#ifndef HEAPPROF_REAL_H
#define HEAPPROF_REAL_H

#include "core/arch/arch.h"
#include "core/compiler.h"
#include "interpose/real_functions.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object;

/* Where our malloc_usable_size goes: to the real one, past the bootstrap arena if anything is in there. */
extern HIDDEN size_t (*real_usable_size)(void *pointer);

/* Resolves everything, once. Returns at once in a call that the resolving itself made; `real` may then have gaps. */
SAMPLED void real_ensure(void);

/* Path of the object that provides malloc; valid for ever. */
const char *real_allocator_path(void);

/* Is it that object? */
bool real_is_allocator(const struct object *object);

/* Is it code of that object? */
bool real_is_allocators_code(uintptr_t pc);

/* What that object exports under a name; NULL: nothing. */
void *real_allocator_function(const char *symbol);

/* Do malloc, free, calloc and realloc come from one object? */
bool real_core_agrees(void);

/* What is behind ours under that name; NULL: nothing. */
void *real_next(const char *symbol);

/* Before the hooks are called: another object provides malloc, in which nothing is known but
 * what is said next, function by function. `path` stays. */
void real_change_allocator(const struct object *object, const char *path);
void real_change(const char *symbol, void *function);

/* Is it the executable, and do hooks stand at the entries of its functions, or can they? */
bool real_is_at_entries(void);

/* Is our malloc the one that the program's calls reach? */
bool real_is_interposed(void);

/* Were we opened while the program ran? Then the real functions are those that its calls reach. */
bool real_is_late(void);

/* Provides malloc; without a name: not known. */
const struct object *real_allocator(void);

#endif
