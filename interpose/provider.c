/* SPDX-License-Identifier: MIT */
#include "interpose/provider.h"

#include "core/libc.h"
#include "interpose/loader.h"

#include <link.h>

extern HIDDEN const char __ehdr_start[];

static int find_callers(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct provider_search *search = argument;
  struct object object;
  (void)size;
  if (!object_read(info, &object) || !object_holds(&object, search->caller))
    return 0;
  search->callers = object;
  return 1;
}

void provider_begin(struct provider_search *search, uintptr_t caller)
{
  search->caller = caller;
  search->callers = (struct object){.dynamic = NULL};
  search->rank = PROVIDER_NONE;
  (void)loader_each(find_callers, search);
}

enum provider_rank provider_rank(const struct provider_search *search, const struct object *object)
{
  if (object->bias == search->callers.bias && object->dynamic == search->callers.dynamic)
    return PROVIDER_OWN;
  return search->callers.dynamic != NULL && object_needs(&search->callers, object) ? PROVIDER_NEEDED : PROVIDER_ANY;
}

struct function_search {
  struct provider_search of_caller;
  const char *symbol;
  void *function;
};

static int find_function(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct function_search *search = argument;
  struct object object;
  (void)size;
  if (!object_read(info, &object) || object_holds(&object, (uintptr_t)__ehdr_start) ||
      provider_rank(&search->of_caller, &object) <= search->of_caller.rank)
    return 0;
  void *found = object_find(&object, search->symbol);
  if (found == NULL)
    return 0;
  search->of_caller.rank = provider_rank(&search->of_caller, &object);
  search->function = found;
  return search->of_caller.rank == PROVIDER_OWN;
}

void *provider_find(uintptr_t caller, const char *symbol)
{
  struct function_search search = {.symbol = symbol, .function = NULL};
  provider_begin(&search.of_caller, caller);
  (void)loader_each(find_function, &search);
  return search.function;
}
