/* SPDX-License-Identifier: MIT */
/* The reader of .eh_frame, by entries made by hand: each instruction, each encoding, each operation of expressions. */
#include "core/cfi/cfa_program.h"
#include "core/cfi/entries.h"
#include "core/cfi/locate.h"
#include "core/cfi/objects.h"
#include "core/cfi/readers.h"
#include "core/cfi/step.h"

#include "unit.h"

#include <sched.h>
#include <sys/mman.h>

/* An .eh_frame in the making. */

enum { BYTES_MAX = 4096, CODE_BYTES = 256 };

static uint8_t section[BYTES_MAX] __attribute__((aligned(8)));
static size_t size;
static uint8_t code[CODE_BYTES]; /* what the entry speaks of */
static struct reader reader;
static struct eh_frame_span span;

static uintptr_t code_at(unsigned offset)
{
  return (uintptr_t)code + offset;
}

static void put(const void *bytes, size_t count)
{
  assert_true(size + count <= sizeof section);
  memcpy(section + size, bytes, count);
  size += count;
}

static void put_u8(unsigned value)
{
  uint8_t byte = (uint8_t)value;
  put(&byte, 1);
}

static void put_u32(uint32_t value)
{
  put(&value, sizeof value);
}

static void put_u64(uint64_t value)
{
  put(&value, sizeof value);
}

/* A record's length is known when it ends. `is_long`: in the 64-bit form. */
static size_t begin_record(bool is_long)
{
  size_t at = size;
  put_u32(is_long ? UINT32_MAX : 0);
  if (is_long)
    put_u64(0);
  return at;
}

static void end_record(size_t at)
{
  uint32_t word;
  memcpy(&word, section + at, sizeof word);
  if (word == UINT32_MAX) {
    uint64_t length = size - at - 12;
    memcpy(section + at + 4, &length, sizeof length);
  } else {
    word = (uint32_t)(size - at - 4);
    memcpy(section + at, &word, sizeof word);
  }
}

struct shape {
  unsigned version;
  bool is_long;
  const char *augmentation; /* its data are of `data` */
  const void *data;
  unsigned data_size, encoding;
  const void *shared;
  unsigned shared_size;
  unsigned return_address;
};

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

enum { PCREL_SDATA4 = 0x1b };

/* "zR", CFA = rsp + 8, the return address below it. */
static const struct shape usual = {.version = 1,
                                   .augmentation = "zR",
                                   .data = (const uint8_t[]){PCREL_SDATA4},
                                   .data_size = 1,
                                   .encoding = PCREL_SDATA4,
                                   .shared = (const uint8_t[]){0x0c, 7, 8, 0x90, 1},
                                   .shared_size = 5,
                                   .return_address = 16};

static size_t put_shared(const struct shape *shape)
{
  size_t at = begin_record(shape->is_long);
  put_u32(0);
  put_u8(shape->version);
  put(shape->augmentation, strlen(shape->augmentation) + 1);
  if (shape->augmentation[0] == 'e')
    put_u64(0x1234);
  if (shape->version == 4)
    put("\x08", 2);
  put("\x01\x78", 2); /* units: 1, -8 */
  put_u8(shape->return_address);
  if (shape->augmentation[0] == 'z') {
    put_u8(shape->data_size);
    put(shape->data, shape->data_size);
  }
  put(shape->shared, shape->shared_size);
  end_record(at);
  return at;
}

static void put_pointer(unsigned encoding, uint64_t value)
{
  uint64_t from = (encoding & 0x70) == 0x10 ? (uintptr_t)section + size : 0;
  static const uint8_t sizes[16] = {8, 0, 2, 4, 8, 8, 8, 8, 8, 0, 2, 4, 8};
  value -= from;
  if ((encoding & 0x70) == 0x50)
    while (size % 8 != 0)
      put_u8(0);
  if (sizes[encoding & 15] != 0)
    put(&value, sizes[encoding & 15]);
  else
    for (bool more = true; more; value >>= 7) {
      more = value >= 0x40;
      put_u8((value & 0x7f) | (more ? 0x80 : 0));
    }
}

static size_t put_entry(const struct shape *shape, size_t shared, uintptr_t low, uint64_t length, const void *program,
                        unsigned program_size)
{
  size_t at = begin_record(shape->is_long);
  put_u32((uint32_t)(size - shared));
  put_pointer(shape->encoding, low);
  put_pointer(shape->encoding & 15, length);
  if (shape->augmentation[0] == 'z')
    put_u8(0);
  put(program, program_size);
  end_record(at);
  return at;
}

static size_t make(const struct shape *shape, const void *program, unsigned program_size)
{
  size = 0;
  size_t shared = put_shared(shape);
  size_t at = put_entry(shape, shared, (uintptr_t)code, CODE_BYTES, program, program_size);
  put_u32(0);
  span = (struct eh_frame_span){(uintptr_t)section, (uintptr_t)section + size};
  memset(&reader, 0, sizeof reader);
  return at;
}

