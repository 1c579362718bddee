/* SPDX-License-Identifier: MIT */
/* Follows the code of a function from a place to its ret: instructions are told apart by their lengths, and those that
 * move the stack pointer are understood. A jump to another function is followed like any other. */
#include "core/arch/arch.h"

#include <string.h>

enum { RSP = 4, RBP = 5, RSP_DWARF = 7, RBP_DWARF = 6, WORD = 8, NOT_KNOWN = INT32_MIN };

/* One instruction. */
struct instruction {
  const uint8_t *opcode; /* behind the prefixes */
  uint8_t rex;
  bool is_16_bits;
  uint8_t modrm;
  const uint8_t *next;
};

struct leaving {
  const uint8_t *at, *low, *high;
  int32_t sp, reached; /* from where it counts; the highest it was: below, nothing is the caller's any more */
  int branches_to_pass;
  struct arch_leaving *found;
};
_Static_assert(sizeof(struct leaving) <= sizeof((struct arch_leaving *)0)->room, "the caller's stack may be short");

static int32_t read_32(const uint8_t *bytes)
{
  int32_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

/* What follows a ModRM byte, that one included. */
static int modrm_bytes(const uint8_t *modrm)
{
  int mode = modrm[0] >> 6, base = modrm[0] & 7, bytes = 1;
  if (mode == 3)
    return 1;
  if (base == 4) {
    bytes++;
    base = modrm[1] & 7;
  }
  if (mode == 1)
    return bytes + 1;
  return mode == 2 || (mode == 0 && base == 5) ? bytes + 4 : bytes;
}

enum form {
  PLAIN,      /* nothing follows */
  MODRM = 1,  /* a ModRM byte and what it asks for */
  BYTE = 2,   /* an immediate byte */
  VALUE = 4,  /* an immediate of 4 bytes, or 2 */
  UNKNOWN = 8 /* an instruction that nobody has told us of, or that is none */
};

static unsigned form_of_one(uint8_t code)
{
  if (code < 0x40)
    return (code & 7) < 4 ? MODRM : (code & 7) == 4 ? BYTE : (code & 7) == 5 ? VALUE : UNKNOWN;
  if (code >= 0x50 && code < 0x60)
    return PLAIN;
  if ((code >= 0x70 && code < 0x80) || code == 0x6a || code == 0xa8 || (code >= 0xb0 && code < 0xb8) || code == 0xeb)
    return BYTE;
  if (code == 0x68 || code == 0xa9 || (code >= 0xb8 && code < 0xc0) || code == 0xe8 || code == 0xe9)
    return VALUE;
  if (code == 0x69 || code == 0x81 || code == 0xc7)
    return MODRM | VALUE;
  if (code == 0x6b || code == 0x80 || code == 0x83 || code == 0xc0 || code == 0xc1 || code == 0xc6)
    return MODRM | BYTE;
  if (code == 0x63 || (code >= 0x84 && code < 0x90) || (code >= 0xd0 && code < 0xe0 && (code & 0xc) != 4) ||
      code >= 0xfe || code == 0xf6 || code == 0xf7)
    return MODRM;
  bool is_plain = (code >= 0x90 && code < 0x9a) || (code >= 0x9b && code < 0xa0) || (code >= 0xa4 && code < 0xb0) ||
                  code == 0xc3 || code == 0xc9 || (code >= 0xf8 && code < 0xfe);
  return is_plain ? PLAIN : UNKNOWN;
}

/* Behind 0x0f. */
static unsigned form_of_two(uint8_t code)
{
  if (code == 0x05 || code == 0x31 || code == 0x77 || code == 0xa2 || (code >= 0xc8 && code < 0xd0))
    return PLAIN;
  if (code >= 0x80 && code < 0x90)
    return VALUE;
  bool has_byte = (code >= 0x70 && code < 0x74) || code == 0xa4 || code == 0xac || code == 0xba || code == 0xc2 ||
                  (code >= 0xc4 && code < 0xc7);
  bool is_usual = (code >= 0x10 && code < 0x20) || (code >= 0x28 && code < 0x30) || (code >= 0x40 && code < 0x77) ||
                  (code >= 0x78 && code < 0x80) || (code >= 0x90 && code < 0xa0) || code == 0xa3 || code == 0xa5 ||
                  (code >= 0xab && code < 0xc8) || code >= 0xd0;
  return has_byte ? MODRM | BYTE : is_usual ? MODRM : UNKNOWN;
}

static const uint8_t *skip_prefixes(const uint8_t *at, struct instruction *read)
{
  enum { PREFIXES_MAX = 4 };
  for (int i = 0; i < PREFIXES_MAX; i++, at++) {
    if (at[0] == 0x66)
      read->is_16_bits = true;
    else if (at[0] != 0xf2 && at[0] != 0xf3 && at[0] != 0xf0 && at[0] != 0x2e && at[0] != 0x3e && at[0] != 0x64)
      break;
  }
  if ((at[0] & 0xf0) == 0x40)
    read->rex = *at++;
  return at;
}

static int value_bytes(const struct instruction *read)
{
  bool is_wide = (read->rex & 8) != 0 && (read->opcode[0] & 0xf8) == 0xb8;
  return is_wide ? 8 : read->is_16_bits ? 2 : 4;
}

static bool read_instruction(const uint8_t *at, struct instruction *read)
{
  *read = (struct instruction){.opcode = NULL};
  read->opcode = at = skip_prefixes(at, read);
  unsigned form = at[0] == 0x0f ? form_of_two(at[1]) : form_of_one(at[0]);
  at += at[0] == 0x0f ? 2 : 1;
  if ((form & MODRM) != 0) {
    read->modrm = at[0];
    at += modrm_bytes(at);
    if ((read->opcode[0] == 0xf6 || read->opcode[0] == 0xf7) && (read->modrm & 0x30) == 0)
      form |= read->opcode[0] == 0xf6 ? BYTE : VALUE;
  }
  at += ((form & BYTE) != 0) + ((form & VALUE) != 0 ? value_bytes(read) : 0);
  read->next = at;
  return form != UNKNOWN;
}

/* What it does to the stack. */

static void move(struct leaving *on, int32_t change)
{
  if (on->sp != NOT_KNOWN)
    on->sp += change;
  if (on->sp > on->reached)
    on->reached = on->sp;
}

static void count_from_bp(struct leaving *on, int32_t distance)
{
  on->found->counts_from = RBP_DWARF;
  for (unsigned i = 0; i < ARCH_CFI_SLOTS; i++)
    on->found->saved_at[i] = ARCH_LEAVING_KEPT;
  on->sp = on->reached = distance;
}

static void pop(struct leaving *on, unsigned number)
{
  static const uint8_t dwarf[16] = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};
  unsigned slot = arch_cfi_slot(dwarf[number]);
  if (slot < ARCH_CFI_SLOTS && on->sp >= on->reached) /* and not what was pushed since */
    on->found->saved_at[slot] = on->sp;
  move(on, WORD);
}

