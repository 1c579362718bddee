/* SPDX-License-Identifier: MIT */
/* Objects that are opened with RTLD_DEEPBIND look for malloc in what they were linked with first, so the loader binds
 * them to the real functions, past the hooks. They are bound again: wherever one of their relocations holds the very
 * address of a real function that allocates or frees, the hook before that function is put there. What it calls in the
 * end is the same.
 *
 * dlopen itself is only passed on, by a jump (hazard A8), so the moment after it returns has to be caught: while a
 * thread may have such an open behind it, the first steps to the real functions lead through here. An object is
 * touched when the loader finds it by address, which is after the loader has relocated and protected it. Whatever is
 * in doubt stays as it is: a lazy binding, where an object that is neither ours nor the allocator exports the name as
 * well, or a page that cannot be made writable.
 *
 * Threads: one binds at a time, others wait about a millisecond and leave it. Memory: fixed. Signals: blocked
 * meanwhile. Fork: safe.
 */
#ifndef HEAPPROF_REBIND_H
#define HEAPPROF_REBIND_H

#include "core/compiler.h"
#include "core/lock.h"

#include <stdbool.h>
#include <stdint.h>

/* A dlopen with RTLD_DEEPBIND begins; `return_at` is where the address lies to which it will return. */
void rebind_expect(const uintptr_t *return_at);

/* In a process that has been running (late.h): all calls that go through a pointer which the loader has set
 * come to the hooks from now on, or to the real functions again. One store each, whatever other threads do. False:
 * not, or not all: it may be tried again. */
bool rebind_to_hooks(void);
bool rebind_to_real(void);

/* Who binds, and may hold the loader's lock of walks for it: glibc does not give that back in a child. A fork waits. */
extern struct lock rebind_lock;

/* In the child: the threads that were at it are not there. */
void rebind_was_forked(void);

#endif
