/* SPDX-License-Identifier: MIT */
#include "core/arch/instruction.h"

#include <string.h>

/* What follows an opcode, a character for each of the 256: '.' refused, '0' nothing, 'm' ModRM, 'b' a byte, 'z' a word
 * of the operand's size, at most 4 bytes, 'B' ModRM and a byte, 'Z' ModRM and such a word, 'q' a word of the operand's
 * full size, 'j' a distance of a byte, 'J' one of 4 bytes, 'w' 2 bytes. */
static const char plain_map[] = "mmmmbz..mmmmbz.." /* 00 */
                                "mmmmbz..mmmmbz.." /* 10 */
                                "mmmmbz..mmmmbz.." /* 20 */
                                "mmmmbz..mmmmbz.." /* 30 */
                                "................" /* 40: REX */
                                "0000000000000000" /* 50 */
                                "...m....zZbB...." /* 60 */
                                "jjjjjjjjjjjjjjjj" /* 70 */
                                "BZ.Bmmmmmmmmmmmm" /* 80 */
                                "0000000000.00000" /* 90 */
                                "....0000bz000000" /* a0 */
                                "bbbbbbbbqqqqqqqq" /* b0 */
                                "BBw0..BZ.0..0..." /* c0 */
                                "mmmm....mmmmmmmm" /* d0 */
                                "jjjj....JJ.j...." /* e0 */
                                "....00mm00..00mm" /* f0 */;

static const char map_0f[] = "..mm.0.....0.m.." /* 00 */
                             "mmmmmmmmmmmmmmmm" /* 10 */
                             "........mmmmmmmm" /* 20 */
                             ".0.............." /* 30 */
                             "mmmmmmmmmmmmmmmm" /* 40 */
                             "mmmmmmmmmmmmmmmm" /* 50 */
                             "mmmmmmmmmmmmmmmm" /* 60 */
                             "BBBBmmm0....mmmm" /* 70 */
                             "JJJJJJJJJJJJJJJJ" /* 80 */
                             "mmmmmmmmmmmmmmmm" /* 90 */
                             "000mBm..00.mBmmm" /* a0 */
                             "mmmmmmmmm.Bmmmmm" /* b0 */
                             "mmBmBBBm00000000" /* c0 */
                             "mmmmmmmmmmmmmmmm" /* d0 */
                             "mmmmmmmmmmmmmmmm" /* e0 */
                             "mmmmmmmmmmmmmmm." /* f0 */;

_Static_assert(sizeof plain_map == 257 && sizeof map_0f == 257, "a character for each opcode");

enum { LENGTH_MAX = 15, REX_W = 8 };

/* Where the reading is. */
struct reader {
  const uint8_t *code;
  size_t size, at;
  bool has_66, has_67, has_f2, has_f3, has_lock, has_rex;
  uint8_t rex;
  struct instruction *found;
};

static bool next_byte(struct reader *reader, uint8_t *byte)
{
  if (reader->at >= reader->size)
    return false;
  *byte = reader->code[reader->at++];
  return true;
}

static bool skip(struct reader *reader, size_t bytes)
{
  reader->at += bytes;
  return reader->at <= reader->size;
}

static bool read_distance(struct reader *reader, uint8_t bytes)
{
  struct instruction *found = reader->found;
  if (reader->size - reader->at < bytes)
    return false;
  found->distance_at = (uint8_t)reader->at;
  found->distance_bytes = bytes;
  if (bytes == 1)
    found->distance = (int8_t)reader->code[reader->at];
  else
    memcpy(&found->distance, reader->code + reader->at, sizeof found->distance);
  return skip(reader, bytes);
}

/* The operand that ModRM tells of. A 32-bit address from where the instruction lies is nothing that compilers use. */
static bool read_operand(struct reader *reader, uint8_t *modrm)
{
  uint8_t sib = 0;
  if (!next_byte(reader, modrm))
    return false;
  unsigned mode = *modrm >> 6, base = *modrm & 7;
  if (mode == 3)
    return true;
  if (mode == 0 && base == 5)
    return !reader->has_67 && read_distance(reader, 4);
  if (base == 4 && !next_byte(reader, &sib))
    return false;
  if (mode == 0 && base == 4 && (sib & 7) == 5)
    return skip(reader, 4);
  return mode == 0 || skip(reader, mode == 1 ? 1 : 4);
}

static bool read_prefixes(struct reader *reader, uint8_t *opcode)
{
  while (next_byte(reader, opcode)) {
    bool is_segment =
        *opcode == 0x26 || *opcode == 0x2e || *opcode == 0x36 || *opcode == 0x3e || *opcode == 0x64 || *opcode == 0x65;
    bool is_rex = (*opcode & 0xf0) == 0x40;
    bool is_other = *opcode == 0x66 || *opcode == 0x67 || *opcode == 0xf0 || *opcode == 0xf2 || *opcode == 0xf3;
    if (!is_segment && !is_rex && !is_other)
      return true;
    if (reader->has_rex)
      return false; /* it has to be the last */
    reader->has_66 |= *opcode == 0x66;
    reader->has_67 |= *opcode == 0x67;
    reader->has_lock |= *opcode == 0xf0;
    reader->has_f2 |= *opcode == 0xf2;
    reader->has_f3 |= *opcode == 0xf3;
    reader->has_rex = is_rex;
    reader->rex = is_rex ? *opcode : 0;
  }
  return false;
}

