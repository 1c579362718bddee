/* SPDX-License-Identifier: MIT */
/* Preloaded: whoever looks into a file with SLOW_FILE in its name never comes back, as one that was made for that may
 * have it. */
#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Dwfl_Module *dwfl_report_elf(Dwfl *dwfl, const char *name, const char *file_name, int fd, GElf_Addr base,
                             bool adds_vaddr)
{
  Dwfl_Module *(*next)(Dwfl *, const char *, const char *, int, GElf_Addr, bool) = NULL;
  const char *slow = getenv("SLOW_FILE");
  *(void **)&next = dlsym(RTLD_NEXT, "dwfl_report_elf");
  while (slow != NULL && strstr(file_name, slow) != NULL)
    (void)pause();
  return next(dwfl, name, file_name, fd, base, adds_vaddr);
}
