/* SPDX-License-Identifier: MIT */
#include "interpose/loader.h"

#include "core/compiler.h"
#include "core/libc.h"
#include "interpose/object.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/auxv.h>

bool loader_is_known(void)
{
  return getauxval != NULL && &program_invocation_name != NULL && &program_invocation_short_name != NULL &&
         (libc_is_musl() ? dlsym != NULL : &_r_debug != NULL);
}

bool loader_was_started(void)
{
  return getauxval(AT_BASE) == 0;
}

void *loader_find(const char *symbol)
{
  return dlsym != NULL ? dlsym(RTLD_DEFAULT, symbol) : NULL;
}

/* What it keeps for debuggers. */
static const struct r_debug *debug_of_musl(void)
{
  struct r_debug *const *debug = libc_is_musl() ? loader_find("_dl_debug_addr") : NULL;
  return debug != NULL ? *debug : NULL;
}

const int *loader_state(void)
{
  const struct r_debug *debug = debug_of_musl();
  return debug != NULL ? (const int *)&debug->r_state : NULL;
}

const struct link_map *loader_first_map(void)
{
  const struct r_debug *debug = libc_is_musl() ? debug_of_musl() : &_r_debug;
  return debug != NULL ? debug->r_map : NULL;
}

/* Not of dladdr, which older versions of glibc keep in libdl. */
const char *loader_own_path(void)
{
  for (const struct link_map *map = loader_first_map(); map != NULL; map = map->l_next)
    if (map->l_ld == _DYNAMIC)
      return map->l_name;
  return NULL;
}

typedef int iterator(loader_visitor *visit, void *argument);

/* libc came with the program, so it lies before all that could go meanwhile. */
static iterator *find_iterator(void)
{
  if (libc_is_musl())
    return (iterator *)loader_find("dl_iterate_phdr");
  for (const struct link_map *map = loader_first_map(); map != NULL; map = map->l_next) {
    struct object object;
    if (object_read_map(map, &object) && object_is_libc(&object))
      return (iterator *)object_find(&object, "dl_iterate_phdr");
  }
  return NULL;
}

bool loader_each(loader_visitor *visit, void *argument)
{
  static iterator *_Atomic known;
  iterator *iterate = atomic_load(&known);
  if (iterate == NULL)
    atomic_store(&known, iterate = find_iterator());
  if (iterate != NULL)
    (void)iterate(visit, argument);
  return iterate != NULL;
}
