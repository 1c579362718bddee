/* SPDX-License-Identifier: MIT */
#include "core/arch/entry.h"
#include "core/arch/instruction.h"

#include "unit.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

/* All code of a text, whose first bytes are a function of that size. */
static const char *reason_of(const void *code, size_t bytes, size_t function_bytes)
{
  struct entry entry;
  struct entry_text text = {.code = code, .bytes = bytes};
  return entry_read(&entry, &text, code, function_bytes);
}

static void refused_where_code_goes_back(void **state)
{
  (void)state;
  /* xor %eax, %eax; dec %eax; jne to the dec; ret */
  const uint8_t loop[] = {0x31, 0xc0, 0xff, 0xc8, 0x75, 0xfc, 0xc3};
  assert_string_equal(reason_of(loop, sizeof loop, sizeof loop), "jumps back to its first instructions");
  /* test %rdi, %rdi; je elsewhere; mov %rdi, %rax; ret; elsewhere: mov $1, %edi; jmp to the je */
  const uint8_t cold[] = {0x48, 0x85, 0xff, 0x74, 0x04, 0x48, 0x89, 0xf8, 0xc3, 0xbf, 1, 0, 0, 0, 0xeb, 0xf3};
  assert_string_equal(reason_of(cold, sizeof cold, 9), "jumps back to its first instructions");
  /* dec %rdi; add $1, %rax; jne to the start; ret */
  const uint8_t whole[] = {0x48, 0xff, 0xcf, 0x48, 0x83, 0xc0, 0x01, 0x75, 0xf7, 0xc3};
  assert_string_equal(reason_of(whole, sizeof whole, sizeof whole), "jumps back to its first instruction");
}

static void refused_where_it_is_not_understood(void **state)
{
  (void)state;
  const uint8_t tiny[] = {0x31, 0xc0, 0xc3, 0x90, 0x90, 0x90, 0x90, 0x90};
  assert_string_equal(reason_of(tiny, sizeof tiny, 3), "is too short");
  const uint8_t unknown[] = {0x48, 0x89, 0xf8, 0x48, 0x83, 0xc0, 0x01, 0x06, 0xc3};
  assert_string_equal(reason_of(unknown, sizeof unknown, sizeof unknown), "has an instruction that is not known");
  const uint8_t table[] = {0x48, 0x89, 0xf8, 0x48, 0x83, 0xc0, 0x01, 0xff, 0xe0};
  assert_string_equal(reason_of(table, sizeof table, sizeof table), "jumps by a table");
  const uint8_t away[] = {0x48, 0x89, 0xf8, 0x48, 0x83, 0xc0, 0x01, 0xe9, 0, 1, 0, 0};
  assert_string_equal(reason_of(away, sizeof away, sizeof away), "jumps out of its code");
  const uint8_t cut[] = {0x48, 0x89, 0xf8, 0x48, 0x83, 0xc0, 0x01, 0xb8, 1, 0, 0, 0, 0xc3};
  assert_string_equal(reason_of(cut, sizeof cut, 9), "ends within an instruction");
  const uint8_t pointer[] = {0x50, 0xff, 0xd0, 0x58, 0x31, 0xc0, 0xc3};
  assert_string_equal(reason_of(pointer, sizeof pointer, sizeof pointer), "begins with a call by a pointer");
  const uint8_t loop[] = {0x51, 0xe3, 0x05, 0x48, 0x89, 0xf8, 0x59, 0xc3, 0x59, 0xc3};
  assert_string_equal(reason_of(loop, sizeof loop, sizeof loop), "begins with an unusual branch");
  assert_string_equal(reason_of(cut, sizeof cut, 0), "is not in the code of the program");
  assert_string_equal(reason_of(cut, sizeof cut, sizeof cut + 1), "is not in the code of the program");
}

