/* SPDX-License-Identifier: MIT */
#include "interpose/real.h"

#include "core/libc.h"
#include "core/sampler.h"
#include "interpose/bootstrap.h"
#include "interpose/fallback.h"
#include "interpose/hooks.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>

/* Freed before anything was allocated through us: NULL, or what dlsym got from the bootstrap arena. */
static ARCH_ENTRY void early_free(void *pointer)
{
  if (pointer == NULL || bootstrap_owns(pointer))
    return;
  real_ensure();
  if (real.free != early_free)
    real.free(pointer);
}

static ARCH_ENTRY size_t careful_malloc_usable_size(void *pointer)
{
  if (bootstrap_owns(pointer))
    return bootstrap_size(pointer);
  real_ensure();
  return pointer != NULL && real.malloc_usable_size != NULL ? real.malloc_usable_size(pointer) : 0;
}

extern HIDDEN const char __ehdr_start[], _end[];

struct real_functions real = {.free = early_free};
size_t (*real_usable_size)(void *pointer) = careful_malloc_usable_size;
struct real_origins real_is_allocators;

static _Atomic bool is_resolved;
static const char *allocator_path = "";
static uintptr_t allocator_low, allocator_high; /* the image of the object that provides malloc */
static bool core_agrees = true;

/* dladdr searches all symbols of the object, so it is asked once; the other functions are compared with the object's
 * image. */
static void find_allocator(void *function)
{
  Dl_info info;
  if (function == NULL || dladdr == NULL || dladdr(function, &info) == 0)
    return;
  allocator_path = info.dli_fname;
  const ElfW(Ehdr) *header = info.dli_fbase;
  const ElfW(Phdr) *segments = (const ElfW(Phdr) *)((const char *)info.dli_fbase + header->e_phoff);
  allocator_low = allocator_high = (uintptr_t)info.dli_fbase;
  for (unsigned i = 0; i < header->e_phnum; i++)
    if (segments[i].p_type == PT_LOAD && allocator_low + segments[i].p_vaddr + segments[i].p_memsz > allocator_high)
      allocator_high = allocator_low + segments[i].p_vaddr + segments[i].p_memsz;
}

static bool is_in_allocator(const void *function)
{
  return (uintptr_t)function >= allocator_low && (uintptr_t)function < allocator_high;
}

#define FALLBACK_core(symbol) NULL
#define FALLBACK_optional(symbol) (void *)fallback_##symbol
enum group { group_c, group_sized, group_aligned, group_bsd, group_cxx, group_jemalloc, group_process };

struct hook {
  const char *symbol;
  void **function;
  bool *is_allocators;
  void *fallback; /* for an optional function that is missing */
  enum group group;
};

static const struct hook hooks[] = {
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what)                                                     \
  {#symbol, (void **)&real.symbol, &real_is_allocators.symbol, FALLBACK_##need(symbol), group_##group},
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK
};

enum { CORE_HOOKS = 4 };

/* The core functions become known all at once: until then whatever dlsym asks of us lives in the bootstrap arena, also
 * what it resizes. */
static void resolve_core(void)
{
  void *found[CORE_HOOKS];
  for (unsigned i = 0; i < CORE_HOOKS; i++)
    found[i] = dlsym(RTLD_NEXT, hooks[i].symbol);
  find_allocator(found[0]);
  for (unsigned i = 0; i < CORE_HOOKS; i++) {
    *hooks[i].function = found[i];
    *hooks[i].is_allocators = is_in_allocator(found[i]);
    core_agrees = core_agrees && *hooks[i].is_allocators;
  }
}

/* A failing look-up searches every library and formats a message. If the first of a family is missing, the others are
 * not looked up: a C program has no operator new behind us, few programs have mallocx. */
static void resolve(const struct hook *hook, enum group *last, bool *is_missing)
{
  bool is_first = hook->group != *last;
  void *function = !is_first && *is_missing ? NULL : dlsym(RTLD_NEXT, hook->symbol);
  bool is_rare = hook->group == group_sized || hook->group == group_bsd || hook->group == group_cxx ||
                 hook->group == group_jemalloc;
  if (is_first)
    *is_missing = is_rare && function == NULL;
  *last = hook->group;
  *hook->is_allocators = is_in_allocator(function);
  *hook->function = function != NULL ? function : hook->fallback;
}

void real_ensure(void)
{
  if (LIKELY(atomic_load_explicit(&is_resolved, memory_order_acquire)) || this_thread.is_resolving)
    return;
  this_thread.is_resolving = true;
  bootstrap_init();
  resolve_core();
  enum group last = group_c;
  bool is_missing = false;
  for (size_t i = CORE_HOOKS; i < COUNT_OF(hooks); i++)
    resolve(&hooks[i], &last, &is_missing);
  this_thread.is_resolving = false;
  /* Another library's dlsym, or a handler while this thread was in there, may hold an object of the arena for ever. */
  real_usable_size = bootstrap_is_used() ? careful_malloc_usable_size : real.malloc_usable_size;
  atomic_store_explicit(&is_resolved, true, memory_order_release);
}

const char *real_allocator_path(void)
{
  return allocator_path;
}

bool real_core_agrees(void)
{
  return core_agrees;
}

/* By address: our own name `malloc` means whatever comes first, to us as to everybody. A program linked at a fixed
 * address that takes malloc's address makes its own PLT entry that address, for all: an undefined symbol with a value.
 */
static bool reaches_us(const char *symbol)
{
  const char *function = dlsym(RTLD_DEFAULT, symbol);
  if (function >= __ehdr_start && function < _end)
    return true;
  Dl_info info;
  const ElfW(Sym) *found = NULL;
  return dladdr1(function, &info, (void **)&found, RTLD_DL_SYMENT) != 0 && found != NULL &&
         found->st_shndx == SHN_UNDEF;
}

bool real_is_interposed(void)
{
  return reaches_us("malloc") && reaches_us("free");
}
