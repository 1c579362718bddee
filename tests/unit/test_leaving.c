/* SPDX-License-Identifier: MIT */
/* What code says of its way to its end. The sequences are what gcc makes of musl's functions. */
#include "core/arch/arch.h"
#include "core/cfi/cfi.h"
#include "core/loader/loaded.h"
#include "core/modules.h"
#include "core/rules.h"
#include "tests/unit/unit.h"

#include <link.h>
#include <string.h>

enum { RBX = 3, RBP = 6, RSP = 7, R12 = 12 };

static bool foresee(const uint8_t *code, size_t size, struct arch_leaving *leaving)
{
  uint8_t room[512];
  memset(room, 0x90, sizeof room);
  memcpy(room, code, size);
  return arch_foresee_leaving(room, room, room + sizeof room, leaving);
}

#define FORESEE(leaving, ...) foresee((const uint8_t[]){__VA_ARGS__}, sizeof(const uint8_t[]){__VA_ARGS__}, leaving)

static int32_t saved(const struct arch_leaving *leaving, unsigned dwarf_register)
{
  return leaving->saved_at[arch_cfi_slot(dwarf_register)];
}

static void pops(void **state)
{
  struct arch_leaving leaving;
  (void)state;
  /* test %rax, %rax; je; add $8, %rsp; pop %rbx; pop %rbp; pop %r12; ret */
  assert_true(FORESEE(&leaving, 0x48, 0x85, 0xc0, 0x74, 0x20, 0x48, 0x83, 0xc4, 8, 0x5b, 0x5d, 0x41, 0x5c, 0xc3));
  assert_int_equal(leaving.counts_from, RSP);
  assert_int_equal(leaving.return_at, 32);
  assert_int_equal(saved(&leaving, RBX), 8);
  assert_int_equal(saved(&leaving, RBP), 16);
  assert_int_equal(saved(&leaving, R12), 24);
  assert_int_equal(saved(&leaving, 13), ARCH_LEAVING_KEPT);
}

/* A jump to a function that saves and restores on its own. */
static void tail_call(void **state)
{
  struct arch_leaving leaving;
  (void)state;
  /* pop %rbp; jmp +1; hlt; push %rbp; push %rbx; mov 0x12345678(%rax,%rcx,8), %rdx; pop %rbx; pop %rbp; ret */
  assert_true(FORESEE(&leaving, 0x5d, 0xeb, 1, 0xf4, 0x55, 0x53, 0x48, 0x8b, 0x94, 0xc8, 0x78, 0x56, 0x34, 0x12, 0x5b,
                      0x5d, 0xc3));
  assert_int_equal(leaving.return_at, 8);
  assert_int_equal(saved(&leaving, RBP), 0);
  assert_int_equal(saved(&leaving, RBX), ARCH_LEAVING_KEPT);
}

static void frame_pointer(void **state)
{
  struct arch_leaving leaving;
  (void)state;
  /* sub %rax, %rsp; lea -16(%rbp), %rsp; pop %rbx; pop %r12; pop %rbp; ret */
  assert_true(FORESEE(&leaving, 0x48, 0x29, 0xc4, 0x48, 0x8d, 0x65, 0xf0, 0x5b, 0x41, 0x5c, 0x5d, 0xc3));
  assert_int_equal(leaving.counts_from, RBP);
  assert_int_equal(leaving.return_at, 8);
  assert_int_equal(saved(&leaving, RBX), -16);
  assert_int_equal(saved(&leaving, R12), -8);
  assert_int_equal(saved(&leaving, RBP), 0);
  /* leave; ret */
  assert_true(FORESEE(&leaving, 0xc9, 0xc3));
  assert_int_equal(leaving.return_at, 8);
  assert_int_equal(saved(&leaving, RBP), 0);
}

/* Straight on it ends in hlt. */
static void branch(void **state)
{
  struct arch_leaving leaving;
  (void)state;
  /* cmpl $1, 0x10(%rip); jne +6 (near); movaps %xmm0, (%rsp); hlt; nop; add $0x108, %rsp; ret */
  assert_true(FORESEE(&leaving, 0x83, 0x3d, 0x10, 0, 0, 0, 1, 0x0f, 0x85, 6, 0, 0, 0, 0x0f, 0x29, 0x04, 0x24, 0xf4,
                      0x90, 0x48, 0x81, 0xc4, 8, 1, 0, 0, 0xc3));
  assert_int_equal(leaving.return_at, 0x108);
}

static void unknown(void **state)
{
  struct arch_leaving leaving;
  (void)state;
  assert_false(FORESEE(&leaving, 0xf4));                         /* hlt */
  assert_false(FORESEE(&leaving, 0xff, 0xe0));                   /* jmp *%rax */
  assert_false(FORESEE(&leaving, 0xeb, 0xfe));                   /* for ever */
  assert_false(FORESEE(&leaving, 0x48, 0x89, 0xc4, 0xc3));       /* mov %rax, %rsp; ret */
  assert_false(FORESEE(&leaving, 0x48, 0x83, 0xe4, 0xf0, 0xc3)); /* and $-16, %rsp; ret */
  assert_false(FORESEE(&leaving, 0xe9, 0, 0, 0, 0x70));          /* out of the code */
}

