/* SPDX-License-Identifier: MIT */
#include "core/arch/entry.h"

#include "core/arch/instruction.h"

#include <string.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

enum {
  PADDING_MAX = 15,    /* bytes between functions that are aligned */
  MARK_BYTES = 4,      /* endbr64 */
  SLOT_JUMP_BYTES = 6, /* jmp *slot(%rip) */
  NEAR_JUMP_BYTES = 5, /* jmp rel32 */
  ROOM_RETURN = 40,    /* behind the code: where a call that was moved returns to */
  ROOM_SLOT = 48,      /* where the hook is */
  ROOM_STUB = 56,      /* a jump to it, for functions that have no more room than for a near one */
  PARTS_MAX = 512,
  INSTRUCTIONS_MAX = 1 << 15,
};

static bool is_marked(const uint8_t *code, size_t bytes)
{
  return bytes >= MARK_BYTES && memcmp(code, "\xf3\x0f\x1e\xfa", MARK_BYTES) == 0;
}

static bool has_target(const struct instruction *instruction)
{
  return instruction->kind == INSTRUCTION_CALL || instruction->kind == INSTRUCTION_BRANCH ||
         instruction->kind == INSTRUCTION_JUMP;
}

static bool goes_on(const struct instruction *instruction)
{
  return instruction->kind <= INSTRUCTION_BRANCH;
}

static bool stays(const struct instruction *instruction)
{
  return goes_on(instruction) && instruction->kind != INSTRUCTION_CALL;
}

/* The code that the function can come to, by offsets in the text: it grows while it is followed. Parts that were gone
 * through come first, then those that are yet to be. */
static LARGE struct reach {
  const struct entry_text *text;
  size_t function, end; /* of the function, by its symbol */
  size_t changed_end;
  size_t pointer_at, pointer_end; /* from the load of a pointer to the jump to it; nobody else comes there */
  unsigned instructions, done, count;
  struct {
    size_t start, end;
  } parts[PARTS_MAX];
} reach;

/* The number of a register: its low bits, and one of the prefix. */
static int register_of(unsigned low, uint8_t prefix, uint8_t bit)
{
  return (int)(low & 7) + ((prefix & bit) != 0 ? 8 : 0);
}

enum { REX = 0x40, REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8, NO_REGISTER = -1 };

/* Memory at a fixed distance from one register: not by an index, as tables are read. */
static bool is_fixed_place(const uint8_t *modrm, uint8_t prefix)
{
  bool is_memory = *modrm >> 6 != 3, has_sib = is_memory && (*modrm & 7) == 4;
  bool has_index = has_sib && ((modrm[1] & 0x38) != 0x20 || (prefix & REX_X) != 0);
  return is_memory && !has_index;
}

/* The register that a whole pointer is loaded into: mov distance(%register), %register. */
static int loaded_register(const uint8_t *code)
{
  bool is_load = (code[0] & 0xf8) == (REX | REX_W) && code[1] == 0x8b && is_fixed_place(code + 2, code[0]);
  return is_load ? register_of(code[2] >> 3, code[0], REX_R) : NO_REGISTER;
}

/* What stands between a load and the jump to it: the end of a frame, arguments. */
static bool keeps_register(const uint8_t *code, int held)
{
  uint8_t prefix = (code[0] & 0xf0) == REX ? *code++ : 0;
  if ((code[0] & 0xf8) == 0x58) /* pop */
    return register_of(code[0], prefix, REX_B) != held;
  if (code[0] == 0x83 && code[1] == 0xc4) /* add to %rsp */
    return (prefix & REX_B) == 0;
  if ((code[0] == 0x31 || code[0] == 0x89) && code[1] >> 6 == 3) /* xor, mov */
    return register_of(code[1], prefix, REX_B) != held;
  return false;
}

/* Where a jump finds its pointer in a register, or in memory, as a load does. */
static bool is_to_pointer(const uint8_t *code, int held)
{
  uint8_t prefix = (code[0] & 0xf0) == REX ? *code++ : 0;
  if (code[0] != 0xff)
    return false;
  return code[1] >> 6 == 3 ? held != NO_REGISTER && register_of(code[1], prefix, REX_B) == held
                           : is_fixed_place(code + 1, prefix);
}

static bool is_reached(size_t at)
{
  for (unsigned i = 0; i < reach.count; i++)
    if (at == reach.parts[i].start || (at > reach.parts[i].start && at < reach.parts[i].end))
      return true;
  return false;
}

