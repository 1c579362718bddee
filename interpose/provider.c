/* SPDX-License-Identifier: MIT */
#include "interpose/provider.h"

#include "core/libc.h"

#include "interpose/object.h"

#include <link.h>

extern HIDDEN const char __ehdr_start[];

enum rank { RANK_NONE, RANK_ANY, RANK_NEEDED, RANK_OWN };

struct search {
  const char *symbol;
  struct object callers; /* empty until it is found */
  enum rank rank;
  uintptr_t address; /* of the caller; once that is found, of the function, or 0 */
};

static int find_callers(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct search *search = argument;
  struct object object;
  (void)size;
  if (!object_read(info, &object) || !object_holds(&object, search->address))
    return 0;
  search->callers = object;
  return 1;
}

static enum rank rank_of(const struct search *search, const struct object *object)
{
  if (object->bias == search->callers.bias && object->dynamic == search->callers.dynamic)
    return RANK_OWN;
  return search->callers.dynamic != NULL && object_needs(&search->callers, object) ? RANK_NEEDED : RANK_ANY;
}

static int find_function(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct search *search = argument;
  struct object object;
  (void)size;
  if (!object_read(info, &object) || object_holds(&object, (uintptr_t)__ehdr_start) ||
      rank_of(search, &object) <= search->rank)
    return 0;
  void *found = object_find(&object, search->symbol);
  if (found == NULL)
    return 0;
  search->rank = rank_of(search, &object);
  search->address = (uintptr_t)found;
  return search->rank == RANK_OWN;
}

void *provider_find(uintptr_t caller, const char *symbol)
{
  struct search search = {.symbol = symbol, .address = caller};
  (void)object_each(find_callers, &search);
  search.address = 0;
  (void)object_each(find_function, &search);
  return (void *)search.address;
}
