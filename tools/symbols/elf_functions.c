/* SPDX-License-Identifier: MIT */
#include "tools/symbols/elf_functions.h"

#include <stdbool.h>
#include <stddef.h>

void elf_functions_each(Elf *elf, GElf_Word kind, void (*take)(const GElf_Sym *symbol, const char *name, void *context),
                        void *context)
{
  for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section)) != NULL;) {
    GElf_Shdr header;
    Elf_Data *data =
        gelf_getshdr(section, &header) != NULL && header.sh_type == kind ? elf_getdata(section, NULL) : NULL;
    GElf_Sym symbol;
    for (int i = 0; data != NULL && gelf_getsym(data, i, &symbol) != NULL; i++) {
      bool is_function = symbol.st_shndx != SHN_UNDEF && GELF_ST_TYPE(symbol.st_info) == STT_FUNC;
      const char *name = is_function ? elf_strptr(elf, header.sh_link, symbol.st_name) : NULL;
      if (name != NULL)
        take(&symbol, name, context);
    }
  }
}
