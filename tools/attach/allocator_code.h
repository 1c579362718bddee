/* SPDX-License-Identifier: MIT */
/* The code of an allocator that lies in an executable among other code: what its functions can come to by calls and
 * jumps, and what they have the address of, as a callback. No table says where it ends: functions are those of the
 * tables for unwinding, and read instruction by instruction. What its functions reach only by a pointer from a table of
 * theirs is called by one of them, which is on the stack then.
 *
 * The functions to begin with are known by name: the usual ones, and whatever has an allocator's prefix, among the
 * exported ones and in the file's .symtab.
 *
 * Failure: NULL where something of that is not known.
 */
#ifndef HEAPPROF_ALLOCATOR_CODE_H
#define HEAPPROF_ALLOCATOR_CODE_H

#include "tools/attach/image.h"

struct allocator_code;

struct allocator_code *allocator_code_read(const struct memory *memory, const struct image *executable);
void allocator_code_free(struct allocator_code *code);

/* False also for NULL. */
bool allocator_code_holds(const struct allocator_code *code, uint64_t pc);

#endif
