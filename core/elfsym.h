/* SPDX-License-Identifier: MIT */
/* Function names from an ELF file's .symtab, else .dynsym. No allocation, no mapping: a file that is truncated while we
 * look costs names, not a SIGBUS. Everything in the file is checked: it may be hostile.
 *
 * Threads: one at a time per call. Signals: safe. Memory: the caller's arrays, a few KiB of stack. Failure: names stay
 * NULL.
 */
#ifndef HEAPPROF_ELFSYM_H
#define HEAPPROF_ELFSYM_H

#include "core/arena.h"

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

struct elfsym_query {
  uint64_t address; /* as in the ELF file: no load bias */
  const char *name; /* out: in the arena; NULL: unknown */
  uint64_t start;   /* out: where the function starts */
};

enum elfsym_table {
  ELFSYM_NO_FILE,    /* or none that can be read */
  ELFSYM_OTHER_FILE, /* its build id is not the one asked for: it was replaced since it was loaded */
  ELFSYM_NO_TABLE,
  ELFSYM_DYNAMIC, /* .dynsym: exported functions only, the file is stripped */
  ELFSYM_FULL,    /* .symtab */
};

/* Fills in what `path` knows of queries sorted by address, and tells which table it found. With build_id_bytes > 0 a
 * file of another build id is not believed. */
enum elfsym_table elfsym_resolve(const char *path, const uint8_t *build_id, size_t build_id_bytes,
                                 struct elfsym_query *queries, size_t count, struct arena *arena);

/* Where an open file has its .symtab and its strings. False: it has none. */
bool elfsym_find_full(int fd, Elf64_Shdr *symbols, Elf64_Shdr *strings);

#endif