/* add, or, ... , sub, ... of a constant to a register; others make it unknown. */
static void change_by(struct leaving *on, const struct instruction *read)
{
  int32_t constant = read->opcode[0] == 0x83 ? (int8_t)read->opcode[2] : read_32(read->opcode + 2);
  if (read->modrm == 0xc4)
    move(on, constant);
  else if (read->modrm == 0xec)
    move(on, -constant);
  else
    on->sp = NOT_KNOWN;
}

/* lea of a distance from sp or bp to sp. */
static void load_address(struct leaving *on, const struct instruction *read)
{
  const uint8_t *more = read->opcode + 2;
  bool is_wide = read->modrm >> 6 == 2;
  if ((read->modrm & 0x3f) == 0x25 && (read->modrm >> 6 == 1 || is_wide))
    count_from_bp(on, is_wide ? read_32(more) : (int8_t)more[0]);
  else if ((read->modrm & 0x3f) == 0x24 && more[0] == 0x24 && (read->modrm >> 6 == 1 || is_wide))
    move(on, is_wide ? read_32(more + 1) : (int8_t)more[1]);
  else
    on->sp = NOT_KNOWN;
}

static bool writes_sp(const struct instruction *read)
{
  bool is_wide = (read->rex & 8) != 0;
  uint8_t code = read->opcode[0], to = code == 0x8b || code == 0x8d || code == 0x03 || code == 0x2b
                                           ? (uint8_t)((read->modrm >> 3 & 7) | (read->rex & 4) << 1)
                                           : (uint8_t)((read->modrm & 7) | (read->rex & 1) << 3);
  bool is_to_register = code == 0x8b || code == 0x8d || code == 0x03 || code == 0x2b || read->modrm >= 0xc0;
  bool is_known_code = code == 0x81 || code == 0x83 || code == 0x89 || code == 0x8b || code == 0x8d || code == 0x01 ||
                       code == 0x03 || code == 0x29 || code == 0x2b || code == 0x21;
  return is_wide && is_known_code && is_to_register && to == RSP;
}

static void write_sp(struct leaving *on, const struct instruction *read)
{
  uint8_t code = read->opcode[0];
  if ((code == 0x81 || code == 0x83) && (read->modrm & 0x38) == 0x38)
    return; /* cmp */
  if (code == 0x81 || code == 0x83)
    change_by(on, read);
  else if (code == 0x8d)
    load_address(on, read);
  else if ((code == 0x89 && read->modrm == 0xec) || (code == 0x8b && read->modrm == 0xe5))
    count_from_bp(on, 0);
  else
    on->sp = NOT_KNOWN;
}

