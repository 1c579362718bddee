/* SPDX-License-Identifier: MIT */
/* Of a statically linked program: `ld --wrap=malloc` calls the real one __real_malloc, and all calls of malloc come to
 * us. What a program may lack is named weakly, and a weak name takes nothing out of an archive: it is there if it is
 * the program's own, or somebody else has asked for it. The operators of C++ hardly ever are: fallback.c has them. */
#include "interpose/real.h"

#include "core/libc.h"
#include "interpose/fallback.h"
#include "interpose/hooks.h"
#include "interpose/musl.h"

#include <stdatomic.h>
#include <sys/auxv.h>

#pragma weak __real_cfree
#pragma weak __real_pvalloc
#pragma weak __real_free_sized
#pragma weak __real_free_aligned_sized
#pragma weak __real_vfree
#pragma weak __real_reallocf
#pragma weak __real_reallocarr
#pragma weak __real_mmap64
#pragma weak __real_dlopen
#pragma weak __real_dlmopen
#pragma weak __real_dlclose
#pragma weak __real___register_frame
#pragma weak __real___deregister_frame

#define STRENGTH_c
#define STRENGTH_sized
#define STRENGTH_aligned
#define STRENGTH_bsd
#define STRENGTH_process
#define STRENGTH_mapping
#define STRENGTH_cxx __attribute__((weak))
#define STRENGTH_jemalloc __attribute__((weak))
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what)                                                     \
  extern type __real_##symbol parameters STRENGTH_##group;
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK

struct real_functions real = {
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) .symbol = __real_##symbol,
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK
};

/* What is behind a hook may come back through another one: the probes find that out. */
struct real_origins real_is_allocators = {
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) .symbol = true,
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK
};

size_t (*real_usable_size)(void *pointer) = __real_malloc_usable_size;

#define COMPLETE_core(symbol)
#define COMPLETE_optional(name)                                                                                        \
  if (real.name == NULL) {                                                                                             \
    real.name = fallback_##name;                                                                                       \
    real_is_allocators.name = false;                                                                                   \
  }

static void complete(void)
{
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) COMPLETE_##need(symbol)
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK
}

void real_ensure(void)
{
  static _Atomic bool is_complete;
  if (LIKELY(atomic_load_explicit(&is_complete, memory_order_acquire)))
    return;
  complete();
  if (libc_is_musl())
    musl_complete();
  atomic_store_explicit(&is_complete, true, memory_order_release);
}

const char *real_allocator_path(void)
{
  const char *executed = (const char *)getauxval(AT_EXECFN);
  return executed != NULL ? executed : "";
}

/* Its code is somewhere in the program. */
bool real_is_allocators_code(uintptr_t pc)
{
  (void)pc;
  return false;
}

void *real_allocator_function(const char *symbol)
{
  (void)symbol;
  return NULL;
}

bool real_core_agrees(void)
{
  return true;
}

void *real_next(const char *symbol)
{
  (void)symbol;
  return NULL;
}

bool real_is_allocator(const struct object *object)
{
  (void)object;
  return false;
}

bool real_is_interposed(void)
{
  return true;
}

bool real_is_at_entries(void)
{
  return false;
}

bool real_is_late(void)
{
  return false;
}
