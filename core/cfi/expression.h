/* SPDX-License-Identifier: MIT */
/* DWARF expressions of unwind information, as far as their result can be told: registers that are not known stay in it
 * as what it counts from, and so does a word that was loaded from there. With all registers and a stack to read, the
 * result is a number.
 *
 * Threads, signals, fork: safe while the object stays mapped (readers.h). Stack: under 200 bytes. Time: at most
 * EXPRESSION_STEPS_MAX operations. Failure: false.
 */
#ifndef HEAPPROF_CFI_EXPRESSION_H
#define HEAPPROF_CFI_EXPRESSION_H

#include "core/arch/arch.h"
#include "core/cfi/bytes.h"
#include "core/stack_bounds.h"

#include <stdbool.h>
#include <stdint.h>

enum { EXPRESSION_DEPTH_MAX = 8, EXPRESSION_STEPS_MAX = 256 };

/* What a value counts from. Of registers: EXPRESSION_REGISTER + the DWARF number. */
enum { EXPRESSION_NUMBER, EXPRESSION_CFA, EXPRESSION_LOADED, EXPRESSION_REGISTER };

struct expression_value {
  uint64_t offset;
  uint8_t from;
};

/* Room to work in. */
struct expression_room {
  uint64_t offsets[EXPRESSION_DEPTH_MAX]; /* the stack */
  uint8_t from[EXPRESSION_DEPTH_MAX];
  struct expression_value result;
  struct expression_value loaded; /* where EXPRESSION_LOADED was loaded from: one word at most */
  bool has_loaded;
};

/* What is known where it is evaluated. */
struct expression_scene {
  uint64_t known; /* registers, a bit each by DWARF number; the pc is always known */
  const uintptr_t *registers;
  uintptr_t pc;
  struct stack_window *window; /* NULL: nothing can be loaded, but remembered as EXPRESSION_LOADED */
  struct expression_room *room;
};

/* Puts a value on the empty stack, for expressions that begin with one. Returns how many there are. */
static inline unsigned expression_begin_with(struct expression_room *room, struct expression_value value)
{
  room->offsets[0] = value.offset;
  room->from[0] = value.from;
  return 1;
}

/* A block: length and operations, with `depth` values on the stack. The top is then the result. */
bool expression_evaluate(struct bytes block, const struct expression_scene *scene, unsigned depth);

#endif