/* Tail calls by a pointer, as dispatchers of allocators have them; what may as well be a table is refused. */
static void jumps_to_pointers(void **state)
{
  (void)state;
  /* push %rbp; mov %rsp, %rbp; mov 0x40(%rdi), %rax; xor %esi, %esi; pop %rbp; jmp *%rax */
  const uint8_t loaded[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x8b, 0x47, 0x40, 0x31, 0xf6, 0x5d, 0xff, 0xe0};
  assert_null(reason_of(loaded, sizeof loaded, sizeof loaded));
  /* mov %rdi, %r8; mov 8(%r12), %r11; jmp *%r11 */
  const uint8_t high[] = {0x49, 0x89, 0xf8, 0x4d, 0x8b, 0x5c, 0x24, 0x08, 0x41, 0xff, 0xe3};
  assert_null(reason_of(high, sizeof high, sizeof high));
  /* mov %rdi, %rax; add $1, %rax; jmp *8(%rsi) */
  const uint8_t memory[] = {0x48, 0x89, 0xf8, 0x48, 0x83, 0xc0, 0x01, 0xff, 0x66, 0x08};
  assert_null(reason_of(memory, sizeof memory, sizeof memory));
  const struct {
    uint8_t code[16], bytes;
  } tables[] = {
      /* mov 8(%rdi,%rax,8), %rax; jmp *%rax */
      {{0x31, 0xc0, 0x48, 0x8b, 0x44, 0xc7, 0x08, 0xff, 0xe0}, 9},
      /* jmp *8(%rdi,%rax,8) */
      {{0x48, 0x83, 0xc0, 0x01, 0x31, 0xd2, 0xff, 0x64, 0xc7, 0x08}, 10},
      /* mov 8(%rdi), %rax; add %rdx, %rax; jmp *%rax */
      {{0x48, 0x8b, 0x47, 0x08, 0x48, 0x01, 0xd0, 0xff, 0xe0}, 9},
      /* mov 8(%rdi), %rax; jmp *%rdx */
      {{0x48, 0x8b, 0x47, 0x08, 0x31, 0xf6, 0xff, 0xe2}, 8},
      /* mov 8(%rdi), %rax; xor %eax, %eax; jmp *%rax */
      {{0x48, 0x8b, 0x47, 0x08, 0x31, 0xc0, 0xff, 0xe0}, 8},
      /* test %rdi, %rdi; je to the jump; mov 8(%rdi), %rax; jmp *%rax */
      {{0x48, 0x85, 0xff, 0x74, 0x04, 0x48, 0x8b, 0x47, 0x08, 0xff, 0xe0}, 11},
      /* movslq 8(%rdi), %rax; jmp *%rax */
      {{0x48, 0x63, 0x47, 0x08, 0x31, 0xf6, 0xff, 0xe0}, 8},
      /* mov 8(%rdi), %rax; notrack jmp *%rax */
      {{0x48, 0x8b, 0x47, 0x08, 0x31, 0xf6, 0x3e, 0xff, 0xe0}, 9},
  };
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    const char *reason = reason_of(tables[i].code, tables[i].bytes, tables[i].bytes);
    assert_non_null(reason);
    assert_string_equal(reason, "jumps by a table");
  }
}

/* Functions that are called as they were, and by way of a hook. */

typedef long number_function(long number);

static long hook(long number)
{
  return -number;
}

struct made {
  uint8_t *text, *room;
  number_function *function, *original;
};

static uint8_t *map(size_t bytes)
{
  uint8_t *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(mapped != MAP_FAILED);
  return mapped;
}

static void make(struct made *made, const uint8_t *code, size_t bytes, size_t function_bytes)
{
  uint8_t changed[ENTRY_CHANGED_MAX];
  struct entry entry;
  made->text = map(2 * PAGE);
  made->room = made->text + PAGE;
  memcpy(made->text, code, bytes);
  struct entry_text text = {.code = made->text, .bytes = bytes};
  assert_null(entry_read(&entry, &text, made->text, function_bytes));
  assert_true(entry_move(&entry, (const void *)hook, made->room, (uintptr_t)made->room, changed));
  memcpy(made->text + entry.changed_at, changed, entry.changed_bytes);
  assert_int_equal(mprotect(made->text, 2 * PAGE, PROT_READ | PROT_EXEC), 0);
  *(void **)&made->function = made->text;
  *(void **)&made->original = made->room;
}

static void check(const uint8_t *code, size_t bytes, size_t function_bytes, long number, long expected)
{
  struct made made;
  make(&made, code, bytes, function_bytes);
  assert_int_equal(made.function(number), -number);
  assert_int_equal(made.original(number), expected);
  assert_int_equal(munmap(made.text, 8192), 0);
}

