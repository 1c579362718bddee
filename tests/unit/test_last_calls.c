/* SPDX-License-Identifier: MIT */
/* Which functions without a name count as those that only lead there: in the code of this program, which exports the
 * ones that have names. */
#include "tools/attach/last_calls.h"

#include "tests/unit/unit.h"

#include <string.h>
#include <unistd.h>

#define FUNCTION(label, body) label ":\n.cfi_startproc\n" body "\n.cfi_endproc\n"
#define NAMED(name, body)                                                                                              \
  ".globl " name "\n.type " name ",@function\n" FUNCTION(name, body) ".size " name ",.-" name "\n"
#define NAMELESS(label, body) FUNCTION(label, body) "int3\n"
#define FAR_JUMP(target) ".byte 0xe9\n.long " target " - . - 4\n"
/* Not its address, which would be a way to it. */
#define PLACE(label) ".long " label " - places\n"

__asm__(
    ".pushsection .text\n" /* */
    NAMED("waits", "jne .Lbranched\n call .Lcalled\n jmp .Lshared\n") NAMELESS(
        ".Lbranched", "nop\n jne .Lbranched\n ret") NAMELESS(".Lcalled", "ret") NAMELESS(".Lshared", "ret")
        NAMED("waits_too", "je .Lhanded\n je .Lpointed\n je .Lbehind_other\n" FAR_JUMP(".Lfar")) NAMELESS(
            ".Lfar", "ret") NAMELESS(".Lhanded", "ret") NAMELESS(".Lpointed",
                                                                 "ret") NAMELESS(".Lbehind_other",
                                                                                 "ret") NAMELESS(".Lunused", "ret")
            NAMED("holds", "lea .Lhanded(%rip), %rax\n je .Lof_others\n jmp .Lshared") NAMELESS(
                ".Lof_others",
                "jmp .Lbehind_other") ".popsection\n"
                                      ".pushsection .data.rel.local, \"aw\"\n.balign 8\n.quad .Lpointed\n.popsection\n"
                                      ".pushsection .rodata\n.balign 4\nplaces:\n" PLACE(".Lbranched") PLACE(".Lcalled")
                                          PLACE(".Lfar") PLACE(".Lshared") PLACE(".Lhanded") PLACE(".Lpointed")
                                              PLACE(".Lbehind_other") PLACE(".Lunused") PLACE(".Lof_others")
                                                  PLACE("waits") ".popsection\n");

enum { ONES = 3, PLACES = 10 };

extern const int32_t places[PLACES];

static bool is_one(const char *name)
{
  return strcmp(name, "waits") == 0 || strcmp(name, "waits_too") == 0;
}

static struct image *read_this_program(const struct memory *memory)
{
  for (guint i = 0; i < memory->mappings->len; i++) {
    const struct memory_mapping *mapping = &g_array_index(memory->mappings, struct memory_mapping, i);
    if (mapping->start <= (uintptr_t)places && (uintptr_t)places < mapping->limit)
      return image_read(memory, memory_start_of(memory, mapping)->start);
  }
  return NULL;
}

static void only_theirs(void **state)
{
  struct memory *memory = memory_open(getpid());
  assert_non_null(memory);
  struct image *image = read_this_program(memory);
  assert_non_null(image);
  struct last_calls *calls = last_calls_read(memory, image, is_one);
  (void)state;
  for (unsigned i = 0; i < PLACES; i++) {
    uint64_t start = (uintptr_t)places + (uint64_t)(int64_t)places[i];
    if (last_calls_hold(calls, start) != (i < ONES))
      fail_msg("place %u", i);
  }
  /* What lies behind the end of its entry. */
  assert_false(last_calls_hold(calls, (uintptr_t)places + (uint64_t)(int64_t)places[1] + 1));
  assert_false(last_calls_hold(calls, (uintptr_t)places));
  last_calls_free(calls);
  image_free(image);
  memory_close(memory);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(only_theirs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
