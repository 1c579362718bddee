/* SPDX-License-Identifier: MIT */
#include "interpose/real.h"

#include "core/libc.h"
#include "core/sampler.h"
#include "interpose/bootstrap.h"
#include "interpose/fallback.h"
#include "interpose/hooks.h"
#include "interpose/loader.h"
#include "interpose/musl.h"
#include "interpose/object.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

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

struct real_functions real = {.free = early_free};
size_t (*real_usable_size)(void *pointer) = careful_malloc_usable_size;
struct real_origins real_is_allocators;

static _Atomic bool is_resolved;
static struct object allocator; /* provides malloc */
static bool core_agrees = true;
static bool is_preceded; /* malloc or free of an object before us is what the program's calls reach */
static bool is_late;     /* nobody behind us has them */
static bool is_at_entries;

#define FALLBACK_core(symbol) NULL
#define FALLBACK_optional(symbol) (void *)fallback_##symbol
/* In the order of the fields of `real`, which has nothing else. */
struct hook {
  const char *symbol;
  void *fallback; /* for an optional function that is missing */
};

static const struct hook hooks[] = {
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) {#symbol, FALLBACK_##need(symbol)},
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK
};

_Static_assert(sizeof real == COUNT_OF(hooks) * sizeof(void *), "one pointer for each hook");
_Static_assert(sizeof real_is_allocators == COUNT_OF(hooks) * sizeof(bool), "one bool for each hook");

enum { CORE_HOOKS = 4 };

static struct next {
  struct object_query query;
  void *function;
  bool is_chosen_by_call; /* STT_GNU_IFUNC: the loader knows how */
} nexts[COUNT_OF(hooks)];

static void take_from(const struct object *object)
{
  for (unsigned i = 0; i < COUNT_OF(nexts); i++) {
    struct next *next = &nexts[i];
    const ElfW(Sym) *found = NULL;
    if (next->function == NULL && !next->is_chosen_by_call)
      found = object_export(object, &next->query);
    if (found == NULL)
      continue;
    if (i == 0)
      allocator = *object;
    next->is_chosen_by_call = ELF64_ST_TYPE(found->st_info) == STT_GNU_IFUNC;
    if (!next->is_chosen_by_call)
      next->function = (void *)(object->bias + found->st_value);
  }
}

extern HIDDEN const char __ehdr_start[];

static int look_behind(struct dl_phdr_info *info, size_t size, void *argument)
{
  bool *is_behind = argument;
  struct object object;
  (void)size;
  if (!object_read(info, &object))
    return 0;
  if (object_holds(&object, (uintptr_t)__ehdr_start))
    *is_behind = true;
  else if (*is_behind)
    take_from(&object);
  else
    is_preceded = is_preceded || object_export(&object, &nexts[0].query) != NULL ||
                  object_export(&object, &nexts[1].query) != NULL;
  return 0;
}

static int look_before(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct object object;
  (void)size;
  (void)argument;
  if (object_read(info, &object) && !object_holds(&object, (uintptr_t)__ehdr_start))
    take_from(&object);
  return 0;
}

/* The loader keeps its objects in the order in which it searches them. We read their tables ourselves, since dlsym
 * allocates a message for what is not there, before the program allocates anything. Where they cannot be read, it is
 * asked all the same. */
static void find_nexts(void)
{
  bool is_behind = false;
  for (unsigned i = 0; i < COUNT_OF(nexts); i++)
    nexts[i].query = object_query(hooks[i].symbol);
  (void)loader_each(look_behind, &is_behind);
  is_late = is_preceded && allocator.name == NULL;
  if (is_late)
    (void)loader_each(look_before, NULL);
  for (unsigned i = 0; i < COUNT_OF(nexts); i++)
    if (nexts[i].is_chosen_by_call || allocator.name == NULL)
      nexts[i].function = dlsym != NULL ? dlsym(is_late ? RTLD_DEFAULT : RTLD_NEXT, hooks[i].symbol) : NULL;
}

/* The core functions become known all at once: until then whatever dlsym asks of us lives in the bootstrap arena, also
 * what it resizes. */
static void set_real(void)
{
  void **functions = (void **)&real;
  bool *are_allocators = (bool *)&real_is_allocators;
  for (unsigned i = 0; i < COUNT_OF(hooks); i++) {
    void *function = nexts[i].function;
    functions[i] = function != NULL ? function : hooks[i].fallback;
    are_allocators[i] = object_holds(&allocator, (uintptr_t)function);
    core_agrees = core_agrees && (i >= CORE_HOOKS || are_allocators[i]);
  }
  if (libc_is_musl() && object_holds(&allocator, (uintptr_t)dlsym))
    musl_complete();
}

/* Another library's dlsym, or a handler while this thread was in there, may hold an object of the arena for ever. */
static void choose_usable_size(void)
{
  real_usable_size = bootstrap_is_used() ? careful_malloc_usable_size : real.malloc_usable_size;
}

void real_ensure(void)
{
  if (LIKELY(atomic_load_explicit(&is_resolved, memory_order_acquire)) || this_thread.is_resolving)
    return;
  this_thread.is_resolving = true;
  find_nexts();
  set_real();
  this_thread.is_resolving = false;
  choose_usable_size();
  atomic_store_explicit(&is_resolved, true, memory_order_release);
}

void *real_next(const char *symbol)
{
  for (unsigned i = 0; i < COUNT_OF(hooks); i++)
    if (strcmp(hooks[i].symbol, symbol) == 0)
      return nexts[i].function;
  return NULL;
}

void real_change_allocator(const struct object *object, const char *path)
{
  allocator = *object;
  allocator.name = path;
  core_agrees = true;
  is_at_entries = true;
  real_is_allocators = (struct real_origins){.malloc = false};
  void *usable_size = object_find(object, "malloc_usable_size");
  if (usable_size != NULL)
    real_change("malloc_usable_size", usable_size);
  choose_usable_size();
}

void real_change(const char *symbol, void *function)
{
  for (unsigned i = 0; i < COUNT_OF(hooks); i++) {
    if (strcmp(hooks[i].symbol, symbol) != 0)
      continue;
    ((void **)&real)[i] = function;
    ((bool *)&real_is_allocators)[i] = true;
  }
}

const char *real_allocator_path(void)
{
  return allocator.name != NULL ? allocator.name : "";
}

bool real_is_allocator(const struct object *object)
{
  return allocator.dynamic != NULL && object->dynamic == allocator.dynamic;
}

bool real_is_allocators_code(uintptr_t pc)
{
  return object_holds(&allocator, pc);
}

void *real_allocator_function(const char *symbol)
{
  return allocator.name != NULL ? object_find(&allocator, symbol) : NULL;
}

bool real_core_agrees(void)
{
  return core_agrees;
}

bool real_is_at_entries(void)
{
  return is_at_entries;
}

bool real_is_interposed(void)
{
  return !is_preceded;
}

bool real_is_late(void)
{
  return is_late;
}

const struct object *real_allocator(void)
{
  return &allocator;
}