static void plain_instructions_are_moved(void **state)
{
  (void)state;
  /* mov %rdi, %rax; add $1, %rax; ret */
  const uint8_t plain[] = {0x48, 0x89, 0xf8, 0x48, 0x83, 0xc0, 0x01, 0xc3};
  check(plain, sizeof plain, sizeof plain, 4, 5);
  /* The same behind endbr64, which stays. */
  const uint8_t marked[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x89, 0xf8, 0x48, 0x83, 0xc0, 0x01, 0xc3};
  check(marked, sizeof marked, sizeof marked, 4, 5);
  struct made made;
  make(&made, marked, sizeof marked, sizeof marked);
  assert_memory_equal(made.text, marked, 4);
  assert_int_equal(munmap(made.text, 8192), 0);
}

static void what_depends_on_its_place_is_moved(void **state)
{
  (void)state;
  /* mov 9(%rip), %rax; add %rdi, %rax; ret; 5 bytes of filling; 70 */
  const uint8_t data[] = {0x48, 0x8b, 0x05, 9, 0, 0, 0, 0x48, 0x01, 0xf8, 0xc3, 0, 0, 0, 0, 0, 70, 0, 0, 0, 0, 0, 0, 0};
  check(data, sizeof data, 11, 4, 74);
  /* test %rdi, %rdi; je to the second half; lea 1(%rdi), %rax; ret; the second half: mov $7, %eax; ret */
  const uint8_t branch[] = {0x48, 0x85, 0xff, 0x74, 0x05, 0x48, 0x8d, 0x47, 0x01, 0xc3, 0xb8, 7, 0, 0, 0, 0xc3};
  check(branch, sizeof branch, sizeof branch, 4, 5);
  check(branch, sizeof branch, sizeof branch, 0, 7);
  /* jmp, of 5 bytes and nothing more, to lea 1(%rdi), %rax; ret */
  const uint8_t jump[] = {0xe9, 3, 0, 0, 0, 0xcc, 0xcc, 0xcc, 0x48, 0x8d, 0x47, 0x01, 0xc3};
  check(jump, sizeof jump, 5, 4, 5);
  /* push %rbx; call; add $1, %rax; pop %rbx; ret; the other: lea (%rdi,%rdi), %rax; ret */
  const uint8_t call[] = {0x53, 0xe8, 6, 0, 0, 0, 0x48, 0x83, 0xc0, 0x01, 0x5b, 0xc3, 0x48, 0x8d, 0x04, 0x3f, 0xc3};
  check(call, sizeof call, 12, 4, 9);
}

/* Of functions that are shorter than a jump: what aligns the next one is nobody's. */
static void padding_is_used(void **state)
{
  (void)state;
  /* jmp to the second half; data16 cs nopw 0(%rax,%rax); nopl (%rax); the second half: lea 1(%rdi), %rax; ret */
  uint8_t jump[] = {0xeb, 14, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0,    0,   0,
                    0,    0,  0x0f, 0x1f, 0,    0x48, 0x8d, 0x47, 0x01, 0xc3};
  check(jump, sizeof jump, 2, 4, 5);
  uint8_t marked[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xeb, 10,   0x66, 0x2e, 0x0f, 0x1f, 0x84,
                      0,    0,    0,    0,    0,    0x48, 0x8d, 0x47, 0x01, 0xc3};
  check(marked, sizeof marked, 6, 4, 5);
  /* mov $7, %al; ret; int3 ... */
  uint8_t ends[] = {0xb0, 7,    0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
                    0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xc3, 0,    0,    0};
  struct made made;
  make(&made, ends, sizeof ends, 3);
  assert_int_equal(made.function(4), -4);
  assert_int_equal((uint8_t)made.original(4), 7);
  assert_memory_equal(made.text + 6, ends + 6, sizeof ends - 6);
  assert_int_equal(munmap(made.text, 8192), 0);
}

static void what_may_be_a_function_is_no_padding(void **state)
{
  (void)state;
  uint8_t *page = map(4096);
  const struct entry_text text = {.code = page, .bytes = 4096};
  struct entry entry;
  memset(page, 0xcc, 64);
  memcpy(page, "\xb0\x07\xc3", 3);
  assert_null(entry_read(&entry, &text, page, 3));
  memcpy(page + 4, "\xb0\x07\xc3", 3); /* it is not aligned */
  assert_string_equal(entry_read(&entry, &text, page + 4, 3), "is too short");
  assert_string_equal(entry_read(&entry, &text, page, 3), "is too short"); /* one follows */
  memset(page + 3, 0x90, 13);                                              /* room that compilers leave at entries */
  assert_string_equal(entry_read(&entry, &text, page, 3), "is too short");
  memset(page + 3, 0xcc, 12); /* what lies across the end */
  memcpy(page + 13, "\x66\x0f\x1f\x44\x00\x00", 6);
  assert_string_equal(entry_read(&entry, &text, page, 3), "is too short");
  memset(page + 3, 0xcc, 13);
  memcpy(page, "\x90\x90\x90", 3); /* it goes on into what follows */
  assert_string_equal(entry_read(&entry, &text, page, 3), "is too short");
  assert_int_equal(munmap(page, 4096), 0);
}

