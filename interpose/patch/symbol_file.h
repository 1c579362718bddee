/* SPDX-License-Identifier: MIT */
/* The functions that a file's .symtab tells of, for those that are not exported. Read, not mapped: a file that is
 * truncated meanwhile costs names. The names are gone through first, so that a file with none of the wanted ones costs
 * a reading of them and no more.
 *
 * Threads: one at a time. Memory: mapped for the moment, at most SYMBOL_FILE_BYTES_MAX. Failure: there are none.
 */
#ifndef HEAPPROF_SYMBOL_FILE_H
#define HEAPPROF_SYMBOL_FILE_H

#include "core/compiler.h"

#include <elf.h>
#include <stdbool.h>

enum { SYMBOL_FILE_BYTES_MAX = 64 << 20 };

/* Calls it for each function that is defined, if the names of any end so. False: none does, or they cannot be read. */
typedef void symbol_visitor(const char *name, const Elf64_Sym *symbol, void *argument);
HIDDEN bool symbol_file_each(const char *path, const char *ending, symbol_visitor *visit, void *argument);

#endif
