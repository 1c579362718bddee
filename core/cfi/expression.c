/* SPDX-License-Identifier: MIT */
#include "core/cfi/expression.h"

/* DW_OP_*. */
enum operation {
  ADDRESS = 0x03,
  LOAD = 0x06,
  U1 = 0x08,
  S1,
  U2,
  S2,
  U4,
  S4,
  U8,
  S8,
  ULEB,
  SLEB,
  DUPLICATE,
  DROP,
  OVER,
  PICK,
  SWAP,
  ROTATE,
  ABSOLUTE = 0x19,
  AND,
  DIVIDE,
  MINUS,
  MODULO,
  MULTIPLY,
  NEGATE,
  NOT,
  OR,
  PLUS,
  PLUS_ULEB,
  SHIFT_LEFT,
  SHIFT_RIGHT,
  SHIFT_RIGHT_SIGNED,
  XOR,
  BRANCH,
  EQUAL,
  GREATER_OR_EQUAL,
  GREATER,
  LESS_OR_EQUAL,
  LESS,
  NOT_EQUAL,
  SKIP,
  LITERAL = 0x30,
  LITERAL_LAST = 0x4f,
  REGISTER_PLUS = 0x70,
  REGISTER_PLUS_LAST = 0x8f,
  ANY_REGISTER_PLUS = 0x92,
  LOAD_SIZED = 0x94,
  NOP = 0x96,
};
enum { WORD_BITS = 64 };

struct evaluation {
  struct bytes code;
  uintptr_t start; /* of the operations: branches stay behind it */
  const struct expression_scene *scene;
  struct expression_room *room;
  unsigned depth;
};

static void fail(struct evaluation *on)
{
  bytes_spoil(&on->code);
}

/* The stack. What can't be done spoils the code, so that the evaluation ends. */

static void push(struct evaluation *on, uint8_t from, uint64_t offset)
{
  if (on->depth == EXPRESSION_DEPTH_MAX) {
    fail(on);
    return;
  }
  on->room->from[on->depth] = from;
  on->room->offsets[on->depth++] = offset;
}

static void push_number(struct evaluation *on, uint64_t number)
{
  push(on, EXPRESSION_NUMBER, number);
}

static struct expression_value pop(struct evaluation *on)
{
  if (on->depth == 0) {
    fail(on);
    return (struct expression_value){0, EXPRESSION_NUMBER};
  }
  on->depth--;
  return (struct expression_value){on->room->offsets[on->depth], on->room->from[on->depth]};
}

static uint64_t pop_number(struct evaluation *on)
{
  struct expression_value value = pop(on);
  if (value.from != EXPRESSION_NUMBER)
    fail(on);
  return value.offset;
}

static void push_copy(struct evaluation *on, unsigned below_top)
{
  if (below_top >= on->depth)
    fail(on);
  else
    push(on, on->room->from[on->depth - 1 - below_top], on->room->offsets[on->depth - 1 - below_top]);
}

/* The top goes below the next `count`. */
static void sink_top(struct evaluation *on, unsigned count)
{
  if (count >= on->depth) {
    fail(on);
    return;
  }
  unsigned top = on->depth - 1;
  uint8_t from = on->room->from[top];
  uint64_t offset = on->room->offsets[top];
  for (unsigned at = top; at > top - count; at--) {
    on->room->from[at] = on->room->from[at - 1];
    on->room->offsets[at] = on->room->offsets[at - 1];
  }
  on->room->from[top - count] = from;
  on->room->offsets[top - count] = offset;
}

static void push_register(struct evaluation *on, uint64_t number, int64_t offset)
{
  const struct expression_scene *scene = on->scene;
  if (number >= ARCH_DWARF_REGISTERS)
    fail(on);
  else if (number == ARCH_DWARF_PC)
    push_number(on, scene->pc + (uint64_t)offset);
  else if ((scene->known >> number & 1) != 0)
    push_number(on, scene->registers[number] + (uint64_t)offset);
  else
    push(on, (uint8_t)(EXPRESSION_REGISTER + number), (uint64_t)offset);
}