/* A room for a function that addresses what only its old place can reach. */
static void too_far_is_refused(void **state)
{
  (void)state;
  const uint8_t code[] = {0x48, 0x8b, 0x05, 9, 0, 0, 0, 0x48, 0x01, 0xf8, 0xc3};
  uint8_t room[ENTRY_ROOM_BYTES], changed[ENTRY_CHANGED_MAX];
  struct entry entry;
  struct entry_text text = {.code = code, .bytes = sizeof code};
  assert_null(entry_read(&entry, &text, code, sizeof code));
  assert_true(entry_move(&entry, code, room, (uintptr_t)code - (1 << 20), changed));
  assert_false(entry_move(&entry, code, room, (uintptr_t)code - (3ul << 30), changed));
  assert_false(entry_move(&entry, code, room, (uintptr_t)code + (3ul << 30), changed));
}

static void goes_to_others(void **state)
{
  (void)state;
  const uint8_t call[] = {0x53, 0xe8, 6, 0, 0, 0, 0x48, 0x83, 0xc0, 0x01, 0x5b, 0xc3, 0x48, 0x8d, 0x04, 0x3f, 0xc3};
  struct entry_text text = {.code = call, .bytes = sizeof call};
  assert_true(entry_goes_to(&text, call, 12, call + 12));
  assert_false(entry_goes_to(&text, call, 12, call + 13));
}

/* The bytes end where the memory ends: to read one more would crash. */
static void nothing_is_read_behind_the_end(void **state)
{
  (void)state;
  enum { ALL = 1 << 16 };
  uint8_t *pages = map(2 * PAGE);
  assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
  struct instruction instruction;
  for (unsigned first = 0; first < ALL; first++)
    for (size_t bytes = 0; bytes <= 6; bytes++) {
      uint8_t *code = pages + PAGE - bytes;
      const uint8_t start[6] = {(uint8_t)first, (uint8_t)(first >> 8), 0x04, 0x25, 0x0f, 0x80};
      memcpy(code, start, bytes);
      if (instruction_read(code, bytes, &instruction))
        assert_in_range(instruction.bytes, 1, bytes);
    }
  assert_int_equal(munmap(pages, 2 * PAGE), 0);
}

/* Nor by what looks for loads and jumps: an instruction of three bytes with a mod of 3 has no index, whatever its rm. */
static void a_function_at_the_end_is_not_read_behind_it(void **state)
{
  (void)state;
  enum { ALL = 1 << 16, LEAD = 5 };
  static const uint8_t thirds[] = {0xc3, 0xc4, 0xe4, 0x04, 0x24, 0x20};
  uint8_t *pages = map(2 * PAGE);
  assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
  for (unsigned first = 0; first < ALL; first++)
    for (size_t third = 0; third < COUNT_OF(thirds); third++)
      for (size_t bytes = 1; bytes <= 3; bytes++) {
        const uint8_t code[LEAD + 3] = {0x0f, 0x1f, 0x44, 0, 0, (uint8_t)first, (uint8_t)(first >> 8), thirds[third]};
        uint8_t *function = pages + PAGE - LEAD - bytes;
        memcpy(function, code, LEAD + bytes);
        (void)reason_of(function, LEAD + bytes, LEAD + bytes);
      }
  assert_int_equal(munmap(pages, 2 * PAGE), 0);
}

/* While other threads run. */

/* A jump reaches two gigabytes to each side of its function. Where a landing has to lie hangs on the function's bytes, so all
 * of that is reserved: a library of this process may be anywhere else. */
static const size_t reach = (size_t)2 << 30;

