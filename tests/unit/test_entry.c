/* SPDX-License-Identifier: MIT */
#include "core/arch/entry.h"
#include "core/arch/instruction.h"

#include "unit.h"

#include <string.h>
#include <sys/mman.h>

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
  enum { PAGE = 4096 };
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
  enum { PAGE = 4096, ALL = 1 << 16 };
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

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refused_where_code_goes_back),
      cmocka_unit_test(refused_where_it_is_not_understood),
      cmocka_unit_test(jumps_to_pointers),
      cmocka_unit_test(plain_instructions_are_moved),
      cmocka_unit_test(what_depends_on_its_place_is_moved),
      cmocka_unit_test(too_far_is_refused),
      cmocka_unit_test(goes_to_others),
      cmocka_unit_test(nothing_is_read_behind_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