/* What a byte of ModRM adds to the opcode: of F6 and F7 only the first two have a word behind them, of C6, C7 and 8F
 * the others are other instructions. */
static bool read_group(struct reader *reader, uint8_t opcode, uint8_t modrm)
{
  unsigned member = modrm >> 3 & 7;
  switch (opcode) {
  case 0xf6: return member > 1 || skip(reader, 1);
  case 0xf7: return member > 1 || skip(reader, reader->has_66 && (reader->rex & REX_W) == 0 ? 2 : 4);
  case 0x8f:
  case 0xc6:
  case 0xc7: return member == 0;
  case 0xfe: return member <= 1;
  case 0xff: break;
  default: return true;
  }
  if (member == 2)
    reader->found->kind = INSTRUCTION_CALL_COMPUTED;
  else if (member == 4)
    reader->found->kind = reader->found->distance_bytes > 0 ? INSTRUCTION_JUMP_BY_SLOT : INSTRUCTION_JUMP_COMPUTED;
  return member == 0 || member == 1 || member == 2 || member == 4 || member == 6;
}

/* Processors differ in what a jump with the prefix 66 is, unless it has a REX.W, too. */
static bool read_jump(struct reader *reader, uint8_t opcode, uint8_t bytes)
{
  bool is_always = opcode == 0xe9 || opcode == 0xeb;
  if (reader->has_66 && (reader->rex & REX_W) == 0)
    return false;
  reader->found->kind = opcode == 0xe8 ? INSTRUCTION_CALL : is_always ? INSTRUCTION_JUMP : INSTRUCTION_BRANCH;
  return read_distance(reader, bytes);
}

static bool read_rest(struct reader *reader, char form, uint8_t opcode, bool is_plain)
{
  uint8_t modrm;
  bool is_wide = (reader->rex & REX_W) != 0;
  size_t word = reader->has_66 && !is_wide ? 2 : 4;
  switch (form) {
  case '0': return true;
  case 'b': return skip(reader, 1);
  case 'w': return skip(reader, 2);
  case 'z': return skip(reader, word);
  case 'q': return skip(reader, is_wide ? 8 : word);
  case 'j': return read_jump(reader, opcode, 1);
  case 'J': return read_jump(reader, opcode, 4);
  case 'm': return read_operand(reader, &modrm) && (!is_plain || read_group(reader, opcode, modrm));
  case 'B': return read_operand(reader, &modrm) && skip(reader, 1) && (!is_plain || read_group(reader, opcode, modrm));
  case 'Z':
    return read_operand(reader, &modrm) && skip(reader, word) && (!is_plain || read_group(reader, opcode, modrm));
  default: return false;
  }
}

/* Behind 0F: its own map, and 38 and 3A, all of whose members have ModRM, the latter a byte as well. */
static bool read_0f(struct reader *reader)
{
  uint8_t opcode;
  if (!next_byte(reader, &opcode))
    return false;
  if (opcode == 0x38 || opcode == 0x3a)
    return next_byte(reader, &(uint8_t){0}) && read_rest(reader, opcode == 0x38 ? 'm' : 'B', 0, false);
  if (opcode == 0x0b)
    reader->found->kind = INSTRUCTION_END;
  if ((opcode == 0xb8 && !reader->has_f3) || (map_0f[opcode] == 'J' && reader->has_lock))
    return false;
  return read_rest(reader, map_0f[opcode], opcode, false);
}

/* VEX and EVEX: the prefixes and maps of above, packed. `map` and the opcode are what is behind them. */
static bool read_vector(struct reader *reader, unsigned map)
{
  uint8_t opcode;
  if (reader->has_66 || reader->has_f2 || reader->has_f3 || reader->has_lock || reader->has_rex ||
      !next_byte(reader, &opcode))
    return false;
  if (map == 2 || map == 3)
    return read_rest(reader, map == 2 ? 'm' : 'B', 0, false);
  char form = map == 1 ? map_0f[opcode] : '.';
  return (form == 'm' || form == 'B' || opcode == 0x77) && read_rest(reader, form, opcode, false);
}

static bool read_vex(struct reader *reader, uint8_t opcode)
{
  uint8_t first, second, third;
  if (opcode == 0xc5)
    return skip(reader, 1) && read_vector(reader, 1);
  if (!next_byte(reader, &first))
    return false;
  if (opcode == 0xc4)
    return skip(reader, 1) && read_vector(reader, first & 0x1f);
  return (first & 8) == 0 && next_byte(reader, &second) && (second & 4) != 0 && next_byte(reader, &third) &&
         read_vector(reader, first & 7);
}

static bool read_opcode(struct reader *reader)
{
  uint8_t opcode;
  if (!read_prefixes(reader, &opcode))
    return false;
  if (opcode == 0x0f)
    return read_0f(reader);
  if (opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62)
    return read_vex(reader, opcode);
  if (opcode == 0xc2 || opcode == 0xc3 || opcode == 0xcc || opcode == 0xf4)
    reader->found->kind = INSTRUCTION_END;
  return read_rest(reader, plain_map[opcode], opcode, true);
}

bool instruction_read(const uint8_t *code, size_t size, struct instruction *instruction)
{
  struct reader reader = {.code = code, .size = size < LENGTH_MAX ? size : LENGTH_MAX, .found = instruction};
  *instruction = (struct instruction){.kind = INSTRUCTION_GOES_ON};
  if (!read_opcode(&reader))
    return false;
  instruction->bytes = (uint8_t)reader.at;
  return true;
}