static bool read_at(size_t at)
{
  uintptr_t address = (uintptr_t)section + at;
  return eh_frame_read(&span, &address, &reader.machine.entry) == EH_FRAME_ENTRY;
}

/* Rows in words. */

static const char *spelled(const struct cfi_row *row)
{
  static char text[400];
  static const char *const names[] = {"rbx", "rbp", "rsp", "r12", "r13", "r14", "r15", "ra"};
  static const char *const how[] = {"=", "u", "c", "v", "r", "e", "x"};
  size_t used = row->cfa_register == CFI_CFA_EXPRESSION
                    ? (size_t)sprintf(text, "exp")
                    : (size_t)sprintf(text, "%d%+d", row->cfa_register, row->cfa_value);
  for (unsigned slot = 0; slot < ARCH_CFI_SLOTS; slot++) {
    enum cfi_how kind = cfi_rule_how(row->rules[slot]);
    bool has_value = kind == CFI_AT_CFA || kind == CFI_IS_CFA || kind == CFI_IN_REGISTER;
    if (kind != CFI_SAME)
      used += (size_t)sprintf(text + used, " %s:%s", names[slot], how[kind]);
    if (has_value)
      used += (size_t)sprintf(text + used, "%d", cfi_rule_value(row->rules[slot]));
  }
  if (row->is_signed)
    strcpy(text + used, " signed");
  return text;
}

static void expect_row(const void *program, unsigned program_size, unsigned offset, const char *row)
{
  assert_true(read_at(make(&usual, program, program_size)));
  assert_int_equal(reader.machine.entry.pc_low, (uintptr_t)code);
  assert_int_equal(reader.machine.entry.pc_high, (uintptr_t)code + CODE_BYTES);
  bool has_row = cfa_program_run(&span, code_at(offset), &reader.machine);
  if (row == NULL) {
    assert_false(has_row);
    return;
  }
  assert_true(has_row);
  assert_string_equal(spelled(&reader.machine.row), row);
}

#define ROW(offset, row, ...) expect_row(BYTES(__VA_ARGS__), offset, row)

static void instructions_that_move_on(void **state)
{
  (void)state;
  ROW(4, "7+8 ra:c-8", 0x45, 0x0e, 16);
  ROW(5, "7+16 ra:c-8", 0x45, 0x0e, 16);
  ROW(199, "7+8 ra:c-8", 0x02, 200, 0x0e, 16);
  ROW(200, "7+16 ra:c-8", 0x02, 200, 0x0e, 16);
  ROW(249, "7+8 ra:c-8", 0x03, 250, 0, 0x0e, 16);
  ROW(250, "7+16 ra:c-8", 0x03, 250, 0, 0x0e, 16);
  ROW(251, "7+8 ra:c-8", 0x04, 252, 0, 0, 0, 0x0e, 16);
  ROW(252, "7+16 ra:c-8", 0x04, 252, 0, 0, 0, 0x0e, 16);
  ROW(7, "7+16 ra:c-8", 0x1d, 7, 0, 0, 0, 0, 0, 0, 0, 0x0e, 16);
  ROW(0, "7+8 ra:c-8", 0x04, 0, 0, 1, 0, 0x0e, 16); /* beyond the code */
  /* To an address: after the 4 bytes of the CIE pointer, 8 of code, 1 of augmentation and the operation. */
  uint8_t program[] = {0x01, 0, 0, 0, 0, 0x0e, 16};
  size_t at = make(&usual, program, sizeof program) + 4 + 4 + 8 + 1 + 1;
  int32_t distance = (int32_t)(code_at(9) - ((uintptr_t)section + at));
  memcpy(program + 1, &distance, sizeof distance);
  expect_row(program, sizeof program, 8, "7+8 ra:c-8");
  expect_row(program, sizeof program, 9, "7+16 ra:c-8");
}

static void instructions_of_the_cfa(void **state)
{
  (void)state;
  ROW(0, "6+16 ra:c-8", 0x0c, 6, 16);
  ROW(0, "6-16 ra:c-8", 0x12, 6, 2);
  ROW(0, "6+16 ra:c-8", 0x12, 6, 0x7e);
  ROW(0, "10+8 ra:c-8", 0x0d, 10);
  ROW(0, "7+300 ra:c-8", 0x0e, 0xac, 2);
  ROW(0, "7+24 ra:c-8", 0x13, 0x7d);
  ROW(0, "exp ra:c-8", 0x0f, 2, 0x76, 0x78);
  ROW(0, "exp ra:c-8", 0x0f, 2, 0x76, 0x78, 0x0e, 16); /* offsets are for later then */
  ROW(0, "6+8 ra:c-8", 0x0f, 2, 0x76, 0x78, 0x0d, 6);
  ROW(0, "6+16 ra:c-8", 0x0f, 2, 0x76, 0x78, 0x0e, 16, 0x0d, 6);
  ROW(0, NULL, 0x0f, 200, 0x76);
  ROW(0, NULL, 0x0c, 17, 16);
  ROW(0, NULL, 0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f); /* beyond what a row holds */
}