static const char *reach_target(const struct instruction *instruction, size_t at, size_t target)
{
  bool is_inside = at >= reach.function && at < reach.end, is_call = instruction->kind == INSTRUCTION_CALL;
  if (target >= reach.text->bytes)
    return "jumps out of its code";
  if (target > reach.pointer_at && target <= reach.pointer_end)
    return "jumps by a table";
  if (target > reach.function && target < reach.changed_end)
    return "jumps back to its first instructions";
  if (target == reach.function)
    return is_inside && !is_call ? "jumps back to its first instruction" : NULL;
  if (is_call || is_reached(target))
    return NULL;
  if (reach.count == PARTS_MAX)
    return "goes through too much code";
  reach.parts[reach.count].start = reach.parts[reach.count].end = target;
  reach.count++;
  return NULL;
}

static const char *reach_instruction(size_t at, struct instruction *instruction)
{
  if (reach.instructions++ == INSTRUCTIONS_MAX)
    return "goes through too much code";
  if (!instruction_read(reach.text->code + at, reach.text->bytes - at, instruction))
    return "has an instruction that is not known";
  return has_target(instruction)
             ? reach_target(instruction, at, at + instruction->bytes + (size_t)(ptrdiff_t)instruction->distance)
             : NULL;
}

/* A jump to what was loaded from a fixed place goes to another function: tables are read by an index. One is enough. */
static const char *note_jump(size_t at, size_t loaded_at, int held)
{
  bool is_known = reach.pointer_end == 0 || reach.pointer_end == at;
  if (reach.text->has_no_tables)
    return NULL;
  if (!is_known || !is_to_pointer(reach.text->code + at, held))
    return "jumps by a table";
  reach.pointer_at = held != NO_REGISTER ? loaded_at : at;
  reach.pointer_end = at;
  return NULL;
}

/* From one end to the other, also what only a table leads to. */
static const char *reach_function(void)
{
  struct instruction instruction;
  reach.parts[0].start = reach.function;
  reach.parts[0].end = reach.end;
  reach.done = reach.count = 1;
  size_t loaded_at = reach.function;
  int held = NO_REGISTER;
  for (size_t at = reach.function; at < reach.end; at += instruction.bytes) {
    const char *reason = reach_instruction(at, &instruction);
    if (reason != NULL)
      return reason;
    const char *table = instruction.kind == INSTRUCTION_JUMP_COMPUTED ? note_jump(at, loaded_at, held) : NULL;
    if (table != NULL)
      return table;
    if (instruction.bytes > reach.end - at)
      return "ends within an instruction";
    int loaded = loaded_register(reach.text->code + at);
    loaded_at = loaded != NO_REGISTER ? at : loaded_at;
    held = loaded != NO_REGISTER || !keeps_register(reach.text->code + at, held) ? loaded : held;
  }
  return NULL;
}

/* Parts that lie elsewhere, as those that are seldom needed do. */
static const char *reach_part(unsigned part)
{
  struct instruction instruction = {.kind = INSTRUCTION_GOES_ON};
  for (size_t at = reach.parts[part].start; goes_on(&instruction); at += instruction.bytes) {
    if (at >= reach.text->bytes)
      return "jumps out of its code";
    if (at > reach.parts[part].start && is_reached(at))
      return NULL;
    const char *reason = reach_instruction(at, &instruction);
    if (reason != NULL)
      return reason;
    if (instruction.kind == INSTRUCTION_JUMP_COMPUTED && !reach.text->has_no_tables)
      return "jumps by a table";
    reach.parts[part].end = at + instruction.bytes;
  }
  return NULL;
}

static const char *reach_once(void)
{
  reach.instructions = 0;
  const char *reason = reach_function();
  for (; reason == NULL && reach.done < reach.count; reach.done++)
    reason = reach_part(reach.done);
  return reason;
}

/* Twice where there is a pointer: what goes there may lie before it. */
static const char *reach_all(const struct entry *entry, const struct entry_text *text, size_t bytes)
{
  reach.text = text;
  reach.pointer_at = reach.pointer_end = 0;
  reach.function = (size_t)(entry->function - text->code);
  reach.end = reach.function + bytes;
  reach.changed_end = reach.function + entry->changed_at + MAX(entry->changed_bytes, entry->moved_bytes);
  const char *reason = reach_once();
  return reason == NULL && reach.pointer_end != 0 ? reach_once() : reason;
}

