/* SPDX-License-Identifier: MIT */
/* .eh_frame made by anybody, in an object that is mapped: nothing outside of it is read, and every answer comes in
 * bounded time. Input: a byte of flags, then the bytes of the object; they end where a page does that cannot be read. */
#include "core/cfi/locate.h"
/* Their inner functions, for objects that no loader knows. */
#include "core/cfi/cfi.c"
#include "core/cfi/step.c"

#include "must.h"

#include <sanitizer/asan_interface.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* At fixed addresses, so that an input means the same each time. */
enum { OBJECT_BYTES_MAX = 1 << 16, ENTRIES_MAX = 200 };
#define OBJECT_END 0x7e0000100000ul
#define CODE_LOW 0x7e0000200000ul
#define CODE_HIGH 0x7e0000210000ul

enum flag { HAS_HEADER = 1, STARTS_AT_4 = 2 };

static void make_room(void)
{
  static bool is_made;
  if (is_made)
    return;
  is_made = true;
  char *low = (char *)(OBJECT_END - OBJECT_BYTES_MAX);
  MUST(mmap(low, OBJECT_BYTES_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
       low);
}

/* As core/steps.c does with it. */
static void try_recipe(const struct recipe *recipe, struct cfi_registers registers, struct stack_window window)
{
  switch (rule_kind(recipe->rule)) {
  case RULE_CAREFUL: MUST(recipe_register(recipe) <= RECIPE_NO_REGISTER); break;
  case RULE_SIGNAL:
  case RULE_OUTERMOST:
  case RULE_FRAME_POINTER:
  case RULE_KEPT_FRAME:
  case RULE_ABSENT: return;
  default: break;
  }
  if (rule_kind(recipe->rule) != RULE_CAREFUL || recipe_register(recipe) != RECIPE_NO_REGISTER)
    (void)cfi_step_by_recipe(recipe, &registers, &window);
}

static void try_row(const struct eh_frame_span *span, struct reader *reader, uintptr_t pc)
{
  static uintptr_t words[64];
  if (!cfa_program_run(span, pc, &reader->machine))
    return;
  (void)rule_from_row(pc, reader, span);
  MUST(reader->machine.row.cfa_register == CFI_CFA_EXPRESSION ||
       reader->machine.row.cfa_register < ARCH_DWARF_REGISTERS);
  struct stack_window window = {(uintptr_t)words, (uintptr_t)(words + 64), UINTPTR_MAX}; /* and no other page */
  struct cfi_registers registers = {.known = (1ull << ARCH_DWARF_REGISTERS) - 1};
  for (unsigned i = 0; i < ARCH_DWARF_REGISTERS; i++)
    registers.values[i] = (uintptr_t)&words[i * 2];
  registers.values[ARCH_DWARF_RETURN_ADDRESS] = pc;
  recipe_from_row(pc, reader, span);
  try_recipe(&reader->recipe, registers, window);
  (void)step_by_row(reader, span, &registers, &window);
}

static void try_entries(const struct eh_frame *frames)
{
  static struct reader reader;
  uintptr_t at = frames->start;
  enum eh_frame_record record;
  memset(&reader, 0, sizeof reader);
  for (unsigned i = 0;
       i < ENTRIES_MAX && (record = eh_frame_read(&frames->span, &at, &reader.machine.entry)) != EH_FRAME_END; i++) {
    struct eh_frame_entry entry = reader.machine.entry;
    if (record == EH_FRAME_SHARED)
      continue;
    try_row(&frames->span, &reader, entry.pc_low);
    reader.machine.entry = entry;
    try_row(&frames->span, &reader, entry.pc_low + (entry.pc_high - entry.pc_low) / 2);
    reader.machine.entry = entry;
    try_row(&frames->span, &reader, entry.pc_high);
  }
}

static void try_table(const struct eh_frame *frames)
{
  static struct eh_frame_entry entry;
  for (uintptr_t pc = CODE_LOW - 8; pc < CODE_HIGH; pc += 0x333) {
    uintptr_t at = eh_frame_find(frames, pc);
    if (at != 0)
      (void)eh_frame_read(&frames->span, &at, &entry);
  }
}

static void forget(const struct eh_frame *frames)
{
  if (frames->table_base == frames->start && frames->table_count > 0)
    munmap((void *)frames->table, frames->table_count * 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 2 || size > OBJECT_BYTES_MAX)
    return 0;
  make_room();
  uintptr_t low = OBJECT_END - (size - 1);
  ASAN_UNPOISON_MEMORY_REGION((void *)(OBJECT_END - OBJECT_BYTES_MAX), OBJECT_BYTES_MAX);
  memcpy((void *)low, data + 1, size - 1);
  ASAN_POISON_MEMORY_REGION((void *)(OBJECT_END - OBJECT_BYTES_MAX), low - (OBJECT_END - OBJECT_BYTES_MAX));
  struct module module = {.image = {CODE_LOW, CODE_HIGH}, .readable = {{low, OBJECT_END}}, .readable_count = 1};
  if ((data[0] & HAS_HEADER) != 0)
    module.eh_frame_hdr = (const uint8_t *)low;
  locate_frames(&module);
  try_table(&module.frames);
  struct eh_frame located = module.frames;
  if (locate_sort_if_needed(&module)) {
    try_table(&module.frames);
    forget(&module.frames);
  } else {
    forget(&located);
  }
  struct eh_frame whole = {.span = {low, OBJECT_END}, .start = low + ((data[0] & STARTS_AT_4) != 0 ? 4 : 0)};
  try_entries(&whole);
  return 0;
}
