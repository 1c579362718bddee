/* SPDX-License-Identifier: MIT */
/* Recipes: they fit their words, their cache loses nothing but entries, and a step by one is that by its row. */
#include "core/cfi/recipes.h"

#include "core/cfi/cfi.h"
#include "core/cfi/step.h"
#include "core/loader/loaded.h"
#include "core/modules.h"
#include "core/prng.h"
#include "unit.h"

#include <link.h>

static void fields_are_kept(void **state)
{
  (void)state;
  enum { LIMIT = 1 << (RECIPE_OFFSET_BITS - 1), WORD = sizeof(uintptr_t) };
  for (int words = -LIMIT - 2; words <= LIMIT + 2; words++)
    for (unsigned other = 0; other < RECIPE_OTHERS; other++) {
      struct recipe recipe = {.rule = RULE_SP};
      recipe_set_register(&recipe, 10);
      bool fits = words >= -LIMIT && words < LIMIT;
      assert_int_equal(recipe_set_saved(&recipe, other, (struct recipe_saved){RULE_BP_AT_BP, words * WORD}), fits);
      for (unsigned i = 0; i < RECIPE_OTHERS; i++) {
        struct recipe_saved saved = recipe_saved(&recipe, i);
        assert_int_equal(saved.way, fits && i == other ? RULE_BP_AT_BP : RULE_BP_KEPT);
        assert_int_equal(saved.offset, fits && i == other ? words * WORD : 0);
      }
      assert_int_equal(recipe_register(&recipe), 10);
    }
  struct recipe recipe = {.rule = RULE_SP};
  assert_false(recipe_set_saved(&recipe, 0, (struct recipe_saved){RULE_BP_AT_CFA, 4}));
}

static struct recipe recipe_of(uintptr_t pc)
{
  return (struct recipe){.rule = (packed_rule)pc << 8 | RULE_SP, .saved = {(uint64_t)pc << 20}};
}

static bool is_held(uintptr_t pc)
{
  struct recipe recipe, expected = recipe_of(pc);
  if (!recipes_get(pc, &recipe))
    return false;
  assert_memory_equal(&recipe, &expected, sizeof recipe);
  return true;
}

static void put(uintptr_t pc)
{
  struct recipe recipe = recipe_of(pc);
  recipes_put(pc, &recipe);
}

static void cache_holds_what_was_put(void **state)
{
  (void)state;
  enum { SOME = 200, MANY = 5000, BASE = 0x500000 };
  unsigned held = 0;
  for (uintptr_t pc = BASE; pc < BASE + SOME; pc++)
    put(pc);
  for (uintptr_t pc = BASE; pc < BASE + SOME; pc++)
    held += is_held(pc);
  assert_in_range(held, SOME * 9 / 10, SOME);
  for (uintptr_t pc = BASE; pc < BASE + MANY; pc++) {
    put(pc);
    assert_true(is_held(pc));
  }
  atomic_fetch_add(&rule_generation, 1);
  for (uintptr_t pc = BASE; pc < BASE + MANY; pc++)
    assert_false(is_held(pc));
  put(BASE);
  assert_true(is_held(BASE));
}

static _Atomic unsigned wrong, right;

static void *put_and_get(void *number)
{
  uint64_t random = (uintptr_t)number + 1;
  for (int i = 0; i < 200000; i++) {
    uintptr_t pc = 0x600000 + prng_next(&random) % 2000;
    struct recipe recipe, expected = recipe_of(pc);
    if (prng_next(&random) % 2 == 0)
      put(pc);
    else if (recipes_get(pc, &recipe))
      atomic_fetch_add(memcmp(&recipe, &expected, sizeof recipe) == 0 ? &right : &wrong, 1);
  }
  return NULL;
}

static void writers_that_meet_cost_misses_only(void **state)
{
  (void)state;
  unit_run_threads(4, put_and_get);
  assert_int_equal(wrong, 0);
  assert_in_range(right, 1000, UINT32_MAX);
}

/* A register is saved by an expression that counts from bp, as in functions that align their stack. */
#if defined(__x86_64__)
#define SAVED_BY_BP                                                                                                    \
  "  .cfi_def_cfa %rbp, 16\n"                                                                                          \
  "  .cfi_offset %rbp, -16\n"                                                                                          \
  "  .cfi_escape 0x10, 3, 2, 0x76, 0x70\n"
#elif defined(__aarch64__)
#define SAVED_BY_BP                                                                                                    \
  "  .cfi_def_cfa x29, 16\n"                                                                                           \
  "  .cfi_offset x29, -16\n"                                                                                           \
  "  .cfi_offset x30, -8\n"                                                                                            \
  "  .cfi_escape 0x10, 19, 2, 0x8d, 0x70\n"
#endif
__asm__(".text\n"
        "saved_by_bp:\n"
        "  .cfi_startproc\n" SAVED_BY_BP "  .skip 64\n"
        "  ret\n"
        "  .cfi_endproc\n");