static const char *check_moving(const uint8_t *code, const struct instruction *instruction)
{
  if (instruction->kind == INSTRUCTION_CALL_COMPUTED)
    return "begins with a call by a pointer";
  bool is_loop = (code[0] & 0xf0) == 0xe0;
  if (instruction->kind == INSTRUCTION_BRANCH && instruction->distance_bytes == 1 &&
      (is_loop || instruction->bytes != 2))
    return "begins with an unusual branch";
  return NULL;
}

/* int3, or the long form of nop, which assemblers alone write, to align what follows. */
static bool is_padding(const uint8_t *code, const struct instruction *instruction)
{
  size_t at = 0;
  while (code[at] == 0x66 || code[at] == 0x2e)
    at++;
  return code[0] == 0xcc || (at + 2 < instruction->bytes && code[at] == 0x0f && code[at + 1] == 0x1f);
}

/* Behind a function that ends there, up to where another may begin. Nobody comes to these bytes. */
static size_t count_padding(const uint8_t *function, size_t bytes)
{
  enum { ALIGNMENT = 16 };
  struct instruction instruction;
  size_t at = bytes, end = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if ((uintptr_t)function % ALIGNMENT != 0)
    return 0;
  while (at < end && instruction_read(function + at, end - at, &instruction) && is_padding(function + at, &instruction))
    at += instruction.bytes;
  return at == end ? at - bytes : 0;
}

/* As many whole instructions as the jump needs, up to the first that leaves them; a call returns behind them.
 * `padding`: bytes behind the function. */
static const char *measure(struct entry *entry, size_t bytes, size_t padding, size_t wanted)
{
  struct instruction instruction = {.kind = INSTRUCTION_GOES_ON};
  size_t at = entry->changed_at, end = entry->changed_at + wanted;
  for (; at < end && stays(&instruction); at += instruction.bytes) {
    if (at >= bytes || !instruction_read(entry->function + at, bytes - at, &instruction))
      return at >= bytes ? "is too short" : "has an instruction that is not known";
    const char *reason = check_moving(entry->function + at, &instruction);
    if (reason != NULL)
      return reason;
  }
  if (at == bytes && at + padding >= end && !stays(&instruction) && instruction.kind != INSTRUCTION_CALL)
    at = at > end ? at : end;
  entry->changed_bytes = entry->moved_bytes = entry->needed_bytes = (uint8_t)(at - entry->changed_at);
  return at >= end ? NULL : "is too short";
}

static const char *begin(struct entry *entry, const struct entry_text *text, const uint8_t *function, size_t bytes)
{
  *entry = (struct entry){.function = function, .changed_at = 0};
  if (function < text->code || (size_t)(function - text->code) >= text->bytes || bytes == 0 ||
      bytes > text->bytes - (size_t)(function - text->code))
    return "is not in the code of the program";
  entry->changed_at = is_marked(function, bytes) ? MARK_BYTES : 0;
  return NULL;
}

const char *entry_read(struct entry *entry, const struct entry_text *text, const uint8_t *function, size_t bytes)
{
  const char *outside = begin(entry, text, function, bytes);
  if (outside != NULL)
    return outside;
  bool has_more = text->bytes - (size_t)(function - text->code) - bytes >= PADDING_MAX;
  size_t padding = has_more ? count_padding(function, bytes) : 0;
  const char *reason = measure(entry, bytes, padding, SLOT_JUMP_BYTES);
  reason = reason == NULL ? reach_all(entry, text, bytes) : reason;
  if (reason == NULL)
    return NULL;
  reason = measure(entry, bytes, padding, NEAR_JUMP_BYTES);
  return reason == NULL ? reach_all(entry, text, bytes) : reason;
}

/* What of it changes is read at once by all processors: those of this kind read at least so much, so aligned. */
enum { READ_AT_ONCE_BYTES = 16 };

/* It may be interrupted between two of its turns. */
static bool is_repeated(const uint8_t *code)
{
  return (code[0] == 0xf2 || code[0] == 0xf3) && ((code[1] >= 0xa4 && code[1] <= 0xaf) || (code[1] & 0xf0) == 0x40);
}

