/* SPDX-License-Identifier: MIT */
/* What an ELF file says about how it wants to be loaded. The file is hostile input as far as libelf takes it.
 *
 * Failure: is_elf is false, for a file that is not ELF or cannot be read.
 */
#ifndef HEAPPROF_ELF_FACTS_H
#define HEAPPROF_ELF_FACTS_H

#include <glib.h>
#include <stdbool.h>

struct elf_facts {
  bool is_elf;         /* false: nothing else is set */
  int class, machine;  /* ELFCLASS..., EM_... */
  bool is_for_us;      /* for the machine that this command and its library are made for */
  bool has_library;    /* libheapprof.a is linked into it */
  char *interpreter;   /* the dynamic linker that it asks for; NULL: none */
  char *soname;        /* NULL: none */
  GPtrArray *needed;   /* char *: names of the libraries that it asks for */
  GHashTable *defines; /* char *: functions that it gives to others */
  GHashTable *calls;   /* char *: what it must have of others */
};

/* An open file, from its start; the descriptor stays the caller's. */
void elf_facts_read(int descriptor, struct elf_facts *facts);
void elf_facts_clear(struct elf_facts *facts);

/* Does it ask for a library whose name starts like this? */
bool elf_facts_needs(const struct elf_facts *facts, const char *prefix);
bool elf_facts_defines(const struct elf_facts *facts, const char *function);
bool elf_facts_calls(const struct elf_facts *facts, const char *function);

#endif
