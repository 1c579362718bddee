/* SPDX-License-Identifier: MIT */
/* Of a statically linked program. */
#include "interpose/loader.h"

#include "core/compiler.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

bool loader_is_known(void)
{
  return true;
}

bool loader_was_started(void)
{
  return false;
}

/* What else is asked for has to do with a loader. */
void *loader_find(const char *symbol)
{
  static const struct {
    const char *symbol;
    void *address;
  } all[] = {{"environ", &environ}, {"pthread_atfork", (void *)pthread_atfork}};
  for (size_t i = 0; i < COUNT_OF(all); i++)
    if (strcmp(all[i].symbol, symbol) == 0)
      return all[i].address;
  return NULL;
}

/* What the program executes may not be linked with it. */
const char *loader_own_path(void)
{
  return "libheapprof.so";
}

static int take_first(struct dl_phdr_info *info, size_t size, void *argument)
{
  (void)size;
  *(struct dl_phdr_info *)argument = *info;
  return 1;
}

/* Its name is empty, as that of a program in the loader's list. */
const struct link_map *loader_first_map(void)
{
  static char no_name[1];
  static struct link_map program = {.l_name = no_name};
  struct dl_phdr_info info = {.dlpi_addr = 0};
  (void)dl_iterate_phdr(take_first, &info);
  program.l_addr = info.dlpi_addr;
  return &program;
}

/* Nothing comes later. */
const int *loader_state(void)
{
  static const int state = RT_CONSISTENT;
  return &state;
}

bool loader_each(loader_visitor *visit, void *argument)
{
  (void)dl_iterate_phdr(visit, argument);
  return true;
}