static uint8_t *reserve_reach(void)
{
  uint8_t *all = mmap(NULL, 2 * reach, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_ptr_not_equal(all, MAP_FAILED);
  return all;
}

static uint8_t *use_pages(uintptr_t address)
{
  uint8_t *pages = (uint8_t *)(address & ~(uintptr_t)(PAGE - 1));
  assert_int_equal(mprotect(pages, 2 * PAGE, PROT_READ | PROT_WRITE), 0);
  return pages;
}

/* The function at the start of `code` is called by way of a hook, and as it was; behind its first instruction nothing
 * has changed. */
static void check_first(const uint8_t *code, size_t bytes, size_t function_bytes, size_t first, long number,
                        long expected)
{
  struct entry entry;
  struct entry_landing range = {0, 0};
  uint8_t changed[ENTRY_CHANGED_MAX], *all = reserve_reach();
  uint8_t *text = use_pages((uintptr_t)all + reach), *room = text + PAGE;
  memcpy(text, code, bytes);
  assert_null(entry_read_first(&entry, &(struct entry_text){.code = text, .bytes = PAGE}, text, function_bytes));
  assert_int_equal(entry.moved_bytes, first);
  assert_int_equal(entry_needs_landing(&entry), first < 5);
  if (first < 5) {
    assert_true(entry_landing(&entry, 0, &range));
    uint8_t *landing = use_pages(range.lowest);
    entry_put_landing((uint8_t *)range.lowest, (const void *)hook);
    assert_int_equal(mprotect(landing, 2 * PAGE, PROT_READ | PROT_EXEC), 0);
  }
  assert_true(entry_move_first(&entry, (const void *)hook, room, (uintptr_t)room, 0, range.lowest, changed));
  assert_in_range(entry.changed_bytes, 1, first);
  memcpy(text + entry.changed_at, changed, entry.changed_bytes);
  assert_memory_equal(text, code, entry.changed_at);
  size_t behind = entry.changed_at + first;
  assert_memory_equal(text + behind, code + behind, bytes - behind);
  assert_int_equal(mprotect(text, 2 * PAGE, PROT_READ | PROT_EXEC), 0);
  struct made made;
  *(void **)&made.function = text;
  *(void **)&made.original = room;
  assert_int_equal(made.function(number), -number);
  assert_int_equal(made.original(number), expected);
  assert_int_equal(munmap(all, 2 * reach), 0);
}

static void only_the_first_instruction_changes(void **state)
{
  (void)state;
  /* push %rdi; lea 1(%rdi), %rax; pop %rdi; nop; ret */
  const uint8_t one[] = {0x57, 0x48, 0x8d, 0x47, 0x01, 0x5f, 0x90, 0xc3};
  check_first(one, sizeof one, sizeof one, 1, 4, 5);
  /* push %r15; push %r14; lea; pop; pop; ret */
  const uint8_t two[] = {0x41, 0x57, 0x41, 0x56, 0x48, 0x8d, 0x47, 0x01, 0x41, 0x5e, 0x41, 0x5f, 0xc3};
  check_first(two, sizeof two, sizeof two, 2, 4, 5);
  /* mov %rdi, %rax; add $1, %rax; ret */
  const uint8_t three[] = {0x48, 0x89, 0xf8, 0x48, 0x83, 0xc0, 0x01, 0xc3};
  check_first(three, sizeof three, sizeof three, 3, 4, 5);
  /* The same behind endbr64, which stays. */
  const uint8_t marked[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x89, 0xf8, 0x48, 0x83, 0xc0, 0x01, 0xc3};
  check_first(marked, sizeof marked, sizeof marked, 3, 4, 5);
  /* lea 1(%rdi), %rax; push; pop; ret */
  const uint8_t four[] = {0x48, 0x8d, 0x47, 0x01, 0x57, 0x5f, 0xc3};
  check_first(four, sizeof four, sizeof four, 4, 4, 5);
  /* jmp to lea 1(%rdi), %rax; ret */
  const uint8_t jump[] = {0xe9, 3, 0, 0, 0, 0xcc, 0xcc, 0xcc, 0x48, 0x8d, 0x47, 0x01, 0xc3};
  check_first(jump, sizeof jump, 5, 5, 4, 5);
  /* cmp $4096, %rdi; lea 1(%rdi), %rax; ret */
  const uint8_t seven[] = {0x48, 0x81, 0xff, 0, 0x10, 0, 0, 0x48, 0x8d, 0x47, 0x01, 0xc3};
  check_first(seven, sizeof seven, sizeof seven, 7, 4, 5);
}

/* Whatever follows, what is executed is one jump to the landing, by each choice. */
static void a_jump_ends_in_what_follows(void **state)
{
  (void)state;
  enum { CODES = 10000 };
  static const uint8_t firsts[][5] = {{1, 0x57}, {2, 0x41, 0x57}, {3, 0x48, 0x89, 0xf8}, {4, 0x48, 0x8d, 0x47, 0x01}};
  uint8_t *text = map(4096), room[ENTRY_ROOM_BYTES], changed[ENTRY_CHANGED_MAX];
  uint64_t random = 1;
  for (unsigned i = 0; i < CODES; i++) {
    size_t first = firsts[i % 4][0];
    for (size_t at = 0; at < 16; at++)
      text[at] = (uint8_t)((random = random * 6364136223846793005u + 1442695040888963407u) >> 56);
    memcpy(text, firsts[i % 4] + 1, first);
    struct entry entry = {.function = text, .changed_bytes = (uint8_t)first, .moved_bytes = (uint8_t)first};
    struct entry_landing range;
    unsigned choices = 0;
    for (; entry_landing(&entry, choices, &range); choices++) {
      struct instruction read;
      uint8_t code[16];
      uintptr_t landing = range.lowest + random % range.span;
      memcpy(code, text, sizeof code);
      assert_true(entry_move_first(&entry, text, room, (uintptr_t)text, choices, landing, changed));
      memcpy(code, changed, entry.changed_bytes);
      assert_true(instruction_read(code, sizeof code, &read));
      assert_int_equal(read.kind, INSTRUCTION_JUMP);
      assert_int_equal((uintptr_t)text + read.bytes + (uintptr_t)(intptr_t)read.distance, landing);
    }
    assert_int_equal(choices, first);
  }
  assert_int_equal(munmap(text, 4096), 0);
}

static const char *reason_first(const uint8_t *code, size_t bytes, size_t at)
{
  uint8_t *text = map(8192);
  struct entry entry;
  memcpy(text + at, code, bytes);
  const char *reason = entry_read_first(&entry, &(struct entry_text){.code = text, .bytes = 4096}, text + at, bytes);
  assert_int_equal(munmap(text, 8192), 0);
  return reason;
}

static void refused_while_others_run(void **state)
{
  (void)state;
  const uint8_t plain[] = {0x48, 0x89, 0xf8, 0x48, 0x83, 0xc0, 0x01, 0xc3};
  assert_null(reason_first(plain, sizeof plain, 13));
  assert_string_equal(reason_first(plain, sizeof plain, 14), "begins where processors read half of it");
  /* rep stosb, which a thread may be in the middle of; ret */
  const uint8_t repeated[] = {0xf3, 0xaa, 0xc3, 0xcc, 0xcc, 0xcc};
  assert_string_equal(reason_first(repeated, 3, 0), "begins with an instruction that repeats itself");
  /* mov %rdi, %rax; dec %rax; jne to the start; ret */
  const uint8_t back[] = {0x48, 0x89, 0xf8, 0x48, 0xff, 0xc8, 0x75, 0xf8, 0xc3};
  assert_string_equal(reason_first(back, sizeof back, 0), "jumps back to its first instruction");
  const uint8_t unknown[] = {0x06, 0xc3};
  assert_string_equal(reason_first(unknown, sizeof unknown, 0), "has an instruction that is not known");
  assert_string_equal(reason_first(plain, sizeof plain, 4096 - sizeof plain + 1), "is not in the code of the program");
  const uint8_t last[] = {0x57, 0xc3};
  assert_string_equal(reason_first(last, sizeof last, 4094), "is too close to the end of its code");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refused_where_code_goes_back),
      cmocka_unit_test(refused_where_it_is_not_understood),
      cmocka_unit_test(jumps_to_pointers),
      cmocka_unit_test(plain_instructions_are_moved),
      cmocka_unit_test(what_depends_on_its_place_is_moved),
      cmocka_unit_test(padding_is_used),
      cmocka_unit_test(what_may_be_a_function_is_no_padding),
      cmocka_unit_test(too_far_is_refused),
      cmocka_unit_test(goes_to_others),
      cmocka_unit_test(nothing_is_read_behind_the_end),
      cmocka_unit_test(a_function_at_the_end_is_not_read_behind_it),
      cmocka_unit_test(only_the_first_instruction_changes),
      cmocka_unit_test(a_jump_ends_in_what_follows),
      cmocka_unit_test(refused_while_others_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