static const char *measure_first(struct entry *entry, const struct entry_text *text, size_t bytes)
{
  struct instruction instruction;
  const uint8_t *code = entry->function + entry->changed_at;
  size_t left = bytes - entry->changed_at;
  if (left == 0 || !instruction_read(code, left, &instruction))
    return left == 0 ? "is too short" : "has an instruction that is not known";
  if ((size_t)(text->code + text->bytes - code) < (size_t)instruction.bytes + NEAR_JUMP_BYTES)
    return "is too close to the end of its code";
  if (is_repeated(code))
    return "begins with an instruction that repeats itself";
  entry->moved_bytes = instruction.bytes;
  entry->changed_bytes = MIN(instruction.bytes, SLOT_JUMP_BYTES);
  bool has_landing = instruction.bytes < NEAR_JUMP_BYTES; /* behind all but one byte of prefixes, at most */
  entry->needed_bytes = has_landing ? (uint8_t)(instruction.bytes - 1 + NEAR_JUMP_BYTES) : entry->changed_bytes;
  if ((uintptr_t)code % READ_AT_ONCE_BYTES + entry->changed_bytes > READ_AT_ONCE_BYTES)
    return "begins where processors read half of it";
  return check_moving(code, &instruction);
}

const char *entry_read_first(struct entry *entry, const struct entry_text *text, const uint8_t *function, size_t bytes)
{
  const char *reason = begin(entry, text, function, bytes);
  reason = reason == NULL ? measure_first(entry, text, bytes) : reason;
  return reason == NULL ? reach_all(entry, text, bytes) : reason;
}

bool entry_needs_landing(const struct entry *entry)
{
  return entry->moved_bytes < NEAR_JUMP_BYTES;
}

/* `choice` is how many prefixes there are. The last bytes of the distance are those behind the instruction. */
bool entry_landing(const struct entry *entry, unsigned choice, struct entry_landing *landing)
{
  const uint8_t *code = entry->function + entry->changed_at;
  if (choice >= entry->moved_bytes)
    return false;
  unsigned own_bytes = entry->moved_bytes - choice - 1;
  int32_t distance;
  memcpy(&distance, code + choice + 1, sizeof distance);
  distance = (int32_t)((uint32_t)distance >> 8 * own_bytes << 8 * own_bytes);
  landing->lowest = (uintptr_t)code + choice + NEAR_JUMP_BYTES + (uintptr_t)(intptr_t)distance;
  landing->span = (size_t)1 << 8 * own_bytes;
  return true;
}

void entry_put_landing(uint8_t bytes[ENTRY_LANDING_BYTES], const void *hook)
{
  memset(bytes, 0xcc, ENTRY_LANDING_BYTES);
  memcpy(bytes, "\xff\x25\0\0\0\0", SLOT_JUMP_BYTES);
  memcpy(bytes + SLOT_JUMP_BYTES, &hook, sizeof hook);
}

bool entry_goes_to(const struct entry_text *text, const uint8_t *function, size_t bytes, const uint8_t *other)
{
  struct instruction instruction;
  const uint8_t *text_end = text->code + text->bytes;
  for (const uint8_t *code = function; code < function + bytes; code += instruction.bytes)
    if (!instruction_read(code, (size_t)(text_end - code), &instruction))
      return false;
    else if (has_target(&instruction) && other == code + instruction.bytes + (ptrdiff_t)instruction.distance)
      return true;
  return false;
}

/* A room that is being written. */
struct writing {
  uint8_t *room;
  uintptr_t address;
  size_t at;
  bool is_near; /* all that it addresses, so far */
};

static void put(struct writing *writing, const void *bytes, size_t size)
{
  memcpy(writing->room + writing->at, bytes, size);
  writing->at += size;
}

static int32_t distance_between(uintptr_t from, uintptr_t to, bool *is_near)
{
  int64_t distance = (int64_t)(to - from);
  *is_near = *is_near && distance == (int32_t)distance;
  return (int32_t)distance;
}

/* The last 4 bytes of an instruction that goes to `target`. */
static void put_target(struct writing *writing, uintptr_t target)
{
  int32_t distance = distance_between(writing->address + writing->at + sizeof distance, target, &writing->is_near);
  put(writing, &distance, sizeof distance);
}

static void put_near_jump(struct writing *writing, uintptr_t target)
{
  put(writing, "\xe9", 1);
  put_target(writing, target);
}

/* The near form says what the short one did. */
static void put_far_branch(struct writing *writing, uint8_t short_opcode, uintptr_t target)
{
  put(writing, (uint8_t[]){0x0f, (uint8_t)(short_opcode + 0x10)}, 2);
  put_target(writing, target);
}