static void instructions_of_registers(void **state)
{
  (void)state;
  ROW(0, "7+8 rbx:c-16 ra:c-8", 0x83, 2);
  ROW(0, "7+8 r15:c-24 ra:c-8", 0x05, 15, 3);
  ROW(0, "7+8 r12:c16 ra:c-8", 0x11, 12, 0x7e);
  ROW(0, "7+8 rbp:c16 ra:c-8", 0x2f, 6, 2);
  ROW(0, "7+8 rbx:v-16 ra:c-8", 0x14, 3, 2);
  ROW(0, "7+8 rsp:v8 ra:c-8", 0x15, 7, 0x7f);
  ROW(0, "7+8 ra:u", 0x07, 16);
  ROW(0, "7+8 rbx:u ra:c-8", 0x07, 3);
  ROW(0, "7+8 ra:c-8", 0x83, 2, 0x08, 3);
  ROW(0, "7+8 rsp:r7 ra:c-8", 0x08, 7); /* not what is usual of sp, which is the CFA */
  ROW(0, "7+8 ra:r1", 0x09, 16, 1);
  ROW(0, "7+8 rbx:u ra:c-8", 0x09, 3, 33); /* in a register that nobody follows */
  ROW(0, "7+8 rbp:e ra:c-8", 0x10, 6, 2, 0x76, 0);
  ROW(0, "7+8 r13:x ra:c-8", 0x16, 13, 2, 0x76, 0);
  ROW(0, "7+8 ra:c-8", 0x80, 2); /* of a register that callers do not rely on */
  ROW(0, "7+8 ra:c-8", 0x05, 70, 2);
  ROW(0, NULL, 0x10, 6, 99, 0x76);
  ROW(0, NULL, 0x3f); /* there is no such instruction */
  ROW(0, NULL, 0x0c, 7);
}

static void instructions_that_go_back(void **state)
{
  (void)state;
  ROW(9, "7+8 rbx:c-16 ra:c-8", 0x83, 2, 0x4a, 0xc3);
  ROW(10, "7+8 ra:c-8", 0x83, 2, 0x4a, 0xc3);
  ROW(10, "7+8 ra:c-8", 0x09, 16, 1, 0x4a, 0xd0); /* to what the CIE says */
  ROW(10, "7+8 ra:c-8", 0x83, 2, 0x4a, 0x06, 3);
  ROW(10, "7+16 rbx:c-16 ra:c-8", 0x0e, 16, 0x83, 2, 0x0a, 0x41, 0xc3, 0x0e, 8, 0x41, 0x0b);
  ROW(1, "7+8 ra:c-8", 0x0e, 16, 0x83, 2, 0x0a, 0x41, 0xc3, 0x0e, 8, 0x41, 0x0b);
  ROW(2, "7+16 rbx:c-16 ra:c-8", 0x0e, 16, 0x83, 2, 0x0a, 0x41, 0xc3, 0x0e, 8, 0x41, 0x0b);
  /* Two of them, one within the other: outside, in the outer, in the inner, behind. */
#define NESTED 0x0a, 0x41, 0x0e, 16, 0x0a, 0x41, 0x0e, 24, 0x41, 0x0b, 0x41, 0x0b, 0x41, 0x83, 2
  ROW(0, "7+8 ra:c-8", NESTED);
  ROW(1, "7+16 ra:c-8", NESTED);
  ROW(2, "7+24 ra:c-8", NESTED);
  ROW(3, "7+16 ra:c-8", NESTED);
  ROW(4, "7+8 ra:c-8", NESTED);
  ROW(5, "7+8 rbx:c-16 ra:c-8", NESTED);
  ROW(5, "7+8 ra:c-8", 0x0a, 0x41); /* never restored */
  ROW(5, NULL, 0x41, 0x0b);         /* never remembered */
  ROW(0, "7+8 ra:c-8", 0x41, 0x0b);
}

static void instructions_without_effect_here(void **state)
{
  (void)state;
  ROW(0, "7+8 ra:c-8", 0x00, 0x2e, 0x90, 1, 0x00);
  ROW(0, "7+8 ra:c-8 signed", 0x2d);
  ROW(0, "7+8 ra:c-8", 0x2d, 0x2d);
  ROW(0, "7+8 ra:c-8 signed", 0x2c);
}

/* A program that never ends, or would take hours. */
static void time_is_bounded(void **state)
{
  (void)state;
  static uint8_t program[BYTES_MAX - 100];
  memset(program, 0x0a, sizeof program); /* each looks for its end */
  expect_row(program, sizeof program, 0, NULL);
  memset(program, 0x40, sizeof program);
  expect_row(program, sizeof program, 0, "7+8 ra:c-8");
}

/* CIEs. */