/* Memory. */

static void remember_load(struct evaluation *on, struct expression_value address)
{
  struct expression_room *room = on->room;
  if (room->has_loaded && (room->loaded.from != address.from || room->loaded.offset != address.offset))
    fail(on);
  room->loaded = address;
  room->has_loaded = true;
  push(on, EXPRESSION_LOADED, 0);
}

/* Parts of words, too, as words are what the window gives. */
static void load(struct evaluation *on, unsigned size)
{
  struct expression_value address = pop(on);
  if (address.from != EXPRESSION_NUMBER && on->scene->window == NULL && size == sizeof(uintptr_t)) {
    remember_load(on, address);
    return;
  }
  unsigned inside = address.offset % sizeof(uintptr_t);
  uintptr_t word = 0;
  if (address.from != EXPRESSION_NUMBER || on->scene->window == NULL || size == 0 || inside + size > sizeof word ||
      !stack_window_read(on->scene->window, address.offset - inside, &word)) {
    fail(on);
    return;
  }
  word >>= inside * 8;
  push_number(on, size == sizeof word ? word : word & (((uintptr_t)1 << size * 8) - 1));
}

/* Arithmetic. */

static void add(struct evaluation *on)
{
  struct expression_value right = pop(on), left = pop(on);
  if (left.from != EXPRESSION_NUMBER && right.from != EXPRESSION_NUMBER)
    fail(on);
  push(on, left.from != EXPRESSION_NUMBER ? left.from : right.from, left.offset + right.offset);
}

static void subtract(struct evaluation *on)
{
  struct expression_value right = pop(on), left = pop(on);
  if (right.from != EXPRESSION_NUMBER && right.from != left.from)
    fail(on);
  push(on, right.from == EXPRESSION_NUMBER ? left.from : EXPRESSION_NUMBER, left.offset - right.offset);
}

static uint64_t divided(struct evaluation *on, int64_t left, int64_t right)
{
  if (right == 0)
    fail(on);
  if (right == 0 || right == -1) /* INT64_MIN / -1 traps */
    return -(uint64_t)left;
  return (uint64_t)(left / right);
}

static uint64_t modulo(struct evaluation *on, uint64_t left, uint64_t right)
{
  if (right == 0)
    fail(on);
  return right == 0 ? 0 : left % right;
}

static uint64_t shifted_signed(int64_t left, uint64_t bits)
{
  return (uint64_t)(left >> (bits < WORD_BITS ? bits : WORD_BITS - 1));
}

/* Of two numbers. */
static void combine(struct evaluation *on, uint8_t operation)
{
  uint64_t right = pop_number(on), left = pop_number(on), result = 0;
  switch (operation) {
  case AND: result = left & right; break;
  case OR: result = left | right; break;
  case XOR: result = left ^ right; break;
  case MULTIPLY: result = left * right; break;
  case DIVIDE: result = divided(on, (int64_t)left, (int64_t)right); break;
  case MODULO: result = modulo(on, left, right); break;
  case SHIFT_LEFT: result = right < WORD_BITS ? left << right : 0; break;
  case SHIFT_RIGHT: result = right < WORD_BITS ? left >> right : 0; break;
  case SHIFT_RIGHT_SIGNED: result = shifted_signed((int64_t)left, right); break;
  case EQUAL: result = left == right; break;
  case NOT_EQUAL: result = left != right; break;
  case GREATER_OR_EQUAL: result = (int64_t)left >= (int64_t)right; break;
  case GREATER: result = (int64_t)left > (int64_t)right; break;
  case LESS_OR_EQUAL: result = (int64_t)left <= (int64_t)right; break;
  case LESS: result = (int64_t)left < (int64_t)right; break;
  default: fail(on);
  }
  push_number(on, result);
}