/* It returns to where it would have returned from its old place: there, unwinders know the way. */
static void put_call(struct writing *writing, uintptr_t target, uintptr_t return_address)
{
  put(writing, "\xff\x35", 2); /* push return_address(%rip) */
  put_target(writing, writing->address + ROOM_RETURN);
  put_near_jump(writing, target);
  memcpy(writing->room + ROOM_RETURN, &return_address, sizeof return_address);
}

static void put_moved(struct writing *writing, const uint8_t *code, const struct instruction *instruction)
{
  uintptr_t target = (uintptr_t)code + instruction->bytes + (uintptr_t)(intptr_t)instruction->distance;
  size_t start = writing->at, distance_at = start + instruction->distance_at;
  if (instruction->kind == INSTRUCTION_CALL) {
    put_call(writing, target, (uintptr_t)code + instruction->bytes);
    return;
  }
  if (instruction->distance_bytes == 1 && instruction->kind == INSTRUCTION_JUMP) {
    put_near_jump(writing, target);
    return;
  }
  if (instruction->distance_bytes == 1) {
    put_far_branch(writing, code[0], target);
    return;
  }
  put(writing, code, instruction->bytes);
  if (instruction->distance_bytes == 0)
    return;
  int32_t distance = distance_between(writing->address + writing->at, target, &writing->is_near);
  memcpy(writing->room + distance_at, &distance, sizeof distance);
}

static bool put_entry(const struct entry *entry, uintptr_t room_address, uint8_t *changed)
{
  struct writing writing = {
      .room = changed, .address = (uintptr_t)entry->function + entry->changed_at, .is_near = true};
  memset(changed, 0xcc, entry->changed_bytes); /* what is left traps */
  if (entry->changed_bytes >= SLOT_JUMP_BYTES) {
    put(&writing, "\xff\x25", 2);
    put_target(&writing, room_address + ROOM_SLOT);
  } else {
    put_near_jump(&writing, room_address + ROOM_STUB);
  }
  return writing.is_near;
}

static bool put_room(const struct entry *entry, const void *hook, uint8_t room[ENTRY_ROOM_BYTES],
                     uintptr_t room_address)
{
  struct writing writing = {.room = room, .address = room_address, .is_near = true};
  struct instruction instruction = {.kind = INSTRUCTION_GOES_ON};
  const uint8_t *code = entry->function + entry->changed_at, *end = code + entry->moved_bytes;
  memset(room, 0xcc, ENTRY_ROOM_BYTES);
  for (; code < end && stays(&instruction); code += instruction.bytes) {
    if (!instruction_read(code, (size_t)(end - code), &instruction))
      return false;
    put_moved(&writing, code, &instruction);
  }
  if (stays(&instruction))
    put_near_jump(&writing, (uintptr_t)end);
  memcpy(room + ROOM_SLOT, &hook, sizeof hook);
  writing.at = ROOM_STUB;
  put(&writing, "\xff\x25", 2);
  put_target(&writing, room_address + ROOM_SLOT);
  return writing.is_near;
}

bool entry_move(const struct entry *entry, const void *hook, uint8_t room[ENTRY_ROOM_BYTES], uintptr_t room_address,
                uint8_t changed[ENTRY_CHANGED_MAX])
{
  return put_room(entry, hook, room, room_address) && put_entry(entry, room_address, changed);
}

enum { NO_PREFIX = 0x2e }; /* of a segment, which says nothing to a jump */

static void put_jump_to_landing(const struct entry *entry, unsigned choice, uintptr_t landing, uint8_t *changed)
{
  uint8_t jump[ENTRY_CHANGED_MAX];
  uintptr_t code = (uintptr_t)entry->function + entry->changed_at;
  int32_t distance = (int32_t)(landing - (code + choice + NEAR_JUMP_BYTES));
  memset(jump, NO_PREFIX, sizeof jump);
  jump[choice] = 0xe9;
  memcpy(jump + choice + 1, &distance, sizeof distance);
  memcpy(changed, jump, entry->changed_bytes); /* the rest is there */
}

bool entry_move_first(const struct entry *entry, const void *hook, uint8_t room[ENTRY_ROOM_BYTES],
                      uintptr_t room_address, unsigned choice, uintptr_t landing, uint8_t changed[ENTRY_CHANGED_MAX])
{
  if (!put_room(entry, hook, room, room_address))
    return false;
  if (!entry_needs_landing(entry))
    return put_entry(entry, room_address, changed);
  put_jump_to_landing(entry, choice, landing, changed);
  return true;
}