static void expect_entry(const struct shape *shape, bool is_signal, const char *row)
{
  size_t at = make(shape, BYTES(0x41, 0x0e, 32));
  assert_int_equal(read_at(at), row != NULL);
  if (row == NULL)
    return;
  assert_int_equal(reader.machine.entry.pc_low, (uintptr_t)code);
  assert_int_equal(reader.machine.entry.pc_high, (uintptr_t)code + CODE_BYTES);
  assert_int_equal(reader.machine.entry.is_signal, is_signal);
  assert_true(cfa_program_run(&span, code_at(5), &reader.machine));
  assert_string_equal(spelled(&reader.machine.row), row);
}

/* The usual one, but for what is said. */
static struct shape with_version(unsigned version)
{
  struct shape shape = usual;
  shape.version = version;
  return shape;
}

static struct shape with(const char *augmentation, const uint8_t *data, unsigned data_size, unsigned encoding)
{
  struct shape shape = usual;
  shape.augmentation = augmentation;
  shape.data = data;
  shape.data_size = data_size;
  shape.encoding = encoding;
  return shape;
}

static void versions_and_forms(void **state)
{
  (void)state;
  static const char row[] = "7+32 ra:c-8";
  for (unsigned version = 0; version < 10; version++) {
    struct shape shape = with_version(version);
    bool is_known = version == 1 || version == 3 || version == 4;
    expect_entry(&shape, false, is_known ? row : NULL);
    shape.is_long = true;
    expect_entry(&shape, false, is_known ? row : NULL);
  }
  struct shape shape = usual; /* the return address in another column */
  shape.return_address = 15;
  shape.shared = (const uint8_t[]){0x0c, 7, 8, 0x8f, 1};
  expect_entry(&shape, false, row);
}

static void expect_augmentation(const char *letters, const uint8_t *data, unsigned data_size, bool is_read)
{
  struct shape shape = with(letters, data, data_size, letters[0] == 'z' ? PCREL_SDATA4 : 0);
  expect_entry(&shape, strchr(letters, 'S') != NULL, is_read ? "7+32 ra:c-8" : NULL);
}

static void augmentations(void **state)
{
  (void)state;
  static const uint8_t pcrel[] = {PCREL_SDATA4};
  expect_augmentation("", pcrel, 0, true);
  expect_augmentation("eh", pcrel, 0, true);
  expect_augmentation("zR", pcrel, 1, true);
  expect_augmentation("zRS", pcrel, 1, true);
  expect_augmentation("zRB", pcrel, 1, true);
  expect_augmentation("zRG", pcrel, 1, true);
  expect_augmentation("zLR", BYTES(0x1b, PCREL_SDATA4), true);
  expect_augmentation("zPLR", BYTES(0x9b, 1, 2, 3, 4, 0x1b, PCREL_SDATA4), true);
  expect_augmentation("zPR", BYTES(POINTER_OMITTED, PCREL_SDATA4), true);
  expect_augmentation("zR?", pcrel, 1, true); /* what is unknown has its length */
  expect_augmentation("?", pcrel, 0, false);
  expect_augmentation("zR", pcrel, 0, false);
}

static void encodings_of_pointers(void **state)
{
  (void)state;
  static const uint8_t formats[] = {0x00, 0x04, 0x0c, 0x01, 0x09, 0x10, 0x1b, 0x1c, 0x14, 0x11, 0x19, 0x50};
  for (size_t i = 0; i < COUNT_OF(formats); i++) {
    struct shape shape = with("zR", &formats[i], 1, formats[i]);
    expect_entry(&shape, false, "7+32 ra:c-8");
  }
  static const uint8_t without_base[] = {0x2b, 0x3b, 0x4b, 0x6b, 0x0d};
  for (size_t i = 0; i < COUNT_OF(without_base); i++) {
    struct shape shape = with("zR", &without_base[i], 1, PCREL_SDATA4);
    expect_entry(&shape, false, NULL);
  }
}

/* Single pointers, with bases. */
static void expect_pointer(uint8_t encoding, const void *bytes, size_t count, uint64_t expected, bool is_good)
{
  memcpy(section, bytes, count);
  struct bytes at = {(uintptr_t)section, (uintptr_t)section + count};
  struct pointer_bases bases = {.text = 0x1000, .data = 0x2000, .function = 0x3000};
  uintptr_t value = bytes_pointer(&at, encoding, &bases, (uintptr_t)section, (uintptr_t)section + count);
  assert_int_equal(bytes_are_good(&at), is_good);
  if (is_good)
    assert_int_equal(value, expected);
}

