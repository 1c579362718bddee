/* SPDX-License-Identifier: MIT */
#include "interpose/patch/heap_need.h"

#include "core/sys.h"
#include "interpose/patch/symbol_file.h"

#include <string.h>

uintptr_t heap_end(void)
{
  return (uintptr_t)sys_call(SYS_brk, 0, 0, 0, 0, 0, 0);
}

bool heap_is_in_use(void)
{
  return sys_is_readable(heap_end() - 1);
}

struct search {
  uint64_t malloc_value;
  bool is_found;
};

/* jemalloc's mallctl lies somewhere; of the others malloc is one function by two names. */
static const char *const known[] = {"mallctl", "tc_malloc", "mi_malloc", "__libc_malloc"};

static void note_known(const char *name, const ElfW(Sym) * symbol, void *argument)
{
  struct search *search = argument;
  for (size_t i = 0; i < COUNT_OF(known); i++)
    if (strcmp(name, known[i]) == 0 && (i == 0 || symbol->st_value == search->malloc_value))
      search->is_found = true;
}

static void note_exports(const struct object *executable, struct search *search)
{
  for (size_t i = 0; i < COUNT_OF(known); i++) {
    struct object_query query = object_query(known[i]);
    const ElfW(Sym) *found = object_export(executable, &query);
    if (found != NULL)
      note_known(known[i], found, search);
  }
}

bool heap_is_needed(const struct object *executable, const char *file, uint64_t malloc_value)
{
  static const char *const calls[] = {"sbrk", "brk", "__sbrk"};
  bool may_ask = heap_is_in_use();
  for (size_t i = 0; i < COUNT_OF(calls); i++)
    may_ask = may_ask || object_imports(executable, calls[i]);
  struct search search = {.malloc_value = malloc_value};
  if (may_ask)
    note_exports(executable, &search);
  if (may_ask && !search.is_found)
    (void)symbol_file_each(file, "malloc", note_known, &search);
  return may_ask && !search.is_found;
}
