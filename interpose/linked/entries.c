/* SPDX-License-Identifier: MIT */
/* In a statically linked program, ld has led all calls here. */
#include "interpose/entries.h"

#include "interpose/loader.h"

#include "core/text.h"

#include <stddef.h>
#include <string.h>

struct company {
  bool is_dynamic, has_library;
};

static int look_around(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct company *found = argument;
  (void)size;
  for (unsigned i = 0; i < info->dlpi_phnum; i++)
    found->is_dynamic = found->is_dynamic || info->dlpi_phdr[i].p_type == PT_INTERP;
  if (info->dlpi_name != NULL && strcmp(text_basename(info->dlpi_name), "libheapprof.so") == 0)
    found->has_library = true;
  return 0;
}

const char *entries_take_over(const char *executable, bool is_announced)
{
  struct company found = {false, false};
  (void)executable, (void)is_announced;
  (void)loader_each(look_around, &found);
  if (!found.is_dynamic)
    return NULL;
  if (found.has_library)
    return "libheapprof.a stands aside for libheapprof.so, which is there, too";
  return "the program is linked dynamically, and its libraries allocate past libheapprof.a: link it with "
         "$(pkg-config --variable=link heapprof)";
}

bool entries_are_beside(void)
{
  return false;
}
