/* SPDX-License-Identifier: MIT */
/* The functions that an ELF file has names of. The file is hostile input as far as libelf takes it.
 *
 * Failure: what cannot be read is left out.
 */
#ifndef HEAPPROF_ELF_FUNCTIONS_H
#define HEAPPROF_ELF_FUNCTIONS_H

#include <gelf.h>

/* Called for each that the tables of a kind (SHT_SYMTAB, SHT_DYNSYM) define, in their order. */
void elf_functions_each(Elf *elf, GElf_Word kind, void (*take)(const GElf_Sym *symbol, const char *name, void *context),
                        void *context);

#endif
