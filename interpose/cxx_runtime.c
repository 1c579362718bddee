/* SPDX-License-Identifier: MIT */
#include "interpose/cxx_runtime.h"

#include "interpose/loader.h"
#include "interpose/provider.h"

#include <link.h>
#include <stdint.h>

struct search {
  struct provider_search of_caller;
  struct cxx_runtime *runtime;
};

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
  if (!object_read(info, &object) || provider_rank(&search->of_caller, &object) <= search->of_caller.rank ||
      !read_runtime(&object, &runtime))
    return 0;
  search->of_caller.rank = provider_rank(&search->of_caller, &object);
  *search->runtime = runtime;
  return search->of_caller.rank == PROVIDER_OWN;
}

bool cxx_runtime_find(const void *caller, struct cxx_runtime *runtime)
{
  struct search search = {.runtime = runtime};
  provider_begin(&search.of_caller, (uintptr_t)caller);
  (void)loader_each(find_runtime, &search);
  return search.of_caller.rank != PROVIDER_NONE;
}