static void follow_stack(struct leaving *on, const struct instruction *read)
{
  uint8_t code = read->opcode[0];
  if ((code & 0xf8) == 0x50 || code == 0x68 || code == 0x6a || (code == 0xff && (read->modrm >> 3 & 7) == 6))
    move(on, -WORD);
  else if ((code & 0xf8) == 0x58)
    pop(on, (code & 7u) | (read->rex & 1u) << 3);
  else if (code == 0x8f)
    move(on, WORD);
  else if (code == 0xc9) {
    count_from_bp(on, 0);
    pop(on, RBP);
  } else if (writes_sp(read))
    write_sp(on, read);
}

/* Where it goes on; NULL: nobody knows. */

static bool is_branch(const struct instruction *read)
{
  return (read->opcode[0] & 0xf0) == 0x70 || (read->opcode[0] == 0x0f && (read->opcode[1] & 0xf0) == 0x80);
}

static const uint8_t *target(const struct instruction *read)
{
  bool is_short = (read->opcode[0] & 0xf0) == 0x70 || read->opcode[0] == 0xeb;
  return read->next + (is_short ? (int8_t)read->next[-1] : read_32(read->next - 4));
}

static bool is_jump(const struct instruction *read)
{
  return read->opcode[0] == 0xe9 || read->opcode[0] == 0xeb;
}

static const uint8_t *follow_jumps(struct leaving *on, const struct instruction *read)
{
  if (is_jump(read))
    return target(read);
  return is_branch(read) && on->branches_to_pass-- == 0 ? target(read) : read->next;
}

/* A jump to somewhere else, once something was taken from the stack, is the call of a function that returns in place of
 * this one. */
static bool ends(const struct leaving *on, const struct instruction *read)
{
  bool is_elsewhere = is_jump(read) && (target(read) < on->low || target(read) >= on->high);
  bool is_computed = read->opcode[0] == 0xff && (read->modrm >> 3 & 7) == 4;
  return read->opcode[0] == 0xc3 || is_elsewhere || is_computed;
}

static bool follow(struct leaving *on)
{
  enum { INSTRUCTIONS_MAX = 400, LONGEST = 32 /* as read here */ };
  struct instruction read;
  for (int i = 0; i < INSTRUCTIONS_MAX && on->at != NULL; i++) {
    if (on->at < on->low || on->high - on->at < LONGEST || !read_instruction(on->at, &read))
      return false;
    if (ends(on, &read)) {
      on->found->return_at = on->sp;
      return on->sp != NOT_KNOWN && (read.opcode[0] == 0xc3 || on->sp > 0);
    }
    follow_stack(on, &read);
    on->at = follow_jumps(on, &read);
  }
  return false;
}

/* At a call the stack is aligned, so its return address lies 8 bytes off. Where the called function never returns,
 * something else follows. */
static bool is_possible(const struct arch_leaving *leaving, bool is_behind_call)
{
  enum { ALIGNMENT = 16 };
  return leaving->counts_from == RBP_DWARF || (leaving->return_at >= 0 && !is_behind_call) ||
         (leaving->return_at >= WORD && leaving->return_at % ALIGNMENT == WORD);
}

/* Straight on; where that leads nowhere, by the first branch, the second, ... instead. */
bool arch_foresee_leaving(const uint8_t *code, const uint8_t *low, const uint8_t *high, struct arch_leaving *leaving)
{
  enum { WAYS = 24 };
  bool is_behind_call = code - low >= ARCH_CALL_BYTES_MAX && arch_is_behind_call(code);
  for (int way = 0; way < WAYS; way++) {
    struct leaving *on = (struct leaving *)leaving->room;
    *on = (struct leaving){.at = code, .low = low, .high = high, .branches_to_pass = way - 1, .found = leaving};
    leaving->counts_from = RSP_DWARF;
    for (unsigned i = 0; i < ARCH_CFI_SLOTS; i++)
      leaving->saved_at[i] = ARCH_LEAVING_KEPT;
    if (follow(on) && is_possible(leaving, is_behind_call)) {
      return true;
    }
  }
  return false;
}

/* mov %eax, %edi or its like, and a call: what the function returned is handed to one that ends the thread. */
bool arch_is_first_call(const uint8_t *code)
{
  const uint8_t *next = code;
  if (code[-5] == 0xe8 || !arch_is_behind_call(code))
    return false;
  next += next[0] == 0x48 && next[1] == 0x98 ? 2 : 0;
  if (next[0] == 0x48 && next[1] == 0x63 && next[2] == 0xf8)
    return next[3] == 0xe8;
  next += next[0] == 0x48;
  return next[0] == 0x89 && next[1] == 0xc7 && next[2] == 0xe8;
}
