/* SPDX-License-Identifier: MIT */
#include "interpose/cxx_runtime.h"

#include "core/libc.h"

#include "interpose/object.h"

#include <link.h>
#include <stdint.h>

enum rank { RANK_NONE, RANK_ANY, RANK_NEEDED, RANK_OWN };

struct search {
  uintptr_t caller;
  struct object callers; /* empty until it is found */
  enum rank rank;
  struct cxx_runtime *runtime;
};

static int find_callers(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct search *search = argument;
  struct object object;
  (void)size;
  if (!object_read(info, &object) || !object_holds(&object, search->caller))
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

static bool read_runtime(const struct object *object, struct cxx_runtime *runtime)
{
  *(void **)&runtime->get_new_handler = object_find(object, "_ZSt15get_new_handlerv");
  *(void **)&runtime->allocate_exception = object_find(object, "__cxa_allocate_exception");
  *(void **)&runtime->throw_exception = object_find(object, "__cxa_throw");
  *(void **)&runtime->bad_alloc_destroy = object_find(object, "_ZNSt9bad_allocD1Ev");
  runtime->bad_alloc_type = object_find(object, "_ZTISt9bad_alloc");
  runtime->bad_alloc_vtable = object_find(object, "_ZTVSt9bad_alloc");
  return runtime->allocate_exception != NULL && runtime->throw_exception != NULL &&
         runtime->bad_alloc_destroy != NULL && runtime->bad_alloc_type != NULL && runtime->bad_alloc_vtable != NULL;
}

static int find_runtime(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct search *search = argument;
  struct object object;
  struct cxx_runtime runtime;
  (void)size;
  if (!object_read(info, &object) || rank_of(search, &object) <= search->rank || !read_runtime(&object, &runtime))
    return 0;
  search->rank = rank_of(search, &object);
  *search->runtime = runtime;
  return search->rank == RANK_OWN;
}

bool cxx_runtime_find(const void *caller, struct cxx_runtime *runtime)
{
  struct search search = {.caller = (uintptr_t)caller, .runtime = runtime};
  (void)object_each(find_callers, &search);
  (void)object_each(find_runtime, &search);
  return search.rank != RANK_NONE;
}

/* std::bad_alloc is its vtable pointer, which points behind the two words that a vtable begins with. */
void cxx_runtime_throw(const struct cxx_runtime *runtime)
{
  uintptr_t *exception = runtime->allocate_exception(sizeof *exception);
  *exception = (uintptr_t)runtime->bad_alloc_vtable + 2 * sizeof(void *);
  runtime->throw_exception(exception, runtime->bad_alloc_type, runtime->bad_alloc_destroy);
}