/* At a call the stack was aligned; behind one that does not return is the next function. */
static void behind_a_call(void **state)
{
  struct arch_leaving leaving;
  uint8_t code[64] = {0x90, 0x90, 0xe8, 0, 0, 0, 0, 0xc3};
  (void)state;
  assert_false(arch_foresee_leaving(code + 7, code, code + sizeof code, &leaving));
  memcpy(code + 7, (const uint8_t[]){0x5b, 0x5d, 0xc3}, 3); /* pop %rbx; pop %rbp; ret */
  assert_false(arch_foresee_leaving(code + 7, code, code + sizeof code, &leaving));
  memcpy(code + 7, (const uint8_t[]){0x5b, 0xff, 0xe0}, 3); /* pop %rbx; jmp *%rax */
  assert_true(arch_foresee_leaving(code + 7, code, code + sizeof code, &leaving));
  assert_int_equal(leaving.return_at, 8);
  memcpy(code + 7, (const uint8_t[]){0x5b, 0xe9, 0, 0, 0, 0x70}, 6); /* pop %rbx; jmp to another object */
  assert_true(arch_foresee_leaving(code + 7, code, code + sizeof code, &leaving));
  assert_int_equal(saved(&leaving, RBX), 0);
}

/* Whatever the bytes are, only those of the code are read: the sanitizer watches. */
static void any_bytes(void **state)
{
  uint64_t random = 1;
  unsigned known = 0;
  (void)state;
  for (unsigned round = 0; round < 20000; round++) {
    uint8_t code[64];
    struct arch_leaving leaving;
    for (size_t i = 0; i < sizeof code; i++)
      code[i] = (uint8_t)((random = random * 6364136223846793005u + 1442695040888963407u) >> 56);
    known += arch_foresee_leaving(code + round % sizeof code, code, code + sizeof code, &leaving);
  }
  assert_true(known > 0);
}

static void first_calls(void **state)
{
  (void)state;
  static const uint8_t of_main[] = {0, 0, 0, 0, 0, 0xff, 0xd3, /* call *%rbx */ 0x89, 0xc7, 0xe8, 0, 0, 0, 0};
  static const uint8_t of_thread[] = {0, 0, 0, 0, 0, 0xff, 0x13, /* call *(%rbx) */ 0x48, 0x89, 0xc7, 0xe8, 0, 0, 0, 0};
  static const uint8_t of_c11[] = {0, 0, 0, 0, 0x41, 0xff, 0xd4, /* call *%r12 */ 0x48, 0x63, 0xf8, 0xe8, 0, 0, 0, 0};
  static const uint8_t direct[] = {0, 0, 0xe8, 0, 0, 0xff, 0xd3, 0x89, 0xc7, 0xe8, 0, 0, 0, 0};
  static const uint8_t other[] = {0, 0, 0, 0, 0, 0xff, 0xd3, 0x89, 0xc3, 0xe8, 0, 0, 0, 0};
  assert_true(arch_is_first_call(of_main + 7) && arch_is_first_call(of_thread + 7) && arch_is_first_call(of_c11 + 7));
  assert_false(arch_is_first_call(direct + 7) || arch_is_first_call(other + 7));
}

/* All calls of libc, which has unwind information, too: whatever is said of one is what that says. */

struct code {
  const uint8_t *low, *high;
};

static int find_libc(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct code *code = argument;
  (void)size;
  for (unsigned i = 0; i < info->dlpi_phnum && strstr(info->dlpi_name, "libc.so.6") != NULL; i++)
    if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
      code->low = (const uint8_t *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
      code->high = code->low + info->dlpi_phdr[i].p_memsz;
    }
  return code->low != NULL;
}

static bool is_after_call(const struct code *code, const uint8_t *address)
{
  int32_t distance;
  memcpy(&distance, address - 4, sizeof distance);
  const uint8_t *target = address + distance;
  return address[-5] == 0xe8 && target >= code->low && target < code->high && (uintptr_t)target % 16 == 0;
}

static bool is_the_same(const struct arch_leaving *leaving, packed_rule rule)
{
  bool is_by_sp = leaving->counts_from == RSP;
  if (is_by_sp != (rule_kind(rule) == RULE_SP)) /* the same frame, told from its other end */
    return true;
  int32_t cfa = leaving->return_at + 8, bp = saved(leaving, RBP);
  bool is_kept = bp == ARCH_LEAVING_KEPT;
  return cfa == rule_cfa_offset(rule) && is_kept == (rule_bp(rule) == RULE_BP_KEPT) &&
         (is_kept || bp - cfa == rule_bp_offset(rule));
}

static void calls_of_libc(void **state)
{
  struct code code = {NULL, NULL};
  unsigned sites = 0, told = 0, wrong = 0;
  (void)state;
  dl_iterate_phdr(find_libc, &code);
  assert_non_null(code.low);
  for (const uint8_t *at = code.low + 8; at < code.high; at++) {
    struct arch_leaving leaving;
    packed_rule rule = is_after_call(&code, at) ? cfi_compile((uintptr_t)at - 1) : RULE_ABSENT;
    if (rule_kind(rule) != RULE_SP && rule_kind(rule) != RULE_BP)
      continue;
    sites++;
    if (!arch_foresee_leaving(at, code.low, code.high, &leaving))
      continue;
    told++;
    wrong += !is_the_same(&leaving, rule);
  }
  print_message("%u calls, %u told, %u of them wrong\n", sites, told, wrong);
  assert_true(sites > 10000 && told > sites * 3 / 4);
  assert_true(wrong <= sites / 1000); /* bytes that look like a call */
}

int main(void)
{
  (void)unit_directory();
  unit_region();
  loaded_init(_dl_find_object, NULL, NULL);
  modules_init("/proc/self/exe");
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pops),      cmocka_unit_test(tail_call),   cmocka_unit_test(frame_pointer),
      cmocka_unit_test(branch),    cmocka_unit_test(unknown),     cmocka_unit_test(behind_a_call),
      cmocka_unit_test(any_bytes), cmocka_unit_test(first_calls), cmocka_unit_test(calls_of_libc),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
