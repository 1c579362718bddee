/* SPDX-License-Identifier: MIT */
/* One instruction of the machine: how long it is, and what of it depends on where it lies. Of instructions that
 * compilers put into functions; whatever else it is shown it refuses, so that nobody acts on a guess.
 *
 * Threads, signals, fork: safe. Memory: reads the bytes it was given, and no more. Failure: false.
 */
#ifndef HEAPPROF_INSTRUCTION_H
#define HEAPPROF_INSTRUCTION_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum instruction_kind {
  INSTRUCTION_GOES_ON,       /* to the next one */
  INSTRUCTION_CALL,          /* of its target: where it lies shows in the return address */
  INSTRUCTION_CALL_COMPUTED, /* of anything */
  INSTRUCTION_BRANCH,        /* it goes on, or to its target */
  INSTRUCTION_JUMP,          /* to its target */
  INSTRUCTION_JUMP_BY_SLOT,  /* to what lies in memory at a fixed place: to another function */
  INSTRUCTION_JUMP_COMPUTED, /* to anywhere: to another function, or into this one by a table */
  INSTRUCTION_END,           /* it returns or traps */
};

struct instruction {
  enum instruction_kind kind;
  uint8_t bytes;
  /* From the end of the instruction to its target, or to what else it addresses. */
  uint8_t distance_at, distance_bytes; /* where it lies, in 1 or 4 bytes; 0: there is none */
  int32_t distance;
};

HIDDEN bool instruction_read(const uint8_t *code, size_t size, struct instruction *instruction);

#endif