static void pointers(void **state)
{
  (void)state;
  expect_pointer(0x02, "\xfe\xff", 2, 0xfffe, true);
  expect_pointer(0x0a, "\xfe\xff", 2, -2ull, true);
  expect_pointer(0x03, "\xff\xff\xff\xff", 4, 0xffffffff, true);
  expect_pointer(0x0b, "\xff\xff\xff\xff", 4, -1ull, true);
  expect_pointer(0x2b, "\x01\x00\x00\x00", 4, 0x1001, true);
  expect_pointer(0x3b, "\xff\xff\xff\xff", 4, 0x1fff, true);
  expect_pointer(0x4b, "\x01\x00\x00\x00", 4, 0x3001, true);
  expect_pointer(0x01, "\x80\x01", 2, 128, true);
  expect_pointer(0x09, "\x7f", 1, -1ull, true);
  expect_pointer(0x04, "\x01\x00\x00", 3, 0, false);
  expect_pointer(0x01, "\x80\x80", 2, 0, false);
  expect_pointer(0x01, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, 0, false);
  uint8_t indirect[12] = {4, 0, 0, 0, 0x78, 0x56, 0x34, 0x12};
  expect_pointer(0x9b, indirect, sizeof indirect, 0x12345678, true);
  indirect[0] = 5; /* leads beyond the end */
  expect_pointer(0x9b, indirect, sizeof indirect, 0, false);
  indirect[3] = 0x40;
  expect_pointer(0x9b, indirect, sizeof indirect, 0, false);
}