/* Steps, on a made-up stack that nothing outside of is read of. */

static uintptr_t stack[1 << 16];

static struct cfi_registers made_up_registers(uint64_t *random, uintptr_t pc)
{
  struct cfi_registers registers = {.known = 0};
  for (unsigned i = 0; i < ARCH_DWARF_REGISTERS; i++) {
    registers.values[i] = (uintptr_t)&stack[COUNT_OF(stack) / 4 + prng_next(random) % (COUNT_OF(stack) / 2)];
    registers.known |= (uint64_t)(prng_next(random) % 8 != 0) << i;
  }
  registers.known |= 1ull << ARCH_DWARF_SP | 1ull << ARCH_DWARF_PC;
  registers.values[ARCH_DWARF_PC] = pc;
  return registers;
}

static struct stack_window made_up_window(void)
{
  return (struct stack_window){
      .low = (uintptr_t)stack, .high = (uintptr_t)(stack + COUNT_OF(stack)), .floor = UINTPTR_MAX};
}

static bool are_equal(const struct cfi_registers *a, const struct cfi_registers *b)
{
  if (a->known != b->known)
    return false;
  for (unsigned i = 0; i < ARCH_DWARF_REGISTERS; i++)
    if ((a->known >> i & 1) != 0 && a->values[i] != b->values[i])
      return false;
  return true;
}

static unsigned compared, left_to_rows, by_other_register, by_bp, steps;

static void compare_at(uint64_t *random, uintptr_t pc)
{
  struct recipe recipe;
  cfi_compile_recipe(pc, &recipe);
  assert_int_not_equal(rule_kind(recipe.rule), RULE_ABSENT);
  if (rule_kind(recipe.rule) == RULE_CAREFUL && recipe_register(&recipe) == RECIPE_NO_REGISTER) {
    left_to_rows++;
    return;
  }
  if (rule_kind(recipe.rule) > RULE_BP_DEREF && rule_kind(recipe.rule) != RULE_CAREFUL)
    return;
  struct cfi_registers by_row = made_up_registers(random, pc), by_recipe = by_row;
  struct stack_window window = made_up_window();
  enum cfi_step stepped = cfi_step(&by_row, &window);
  assert_int_equal(cfi_step_by_recipe(&recipe, &by_recipe, &window), stepped);
  if (stepped == CFI_STEP_CALLER && !are_equal(&by_row, &by_recipe))
    fail_msg("another step at %#lx", (unsigned long)pc);
  compared++;
  steps += stepped == CFI_STEP_CALLER;
  by_other_register += rule_kind(recipe.rule) == RULE_CAREFUL;
  for (unsigned i = 0; i < RECIPE_OTHERS; i++)
    by_bp += recipe_saved(&recipe, i).way == RULE_BP_AT_BP;
}

static int compare_in_object(struct dl_phdr_info *info, size_t size, void *random)
{
  (void)size;
  enum { DISTANCE = 13 };
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    if (segment->p_type != PT_LOAD || (segment->p_flags & PF_X) == 0)
      continue;
    uintptr_t low = info->dlpi_addr + segment->p_vaddr;
    for (uintptr_t pc = low; pc < low + segment->p_memsz; pc += DISTANCE)
      compare_at(random, pc);
  }
  return 0;
}

static void steps_are_those_of_rows(void **state)
{
  (void)state;
  uint64_t random = 7;
  for (size_t i = 0; i < COUNT_OF(stack); i++)
    stack[i] = (uintptr_t)&stack[prng_next(&random) % COUNT_OF(stack)] + prng_next(&random) % 2 * 4;
  stack[COUNT_OF(stack) / 2] = 0;
  dl_iterate_phdr(compare_in_object, &random);
  assert_in_range(compared, 80000, UINT32_MAX);
  assert_in_range(steps, compared * 3 / 4, compared);
  /* longjmp's, and what belongs to setcontext; and where a function has its return address in a register yet. */
  assert_in_range(left_to_rows, 1, ARCH_DWARF_RETURN_ADDRESS == ARCH_DWARF_PC ? compared / 1000 : compared / 2);
  assert_in_range(by_other_register, 1, UINT32_MAX); /* _dl_runtime_resolve */
  assert_in_range(by_bp, 1, UINT32_MAX);
}

int main(void)
{
  (void)unit_directory();
  unit_region();
  static char path[4096];
  if (readlink("/proc/self/exe", path, sizeof path - 1) <= 0)
    return 1;
  loaded_init(_dl_find_object, NULL, NULL);
  modules_init(path);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fields_are_kept),
      cmocka_unit_test(cache_holds_what_was_put),
      cmocka_unit_test(writers_that_meet_cost_misses_only),
      cmocka_unit_test(steps_are_those_of_rows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
