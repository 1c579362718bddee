/* SPDX-License-Identifier: MIT */
/* Compiler attributes by the names the rest of the code uses. */
#ifndef HEAPPROF_COMPILER_H
#define HEAPPROF_COMPILER_H

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define HIDDEN __attribute__((visibility("hidden")))
#define EXPORT __attribute__((visibility("default")))
#define NOINLINE __attribute__((noinline))
#define COLD __attribute__((cold, noinline))

/* What each sample runs: the linker puts these functions together. Between two samples a program runs much other code,
 * so each page costs a walk through page tables that are in no cache, and each line a miss. */
#define SAMPLED __attribute__((hot))

/* What each sample of exact mode runs besides: together too, behind the others. */
#define SAMPLED_EXACT __attribute__((section(".text.sorted.exact")))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define UNUSED __attribute__((unused))
#define PACKED __attribute__((packed))

/* For arrays of more than a page, and others that a start does not touch: the linker puts them before the small
 * variables, which each process touches as it starts, so that those lie on few pages. */
#define LARGE __attribute__((aligned(4096)))

/* In front of a return of a call: it is a jump. clang promises it; gcc does it when it optimizes (tests/policy). */
#if defined(__has_attribute) && __has_attribute(musttail)
#define JUMP __attribute__((musttail))
#else
#define JUMP
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* An invariant. Developer builds (configure --enable-debug) check it, and a violation stops the program at once; in all
 * other builds it costs nothing. */
#ifdef HEAPPROF_DEBUG
#define INVARIANT(condition) ((condition) ? (void)0 : __builtin_trap())
#else
#define INVARIANT(condition) ((void)sizeof(condition))
#endif

#endif