/* Damage: whatever is cut or changed, nothing is read outside; the section ends where a page does that cannot be read. */
static void cut_anywhere(void **state)
{
  (void)state;
  enum { PAGE = 4096 };
  uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(pages != MAP_FAILED && mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
  size_t at = make(&usual, BYTES(0x0a, 0x41, 0x0e, 16, 0x83, 2, 0x10, 6, 2, 0x76, 0, 0x41, 0x0b)), whole = size;
  for (size_t length = 0; length <= whole; length++) {
    uint8_t *end = pages + PAGE, *begin = end - length;
    memcpy(begin, section, length);
    span = (struct eh_frame_span){(uintptr_t)begin, (uintptr_t)end};
    uintptr_t next = (uintptr_t)begin + at;
    if (eh_frame_read(&span, &next, &reader.machine.entry) == EH_FRAME_ENTRY)
      assert_true(cfa_program_run(&span, reader.machine.entry.pc_low, &reader.machine));
    else
      assert_true(length < whole - 4);
  }
  munmap(pages, 2 * PAGE);
}

/* Finding. */

static void entries_are_found(void **state)
{
  (void)state;
  enum { ENTRIES = 20, STEP = CODE_BYTES / ENTRIES };
  size_t at[ENTRIES];
  struct {
    int32_t code, entry;
  } table[ENTRIES];
  size = 0;
  size_t shared = put_shared(&usual);
  for (unsigned i = 0; i < ENTRIES; i++) {
    at[i] = put_entry(&usual, shared, code_at(i * STEP), STEP - 1, "", 0);
    table[i].code = (int32_t)(code_at(i * STEP) - (uintptr_t)section);
    table[i].entry = (int32_t)at[i];
  }
  put_u32(0);
  struct eh_frame frames = {.span = {(uintptr_t)section, (uintptr_t)section + size},
                            .table = (uintptr_t)table,
                            .table_base = (uintptr_t)section,
                            .table_count = ENTRIES,
                            .start = (uintptr_t)section};
  struct eh_frame_entry entry = {.at = 0};
  assert_int_equal(eh_frame_find(&frames, (uintptr_t)code - 1), 0);
  for (unsigned i = 0; i < ENTRIES * STEP; i++) {
    uintptr_t found = eh_frame_find(&frames, code_at(i)), next = found;
    assert_int_equal(found, (uintptr_t)section + at[i / STEP]);
    assert_int_equal(eh_frame_read(&frames.span, &next, &entry), EH_FRAME_ENTRY);
    assert_int_equal(eh_frame_speaks_of(&entry, code_at(i)), i % STEP != STEP - 1); /* there are gaps */
  }
}

static struct module made_module(void)
{
  return (struct module){.image = {(uintptr_t)code, (uintptr_t)code + CODE_BYTES},
                         .readable = {{(uintptr_t)section, (uintptr_t)section + size}},
                         .readable_count = 1};
}

/* Without .eh_frame_hdr: found by looking for it, and sorted, as entries need not be. */
static void frames_without_a_header(void **state)
{
  (void)state;
  size = 0;
  put("this is not it \0\0\0\0\1zR\0", 24);
  size_t start = size, shared = put_shared(&usual);
  static const unsigned order[] = {3, 0, 2, 1, 4};
  for (size_t i = 0; i < COUNT_OF(order); i++)
    (void)put_entry(&usual, shared, code_at(order[i] * 10), 10, "", 0);
  put_u32(0);
  struct module module = made_module();
  locate_frames(&module);
  assert_int_equal(module.frames.start, (uintptr_t)section + start);
  assert_int_equal(module.frames.table_count, COUNT_OF(order));
  assert_true(module.frames_are_known && module.frames_are_checked);
  struct eh_frame_entry entry = {.at = 0};
  for (unsigned i = 0; i < 50; i++) {
    uintptr_t next = eh_frame_find(&module.frames, code_at(i));
    assert_int_equal(eh_frame_read(&module.frames.span, &next, &entry), EH_FRAME_ENTRY);
    assert_int_equal(entry.pc_low, code_at(i / 10 * 10));
  }
  assert_false(locate_sort_if_needed(&module));
  size = 16;
  module = made_module();
  locate_frames(&module);
  assert_int_equal(module.frames.table_count, 0);
}

/* A header whose table is not sorted is noticed when something is not found. */
static void unsorted_header(void **state)
{
  (void)state;
  size = 0;
  size_t shared = put_shared(&usual), entries[3];
  for (unsigned i = 0; i < 3; i++)
    entries[i] = put_entry(&usual, shared, code_at(i * 10), 10, "", 0);
  put_u32(0);
  size_t header = size;
  put("\x01\x1b\x03\x3b", 4);
  put_u32((uint32_t) - (int32_t)(size));
  put_u32(3);
  static const unsigned order[] = {2, 1, 0};
  for (unsigned i = 0; i < 3; i++) {
    put_u32((uint32_t)(code_at(order[i] * 10) - (uintptr_t)section - header));
    put_u32((uint32_t)(entries[order[i]] - header));
  }
  struct module module = made_module();
  module.eh_frame_hdr = section + header;
  locate_frames(&module);
  assert_int_equal(module.frames.table, (uintptr_t)section + header + 12);
  assert_int_equal(module.frames.table_count, 3);
  assert_false(module.frames_are_checked);
  assert_true(locate_sort_if_needed(&module));
  for (unsigned i = 0; i < 30; i++)
    assert_int_equal(eh_frame_find(&module.frames, code_at(i)), (uintptr_t)section + entries[i / 10]);
}

/* Expressions. */

enum { ANY = 0xee };

static void expect_result(const void *operations, unsigned count, uint8_t from, uint64_t offset)
{
  uint8_t block[64] = {(uint8_t)count};
  memcpy(block + 1, operations, count);
  struct expression_scene scene = {.pc = 0x123456789abb, .room = &reader.room};
  struct bytes bytes = {(uintptr_t)block, (uintptr_t)block + sizeof block};
  struct expression_value cfa = {.from = EXPRESSION_CFA};
  bool has_value = expression_evaluate(bytes, &scene, expression_begin_with(&reader.room, cfa));
  assert_int_equal(has_value, from != ANY);
  if (!has_value)
    return;
  assert_int_equal(reader.room.result.from, from);
  assert_int_equal(reader.room.result.offset, offset);
}

#define VALUE(from, offset, ...) expect_result(BYTES(__VA_ARGS__), from, offset)
#define NUMBER(value, ...) VALUE(EXPRESSION_NUMBER, (uint64_t)(value), __VA_ARGS__)
#define FAILS(...) VALUE(ANY, 0, __VA_ARGS__)
enum { SP = EXPRESSION_REGISTER + 7, BP = EXPRESSION_REGISTER + 6 };

static void constants(void **state)
{
  (void)state;
  NUMBER(0, 0x30);
  NUMBER(31, 0x4f);
  NUMBER(0xfe, 0x08, 0xfe);
  NUMBER(-2, 0x09, 0xfe);
  NUMBER(0xfffe, 0x0a, 0xfe, 0xff);
  NUMBER(-2, 0x0b, 0xfe, 0xff);
  NUMBER(0xfffffffe, 0x0c, 0xfe, 0xff, 0xff, 0xff);
  NUMBER(-2, 0x0d, 0xfe, 0xff, 0xff, 0xff);
  NUMBER(0x0807060504030201, 0x0e, 1, 2, 3, 4, 5, 6, 7, 8);
  NUMBER(0x0807060504030201, 0x0f, 1, 2, 3, 4, 5, 6, 7, 8);
  NUMBER(0x0807060504030201, 0x03, 1, 2, 3, 4, 5, 6, 7, 8);
  NUMBER(200, 0x10, 200, 1);
  NUMBER(-2, 0x11, 0x7e);
  NUMBER(0x123456789abb + 16, 0x80, 16); /* the pc is known */
  NUMBER(0x123456789abb - 1, 0x92, 16, 0x7f);
}

static void stack_operations(void **state)
{
  (void)state;
  NUMBER(6, 0x33, 0x12, 0x22);
  NUMBER(3, 0x33, 0x34, 0x13);
  NUMBER(3, 0x33, 0x34, 0x14);
  NUMBER(3, 0x33, 0x34, 0x35, 0x15, 2);
  NUMBER(1, 0x33, 0x34, 0x16, 0x1c);
  NUMBER(4, 0x33, 0x34, 0x35, 0x17);
  NUMBER(5, 0x33, 0x34, 0x35, 0x17, 0x13, 0x13);
  NUMBER(3, 0x33, 0x34, 0x35, 0x17, 0x13);
  FAILS(0x13, 0x13); /* only the CFA was there */
  FAILS(0x14);
  FAILS(0x15, 1);
  FAILS(0x31, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31, 0x31); /* one too many */
  FAILS(0x16);
}

static void arithmetic(void **state)
{
  (void)state;
  NUMBER(5, 0x09, 0xfb, 0x19);
  NUMBER(5, 0x35, 0x19);
  NUMBER(4, 0x3c, 0x36, 0x1a);
  NUMBER(-2, 0x09, 0xf8, 0x34, 0x1b);
  NUMBER(3, 0x37, 0x34, 0x1c);
  NUMBER(3, 0x37, 0x34, 0x1d);
  NUMBER(28, 0x37, 0x34, 0x1e);
  NUMBER(-7, 0x37, 0x1f);
  NUMBER(~7ull, 0x37, 0x20);
  NUMBER(7, 0x35, 0x32, 0x21);
  NUMBER(8, 0x35, 0x33, 0x22);
  NUMBER(205, 0x35, 0x23, 200, 1);
  NUMBER(40, 0x35, 0x33, 0x24);
  NUMBER(0, 0x35, 0x08, 64, 0x24);
  NUMBER(0x0fffffffffffffff, 0x09, 0xff, 0x34, 0x25);
  NUMBER(0, 0x09, 0xff, 0x08, 64, 0x25);
  NUMBER(-1, 0x09, 0xf0, 0x34, 0x26);
  NUMBER(-1, 0x09, 0xf0, 0x08, 64, 0x26);
  NUMBER(6, 0x35, 0x33, 0x27);
  FAILS(0x35, 0x30, 0x1b);
  FAILS(0x35, 0x30, 0x1d);
  NUMBER((uint64_t)INT64_MIN, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x09, 0xff, 0x1b); /* a quotient that overflows */
  FAILS(0xe0);
}

static void comparisons_and_branches(void **state)
{
  (void)state;
  static const struct {
    uint8_t operation;
    uint8_t less, equal, greater;
  } table[] = {{0x29, 0, 1, 0}, {0x2a, 0, 1, 1}, {0x2b, 0, 0, 1}, {0x2c, 1, 1, 0}, {0x2d, 1, 0, 0}, {0x2e, 1, 0, 1}};
  for (size_t i = 0; i < COUNT_OF(table); i++) { /* signed ones */
    NUMBER(table[i].less, 0x09, 0xff, 0x31, table[i].operation);
    NUMBER(table[i].equal, 0x31, 0x31, table[i].operation);
    NUMBER(table[i].greater, 0x31, 0x09, 0xff, table[i].operation);
  }
  NUMBER(2, 0x31, 0x2f, 1, 0, 0x96, 0x32);
  NUMBER(1, 0x31, 0x31, 0x28, 1, 0, 0x32);
  NUMBER(2, 0x31, 0x30, 0x28, 1, 0, 0x32);
  FAILS(0x2f, 0xfd, 0xff);          /* for ever */
  FAILS(0x2f, 0xf0, 0xff);          /* before the beginning */
  FAILS(0x2f, 0x40, 0);             /* behind the end */
  FAILS(0x31, 0x2f, 0xff, 0x7f, 0); /* far behind */
}

static void registers_and_loads(void **state)
{
  (void)state;
  VALUE(SP, 8, 0x77, 8);
  VALUE(BP, -16ull, 0x76, 0x70);
  VALUE(BP, -16ull, 0x92, 6, 0x70);
  VALUE(EXPRESSION_CFA, 16, 0x23, 16);
  VALUE(SP, 24, 0x77, 8, 0x40, 0x22);
  VALUE(SP, 24, 0x40, 0x77, 8, 0x22);
  VALUE(SP, -8ull, 0x77, 8, 0x40, 0x1c);
  NUMBER(8, 0x77, 16, 0x77, 8, 0x1c);
  FAILS(0x77, 8, 0x76, 8, 0x22);
  FAILS(0x40, 0x77, 8, 0x1c);
  FAILS(0x77, 8, 0x40, 0x1a); /* aligned: not told by an offset */
  FAILS(0x87, 0);
  VALUE(EXPRESSION_LOADED, 8, 0x76, 0x70, 0x06, 0x38, 0x22);
  assert_int_equal(reader.room.loaded.from, BP);
  assert_int_equal(reader.room.loaded.offset, -16ull);
  FAILS(0x76, 0x70, 0x06, 0x77, 0, 0x06); /* two words */
  FAILS(0x76, 0x70, 0x94, 4);
  FAILS(0x38, 0x06); /* memory that is no stack */
  /* The PLT's: pushed once more from byte 11 of an entry on. */
  VALUE(SP, 16, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22);
}

static void numbers_of_a_stack(void **state)
{
  (void)state;
  uintptr_t words[4] = {0x1122334455667788, 7, 8, 9}, registers[ARCH_DWARF_REGISTERS] = {[7] = (uintptr_t)words};
  struct stack_window window = {(uintptr_t)words, (uintptr_t)(words + 4), (uintptr_t)words, 0};
  struct expression_scene scene = {.known = 1 << 7, .registers = registers, .window = &window, .room = &reader.room};
  static const struct {
    uint8_t block[8];
    uint64_t expected;
  } table[] = {{{3, 0x77, 8, 0x06}, 7},
               {{4, 0x77, 0, 0x94, 4}, 0x55667788},
               {{4, 0x77, 4, 0x94, 2}, 0x3344},
               {{4, 0x77, 7, 0x94, 1}, 0x11}};
  for (size_t i = 0; i < COUNT_OF(table); i++) {
    struct bytes bytes = {(uintptr_t)table[i].block, (uintptr_t)table[i].block + 8};
    assert_true(expression_evaluate(bytes, &scene, 0));
    assert_int_equal(reader.room.result.offset, table[i].expected);
  }
  static const uint8_t wrong[][8] = {
      {4, 0x77, 6, 0x94, 4}, {3, 0x77, 1, 0x06}, {4, 0x77, 0, 0x94, 0}, {3, 0x76, 0, 0x06}};
  for (size_t i = 0; i < COUNT_OF(wrong); i++) {
    struct bytes bytes = {(uintptr_t)wrong[i], (uintptr_t)wrong[i] + 8};
    assert_false(expression_evaluate(bytes, &scene, 0));
  }
}

/* Readers. */

static _Atomic int stage;
static _Atomic bool is_done;

/* Reads until it sees that something is being unloaded, then ends. */
static void *read_until_unloading(void *unused)
{
  (void)unused;
  struct reader *mine = readers_enter();
  require(mine != NULL);
  atomic_store(&stage, 1);
  while (!readers_see_unloading())
    ;
  atomic_store(&is_done, true);
  readers_leave(mine);
  return NULL;
}

static bool unloading_waits(void)
{
  pthread_t thread;
  atomic_store(&stage, 0);
  atomic_store(&is_done, false);
  assert_int_equal(pthread_create(&thread, NULL, read_until_unloading, NULL), 0);
  while (atomic_load(&stage) != 1)
    sched_yield();
  readers_begin_unloading();
  bool has_waited = atomic_load(&is_done);
  pthread_join(thread, NULL);
  readers_end_unloading();
  return has_waited;
}

/* Not for ever: where the processor is busy with others, it may give up now and then. */
static void unloading_waits_for_readers(void **state)
{
  enum { ATTEMPTS = 200 };
  unsigned waited = 0;
  (void)state;
  for (int i = 0; i < ATTEMPTS; i++)
    waited += unloading_waits();
  assert_in_range(waited, ATTEMPTS / 4, ATTEMPTS);
}

static void *hold_a_place(void *unused)
{
  (void)unused;
  struct reader *mine = readers_enter();
  require(mine != NULL && !readers_see_unloading());
  atomic_store(&stage, 1);
  while (atomic_load(&stage) != 2)
    sched_yield();
  readers_leave(mine);
  return NULL;
}

static void places_and_unloadings(void **state)
{
  (void)state;
  assert_false(readers_see_unloading());
  struct reader *outer = readers_enter();
  assert_non_null(outer);
  readers_begin_unloading(); /* does not wait for its own thread */
  assert_true(readers_see_unloading());
  readers_begin_unloading();
  readers_end_unloading();
  assert_true(readers_see_unloading());
  readers_end_unloading();
  assert_false(readers_see_unloading());
  readers_end_unloading();
  assert_false(readers_see_unloading());
  readers_leave(outer);
  /* Not for ever. */
  pthread_t thread;
  atomic_store(&stage, 0);
  assert_int_equal(pthread_create(&thread, NULL, hold_a_place, NULL), 0);
  while (atomic_load(&stage) != 1)
    sched_yield();
  readers_begin_unloading();
  readers_end_unloading();
  atomic_store(&stage, 2);
  pthread_join(thread, NULL);
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(instructions_that_move_on),
      cmocka_unit_test(instructions_of_the_cfa),
      cmocka_unit_test(instructions_of_registers),
      cmocka_unit_test(instructions_that_go_back),
      cmocka_unit_test(instructions_without_effect_here),
      cmocka_unit_test(time_is_bounded),
      cmocka_unit_test(versions_and_forms),
      cmocka_unit_test(augmentations),
      cmocka_unit_test(encodings_of_pointers),
      cmocka_unit_test(pointers),
      cmocka_unit_test(cut_anywhere),
      cmocka_unit_test(entries_are_found),
      cmocka_unit_test(frames_without_a_header),
      cmocka_unit_test(unsorted_header),
      cmocka_unit_test(constants),
      cmocka_unit_test(stack_operations),
      cmocka_unit_test(arithmetic),
      cmocka_unit_test(comparisons_and_branches),
      cmocka_unit_test(registers_and_loads),
      cmocka_unit_test(numbers_of_a_stack),
      cmocka_unit_test(places_and_unloadings),
      cmocka_unit_test(unloading_waits_for_readers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