static void branch(struct evaluation *on, bool is_taken)
{
  int64_t distance = (int16_t)bytes_u16(&on->code);
  uintptr_t target = on->code.at + (uintptr_t)distance;
  if (!is_taken || !bytes_are_good(&on->code))
    return;
  if (target < on->start || target > on->code.end)
    fail(on);
  else
    on->code.at = target;
}

/* Operations by what they are. */

static bool push_constant(struct evaluation *on, uint8_t operation)
{
  struct bytes *code = &on->code;
  uint64_t number;
  switch (operation) {
  case ADDRESS:
  case U8:
  case S8: number = bytes_u64(code); break;
  case U1: number = bytes_u8(code); break;
  case S1: number = (uint64_t)(int64_t)(int8_t)bytes_u8(code); break;
  case U2: number = bytes_u16(code); break;
  case S2: number = (uint64_t)(int64_t)(int16_t)bytes_u16(code); break;
  case U4: number = bytes_u32(code); break;
  case S4: number = (uint64_t)(int64_t)(int32_t)bytes_u32(code); break;
  case ULEB: number = bytes_uleb(code); break;
  case SLEB: number = (uint64_t)bytes_sleb(code); break;
  default:
    if (operation < LITERAL || operation > LITERAL_LAST)
      return false;
    number = operation - LITERAL;
  }
  push_number(on, number);
  return true;
}

static bool move_on_stack(struct evaluation *on, uint8_t operation)
{
  switch (operation) {
  case DUPLICATE: push_copy(on, 0); return true;
  case DROP: (void)pop(on); return true;
  case OVER: push_copy(on, 1); return true;
  case PICK: push_copy(on, bytes_u8(&on->code)); return true;
  case SWAP: sink_top(on, 1); return true;
  case ROTATE: sink_top(on, 2); return true;
  default: return false;
  }
}

static void change_number(struct evaluation *on, uint8_t operation)
{
  uint64_t number = pop_number(on);
  if (operation == NOT)
    number = ~number;
  else if (operation == NEGATE || (int64_t)number < 0)
    number = -number;
  push_number(on, number);
}

static void execute(struct evaluation *on, uint8_t operation)
{
  if (push_constant(on, operation) || move_on_stack(on, operation))
    return;
  switch (operation) {
  case NOP: return;
  case LOAD: load(on, sizeof(uintptr_t)); return;
  case LOAD_SIZED: load(on, bytes_u8(&on->code)); return;
  case PLUS_ULEB: push_number(on, bytes_uleb(&on->code)); /* fall through */
  case PLUS: add(on); return;
  case MINUS: subtract(on); return;
  case ABSOLUTE:
  case NEGATE:
  case NOT: change_number(on, operation); return;
  case SKIP: branch(on, true); return;
  case BRANCH: branch(on, pop_number(on) != 0); return;
  case ANY_REGISTER_PLUS: {
    uint64_t number = bytes_uleb(&on->code);
    push_register(on, number, bytes_sleb(&on->code));
    return;
  }
  default:
    if (operation >= REGISTER_PLUS && operation <= REGISTER_PLUS_LAST)
      push_register(on, operation - REGISTER_PLUS, bytes_sleb(&on->code));
    else
      combine(on, operation);
  }
}

bool expression_evaluate(struct bytes block, const struct expression_scene *scene, unsigned depth)
{
  uint64_t size = bytes_uleb(&block);
  if (size > block.end - block.at)
    return false;
  struct evaluation on = {
      .code = {block.at, block.at + size}, .start = block.at, .scene = scene, .room = scene->room, .depth = depth};
  on.room->has_loaded = false;
  on.room->loaded = (struct expression_value){0, EXPRESSION_NUMBER};
  for (unsigned steps = 0; on.code.at < on.code.end; steps++) {
    if (steps == EXPRESSION_STEPS_MAX)
      return false;
    execute(&on, bytes_u8(&on.code));
  }
  bool is_done = bytes_are_good(&on.code);
  on.room->result = pop(&on);
  return is_done && bytes_are_good(&on.code);
}
