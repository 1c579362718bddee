/* SPDX-License-Identifier: MIT */
#include "interpose/patch/own.h"

#include "core/modules.h"
#include "core/on_stack.h"
#include "core/text.h"
#include "interpose/bootstrap.h"
#include "interpose/loader.h"
#include "interpose/object.h"
#include "interpose/patch/heap_need.h"
#include "interpose/patch/hooks_whole.h"
#include "interpose/patch/patch.h"
#include "interpose/real.h"

#include <elf.h>
#include <link.h>
#include <string.h>

/* All that gives memory out or takes it back. */
static const char *const symbols[] = {
#define OWN(symbol) #symbol,
#define OWN_c(symbol) OWN(symbol)
#define OWN_sized(symbol) OWN(symbol)
#define OWN_aligned(symbol) OWN(symbol)
#define OWN_bsd(symbol) OWN(symbol)
#define OWN_cxx(symbol) OWN(symbol)
#define OWN_jemalloc(symbol) OWN(symbol)
#define OWN_process(symbol)
#define OWN_mapping(symbol)
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) OWN_##group(symbol)
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK
};

_Static_assert(COUNT_OF(symbols) <= PATCHES_MAX, "a patch for each");

extern HIDDEN const char __ehdr_start[];

static LARGE struct {
  struct object executable, ours;
  bool is_executable_known;
} objects;

static LARGE struct {
  struct patch patches[PATCHES_MAX];
  size_t count;
  bool is_in_force;
} family;

/* The loader keeps the program first. */
static int find_objects(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct object object;
  (void)size;
  (void)argument;
  bool has_symbols = object_read(info, &object);
  if (!objects.is_executable_known)
    objects.executable = object;
  objects.is_executable_known = true;
  if (has_symbols && object_holds(&object, (uintptr_t)__ehdr_start))
    objects.ours = object;
  return objects.ours.name != NULL;
}

static const ElfW(Sym) * find_in_executable(const char *symbol)
{
  struct object_query query = object_query(symbol);
  return object_export(&objects.executable, &query);
}

static const char *add_patch(const char *symbol, const ElfW(Sym) * found, struct patch *patch)
{
  if (ELF64_ST_TYPE(found->st_info) != STT_FUNC)
    return "one of its functions is chosen by a call";
  *patch = (struct patch){.symbol = symbol,
                          .function = (const uint8_t *)(objects.executable.bias + found->st_value),
                          .bytes = found->st_size};
  return NULL;
}

/* Its hook would do nothing. */
static bool is_passed_on(const char *symbol)
{
  return strcmp(symbol, "malloc_usable_size") == 0;
}

static const char *find_family(struct patch *patches, size_t *count)
{
  *count = 0;
  for (size_t i = 0; i < COUNT_OF(symbols); i++) {
    const ElfW(Sym) *found = is_passed_on(symbols[i]) ? NULL : find_in_executable(symbols[i]);
    const char *reason = found != NULL ? add_patch(symbols[i], found, &patches[*count]) : NULL;
    if (reason != NULL)
      return reason;
    *count += found != NULL;
  }
  return NULL;
}

enum { CORE_COUNT = 4 }; /* malloc, free, calloc and realloc, which hooks.def begins with */

static const char *check_family(const struct patch *patches, size_t count)
{
  for (size_t i = 0; i < CORE_COUNT; i++)
    if (i >= count || patches[i].symbol != symbols[i])
      return "it lacks one of malloc, free, calloc and realloc";
  return NULL;
}

/* Who asks for the next malloc behind the program's finds ours, which would go back to the program's: from now on it is
 * that of the library behind us. */
static const char *step_aside(struct patch *patches, size_t *count)
{
  bool is_in_force;
  for (size_t i = 0; i < COUNT_OF(symbols); i++) {
    const void *next = real_next(symbols[i]);
    struct object_query query = object_query(symbols[i]);
    const ElfW(Sym) *found = object_export(&objects.ours, &query);
    if (next == NULL || found == NULL)
      continue;
    patches[(*count)++] = (struct patch){.symbol = symbols[i],
                                         .function = (const uint8_t *)(objects.ours.bias + found->st_value),
                                         .bytes = found->st_size,
                                         .hook = next};
  }
  return *count > 0 ? patch_install(&objects.ours, NULL, patches, *count, &is_in_force) : NULL;
}

/* What our exported one was before it stepped aside. */
static const void *exported_hook(const char *symbol, const struct patch *aside, size_t aside_count)
{
  for (size_t i = 0; i < aside_count; i++)
    if (aside[i].symbol == symbol)
      return aside[i].original;
  return object_find(&objects.ours, symbol);
}

static void choose_hook(struct patch *patch, const struct patch *aside, size_t aside_count)
{
  struct hook_whole whole = {.hook = NULL};
  if (!hooks_whole_find(patch->symbol, &whole))
    whole.hook = exported_hook(patch->symbol, aside, aside_count);
  patch->hook = whole.hook;
  patch->whole = whole.whole;
  patch->real = whole.real;
}

/* No object of the program looks behind a library that was opened late for the next malloc, nor does it find ours. */
static const char *prepare_family(const char *file, struct patch *patches, size_t count)
{
  for (size_t i = 0; i < count; i++)
    choose_hook(&patches[i], NULL, 0);
  bool is_heap_needed = heap_is_needed(&objects.executable, file, find_in_executable("malloc")->st_value);
  return patch_prepare(&objects.executable, file, patches, count, is_heap_needed);
}

static const char *hook_family(const char *file, struct patch *patches, size_t count, bool *is_in_force)
{
  static LARGE struct patch aside[PATCHES_MAX];
  size_t aside_count = 0;
  const char *reason = step_aside(aside, &aside_count);
  if (reason != NULL)
    return reason;
  for (size_t i = 0; i < count; i++)
    choose_hook(&patches[i], aside, aside_count);
  return patch_install(&objects.executable, file, patches, count, is_in_force);
}

static const char *kept(const char *path)
{
  static LARGE char copy[MODULE_PATH_MAX];
  struct text text = TEXT_INIT(copy);
  text_put(&text, path);
  return copy;
}

static const char *take_over(const char *path, const char *file)
{
  (void)loader_each(find_objects, NULL);
  if (objects.ours.name == NULL || objects.executable.symbols == NULL)
    return "its symbols are not found";
  if (bootstrap_is_used()) /* which nobody but our free knows */
    return "it allocated while the next malloc was looked for";
  const char *reason = find_family(family.patches, &family.count);
  reason = reason == NULL ? check_family(family.patches, family.count) : reason;
  if (reason == NULL && real_is_late()) {
    reason = prepare_family(file, family.patches, family.count);
    family.is_in_force = reason == NULL;
  } else if (reason == NULL) {
    reason = hook_family(file, family.patches, family.count, &family.is_in_force);
  }
  if (family.is_in_force)
    real_change_allocator(&objects.executable, kept(path));
  for (size_t i = 0; family.is_in_force && i < family.count; i++)
    real_change(family.patches[i].symbol, family.patches[i].original);
  return reason;
}

/* No handler may come between: a hook that is called, but does not know the real function yet, takes libc's. */
const char *own_take_over(const char *path, const char *file)
{
  struct blocked_signals before = signals_block();
  const char *reason = take_over(path, file);
  signals_restore(before);
  return reason;
}

bool own_has_hook(const uint8_t *function)
{
  for (size_t i = 0; family.is_in_force && i < family.count; i++)
    if (family.patches[i].function == function)
      return true;
  return false;
}
