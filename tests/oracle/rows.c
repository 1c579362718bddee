/* SPDX-License-Identifier: MIT */
/* Every row of every entry of a file's .eh_frame: ours against readelf's, and a step by it against libunwind's.
 *
 *   readelf -W --debug-dump=frames-interp FILE | rows FILE
 *
 * The file is mapped as the loader would, but not relocated. Each difference is a line, the first few of them; the last
 * line counts. A row is asked for at its first place and at its last. */
#include "core/cfi/locate.h"
/* Its inner functions, for entries that no loader knows. */
#include "core/cfi/step.c"

#include <elf.h>
#include <fcntl.h>
#include <libunwind-x86_64.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHOWN_MAX = 20, COLUMNS_MAX = 80, CELL_BYTES = 24, PAGE = 4096, SHARED_MAX = 1 << 20 };

static struct {
  unsigned long entries, rows, places, expressions, stepped;
  unsigned long unreadable, row, table, step, step_unknown;
} counts;
static unsigned shown;
static const char *file_name;

__attribute__((format(printf, 2, 3))) static void differs(unsigned long *kind, const char *format, ...)
{
  ++*kind;
  if (shown++ >= SHOWN_MAX)
    return;
  va_list arguments;
  va_start(arguments, format);
  printf("%s: ", file_name);
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
}

static _Noreturn void give_up(const char *what)
{
  printf("%s: %s\n", file_name, what);
  exit(2);
}

/* The file. */

static struct module module;
static uintptr_t bias;
static struct reader reader;

static struct address_range addresses(const Elf64_Phdr *headers, unsigned count)
{
  struct address_range all = {UINTPTR_MAX, 0};
  for (unsigned i = 0; i < count; i++) {
    const Elf64_Phdr *segment = &headers[i];
    if (segment->p_type != PT_LOAD)
      continue;
    all.low = segment->p_vaddr < all.low ? segment->p_vaddr & ~(uintptr_t)(PAGE - 1) : all.low;
    all.high = segment->p_vaddr + segment->p_memsz > all.high ? segment->p_vaddr + segment->p_memsz : all.high;
  }
  return all;
}

static void map_segment(int fd, const Elf64_Phdr *segment)
{
  uintptr_t inside = segment->p_vaddr % PAGE, at = bias + segment->p_vaddr;
  if (segment->p_type == PT_GNU_EH_FRAME)
    module.eh_frame_hdr = (const uint8_t *)at;
  if (segment->p_type != PT_LOAD || (segment->p_flags & PF_R) == 0 || segment->p_filesz == 0)
    return;
  if (mmap((void *)(at - inside), segment->p_filesz + inside, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd,
           (off_t)(segment->p_offset - inside)) == MAP_FAILED)
    give_up("a segment cannot be mapped");
  if (module.readable_count < MODULE_SEGMENTS_MAX)
    module.readable[module.readable_count++] = (struct address_range){at, at + segment->p_filesz};
}

static void map_segments(int fd, const Elf64_Phdr *headers, unsigned count)
{
  struct address_range all = addresses(headers, count);
  char *base = mmap(NULL, all.high - all.low + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all.high == 0 || base == MAP_FAILED)
    give_up("cannot be mapped");
  bias = (uintptr_t)base - all.low;
  module.image = (struct address_range){bias + all.low, bias + all.high};
  for (unsigned i = 0; i < count; i++)
    map_segment(fd, &headers[i]);
}

static void open_file(const char *path)
{
  int fd = open(path, O_RDONLY);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0 || status.st_size < (off_t)sizeof(Elf64_Ehdr))
    give_up("cannot be read");
  const char *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  const Elf64_Ehdr *header = (const Elf64_Ehdr *)bytes;
  if (bytes == MAP_FAILED || memcmp(bytes, ELFMAG, SELFMAG) != 0 || header->e_machine != EM_X86_64)
    give_up("not for this machine");
  map_segments(fd, (const Elf64_Phdr *)(bytes + header->e_phoff), header->e_phnum);
  locate_frames(&module);
}

/* Rows of readelf's. */

struct row {
  uintptr_t location;
  char cells[COLUMNS_MAX][CELL_BYTES];
};

struct table {
  char columns[COLUMNS_MAX][CELL_BYTES]; /* the first two are LOC and CFA */
  unsigned column_count;
  unsigned long at;
  uintptr_t low, high;
};

static const char *const names[ARCH_DWARF_REGISTERS] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
                                                        "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "ra"};

static int number_of(const char *name)
{
  for (int i = 0; i < ARCH_DWARF_REGISTERS; i++)
    if (strcmp(names[i], name) == 0 || (i == ARCH_DWARF_RETURN_ADDRESS && strcmp(name, "rip") == 0))
      return i;
  return -1;
}

/* How readelf would write the rule. */
static void spell(uint32_t rule, char *cell)
{
  int value = cfi_rule_value(rule);
  switch (cfi_rule_how(rule)) {
  case CFI_SAME:
  case CFI_UNDEFINED: strcpy(cell, "u"); break;
  case CFI_AT_CFA: snprintf(cell, CELL_BYTES, "c%+d", value); break;
  case CFI_IS_CFA: snprintf(cell, CELL_BYTES, "v%+d", value); break;
  case CFI_IN_REGISTER:
    snprintf(cell, CELL_BYTES, "%s", (unsigned)value < ARCH_DWARF_REGISTERS ? names[value] : "?");
    break;
  case CFI_AT_EXPRESSION: strcpy(cell, "exp"); break;
  case CFI_IS_EXPRESSION: strcpy(cell, "vexp"); break;
  }
}

static void spell_cfa(const struct cfi_row *row, char *cell)
{
  if (row->cfa_register == CFI_CFA_EXPRESSION)
    strcpy(cell, "exp");
  else
    snprintf(cell, CELL_BYTES, "%s%+d", names[row->cfa_register], row->cfa_value);
}

static bool is_same_cell(const char *theirs, const char *ours, bool is_return_address, uint32_t rule)
{
  char by_number[CELL_BYTES]; /* some have no names there */
  snprintf(by_number, sizeof by_number, "r%d", cfi_rule_value(rule));
  if (cfi_rule_how(rule) == CFI_IN_REGISTER && strcmp(theirs, by_number) == 0)
    return true;
  if (is_return_address && strcmp(theirs, "u") == 0)
    return cfi_rule_how(rule) == CFI_UNDEFINED || cfi_rule_how(rule) == CFI_SAME;
  if (strcmp(theirs, "s") == 0)
    return cfi_rule_how(rule) == CFI_SAME || cfi_rule_how(rule) == CFI_IN_REGISTER;
  return strcmp(theirs, ours) == 0;
}

static void compare_row(const struct table *table, const struct row *row, uintptr_t pc)
{
  static const uint8_t numbers[ARCH_CFI_SLOTS] = ARCH_CFI_SLOT_REGISTERS;
  const struct cfi_row *ours = &reader.machine.row;
  char cell[CELL_BYTES];
  spell_cfa(ours, cell);
  if (strcmp(cell, row->cells[1]) != 0)
    differs(&counts.row, "%lx (entry %lx): CFA is %s, ours %s", pc - bias, table->at, row->cells[1], cell);
  for (unsigned slot = 0; slot < ARCH_CFI_SLOTS; slot++) {
    const char *theirs = "u";
    for (unsigned column = 2; column < table->column_count; column++)
      if (number_of(table->columns[column]) == numbers[slot])
        theirs = row->cells[column];
    uint32_t rule = ours->rules[slot];
    spell(rule, cell);
    if (!is_same_cell(theirs, cell, numbers[slot] == ARCH_DWARF_RETURN_ADDRESS, rule))
      differs(&counts.row, "%lx (entry %lx): %s is %s, ours %s", pc - bias, table->at, names[numbers[slot]], theirs,
              cell);
    counts.expressions += strcmp(theirs, "exp") == 0 || strcmp(theirs, "vexp") == 0;
  }
  counts.expressions += ours->cfa_register == CFI_CFA_EXPRESSION;
}

/* libunwind, on the same made-up stack and registers. */

enum { STACK_WORDS = 1 << 17 };
static uintptr_t stack_words[STACK_WORDS] __attribute__((aligned(4096)));
static struct cfi_registers start;
static unw_addr_space_t space;
static uintptr_t asked_pc;

static uintptr_t middle_of_stack(void)
{
  return (uintptr_t)&stack_words[STACK_WORDS / 2];
}

static void make_stack(void)
{
  for (size_t i = 0; i < STACK_WORDS; i++) /* a word of it may be used as an address again */
    stack_words[i] = (uintptr_t)&stack_words[(i * 40503 + 17) % (STACK_WORDS / 4) + STACK_WORDS / 3];
  for (unsigned i = 0; i < ARCH_DWARF_REGISTERS; i++)
    start.values[i] = middle_of_stack() + 512 * i;
  start.known = ((uint64_t)1 << ARCH_DWARF_REGISTERS) - 1;
}

static int find_proc_info(unw_addr_space_t in, unw_word_t ip, unw_proc_info_t *info, int need_info, void *argument)
{
  const struct eh_frame *frames = &module.frames;
  unw_dyn_info_t table = {.start_ip = module.image.low, .end_ip = module.image.high};
  table.format = UNW_INFO_FORMAT_REMOTE_TABLE;
  table.u.rti.segbase = frames->table_base;
  table.u.rti.table_data = frames->table;
  table.u.rti.table_len = frames->table_count * 8 / sizeof(unw_word_t);
  extern int _Ux86_64_dwarf_search_unwind_table(unw_addr_space_t, unw_word_t, unw_dyn_info_t *, unw_proc_info_t *, int,
                                                void *);
  return _Ux86_64_dwarf_search_unwind_table(in, ip, &table, info, need_info, argument);
}

static int access_mem(unw_addr_space_t in, unw_word_t address, unw_word_t *value, int write, void *argument)
{
  (void)in, (void)argument;
  bool is_table = address >= module.frames.table && address < module.frames.table + module.frames.table_count * 8;
  bool is_stack = address >= (uintptr_t)stack_words && address <= (uintptr_t)stack_words + sizeof stack_words - 8;
  if (write || !(is_table || is_stack || module_holds(&module, address, sizeof *value)))
    return -UNW_EINVAL;
  memcpy(value, (const void *)address, sizeof *value);
  return 0;
}

static int access_reg(unw_addr_space_t in, unw_regnum_t number, unw_word_t *value, int write, void *argument)
{
  (void)in, (void)argument;
  if (write || number >= ARCH_DWARF_REGISTERS)
    return -UNW_EINVAL;
  *value = number == UNW_X86_64_RIP ? asked_pc : start.values[number];
  return 0;
}

static void put_unwind_info(unw_addr_space_t in, unw_proc_info_t *info, void *argument)
{
  (void)in, (void)info, (void)argument;
}

static int no_list(unw_addr_space_t in, unw_word_t *list, void *argument)
{
  (void)in, (void)list, (void)argument;
  return -UNW_ENOINFO;
}

static int no_fpreg(unw_addr_space_t in, unw_regnum_t number, unw_fpreg_t *value, int write, void *argument)
{
  (void)in, (void)number, (void)value, (void)write, (void)argument;
  return -UNW_EINVAL;
}

static int no_resume(unw_addr_space_t in, unw_cursor_t *cursor, void *argument)
{
  (void)in, (void)cursor, (void)argument;
  return -UNW_EINVAL;
}

static int no_name(unw_addr_space_t in, unw_word_t ip, char *name, size_t size, unw_word_t *offset, void *argument)
{
  (void)in, (void)ip, (void)name, (void)size, (void)offset, (void)argument;
  return -UNW_EINVAL;
}

static void open_libunwind(void)
{
  static unw_accessors_t accessors = {.find_proc_info = find_proc_info,
                                      .put_unwind_info = put_unwind_info,
                                      .get_dyn_info_list_addr = no_list,
                                      .access_mem = access_mem,
                                      .access_reg = access_reg,
                                      .access_fpreg = no_fpreg,
                                      .resume = no_resume,
                                      .get_proc_name = no_name};
  space = unw_create_addr_space(&accessors, 0);
  unw_set_caching_policy(space, UNW_CACHE_NONE);
}

static bool is_on_stack(uintptr_t address)
{
  return address % 8 == 0 && address >= (uintptr_t)stack_words && address < (uintptr_t)stack_words + sizeof stack_words;
}

/* By the row that was just made. */
static void compare_step(uintptr_t pc)
{
  struct cfi_registers registers = start;
  struct stack_window window = {(uintptr_t)stack_words, (uintptr_t)stack_words + sizeof stack_words,
                                (uintptr_t)stack_words};
  registers.values[ARCH_DWARF_RETURN_ADDRESS] = asked_pc = pc;
  bool is_outermost = cfi_rule_how(reader.machine.row.rules[arch_cfi_slot(ARCH_DWARF_RETURN_ADDRESS)]) == CFI_UNDEFINED;
  uintptr_t from =
      reader.machine.row.cfa_register < ARCH_DWARF_REGISTERS
          ? registers.values[reader.machine.row.cfa_register] + (uintptr_t)(intptr_t)reader.machine.row.cfa_value
          : middle_of_stack();
  if (!is_on_stack(from)) /* nothing can be read there */
    return;
  enum cfi_step stepped = step_by_row(&reader, &module.frames.span, &registers, &window);
  unw_cursor_t cursor;
  int theirs = unw_init_remote(&cursor, space, NULL) < 0 ? -1 : unw_step(&cursor);
  if (theirs < 0) {
    if (getenv("ORACLE_SAYS_UNKNOWN") != NULL)
      printf("%s: %lx: libunwind says %d, ours %d\n", file_name, pc - bias, theirs, (int)stepped);
    counts.step_unknown++;
    return;
  }
  counts.stepped++;
  if (is_outermost || theirs == 0) {
    if (!is_outermost || theirs != 0)
      differs(&counts.step, "%lx: libunwind says %d, ours is %d", pc - bias, theirs, (int)stepped);
    return;
  }
  if (stepped != CFI_STEP_CALLER) {
    differs(&counts.step, "%lx: libunwind steps, we do not (%d)", pc - bias, (int)stepped);
    return;
  }
  static const uint8_t numbers[ARCH_CFI_SLOTS] = ARCH_CFI_SLOT_REGISTERS;
  for (unsigned slot = 0; slot < ARCH_CFI_SLOTS; slot++) {
    unw_word_t value = 0;
    uintptr_t ours = registers.values[numbers[slot]];
    if (numbers[slot] == ARCH_DWARF_RETURN_ADDRESS)
      ours += !reader.machine.row.is_signal;
    bool is_sp_by_rule = numbers[slot] == ARCH_DWARF_SP && reader.machine.row.rules[slot] != cfi_rule(CFI_SAME, 0);
    if ((registers.known >> numbers[slot] & 1) == 0 || is_sp_by_rule) /* libunwind's sp is the CFA, whatever is said */
      continue;
    if (unw_get_reg(&cursor, numbers[slot], &value) < 0 || value != ours)
      differs(&counts.step, "%lx: %s is %lx, ours %lx", pc - bias, names[numbers[slot]], (unsigned long)value,
              (unsigned long)ours);
  }
}

/* Tables. */

static void check_place(const struct table *table, const struct row *row, uintptr_t pc)
{
  uintptr_t found = eh_frame_find(&module.frames, pc);
  struct cfa_machine *machine = &reader.machine;
  uintptr_t at = module.frames.start + table->at, next = at;
  counts.places++;
  if (eh_frame_read(&module.frames.span, &next, &machine->entry) != EH_FRAME_ENTRY ||
      machine->entry.pc_low != bias + table->low || machine->entry.pc_high != bias + table->high) {
    differs(&counts.unreadable, "entry %lx cannot be read", table->at);
    return;
  }
  if (!cfa_program_run(&module.frames.span, pc, machine)) {
    differs(&counts.unreadable, "%lx (entry %lx): there is no row", pc - bias, table->at);
    return;
  }
  compare_row(table, row, pc);
  if (found != at)
    differs(&counts.table, "%lx: entry %lx is found, not %lx", pc - bias, found - module.frames.start, table->at);
  else
    compare_step(pc);
}

/* A row ends where the next one begins. */
static void end_row(const struct table *table, const struct row *row, uintptr_t end)
{
  if (end > table->high)
    end = table->high;
  if (end <= row->location)
    return;
  counts.rows++;
  check_place(table, row, bias + row->location);
  if (end - 1 > row->location)
    check_place(table, row, bias + end - 1);
}

static unsigned split(char *line, char cells[COLUMNS_MAX][CELL_BYTES])
{
  unsigned count = 0;
  for (char *rest = NULL, *word = strtok_r(line, " \n", &rest); word != NULL && count < COLUMNS_MAX;
       word = strtok_r(NULL, " \n", &rest))
    if (word[0] != '(') /* the other name of a register */
      snprintf(cells[count++], CELL_BYTES, "%.*s", CELL_BYTES - 1, word);
  return count;
}

/* What CIEs leave, for entries without an instruction of their own. */
static struct shared {
  struct table table;
  struct row row;
} * shared;
static unsigned shared_count;

static struct shared *shared_at(unsigned long at)
{
  for (unsigned i = shared_count; i-- > 0;)
    if (shared[i].table.at == at)
      return &shared[i];
  return NULL;
}

struct parser {
  struct table table;
  struct row row;
  bool is_shared, has_row;
  unsigned long shared_at;
};

static void end_entry(struct parser *parser)
{
  if (parser->is_shared) {
    if (parser->has_row && shared_count < 4096)
      shared[shared_count++] = (struct shared){parser->table, parser->row};
  } else if (parser->has_row) {
    end_row(&parser->table, &parser->row, parser->table.high);
  } else if (parser->table.high > parser->table.low) {
    struct shared *from = shared_at(parser->shared_at);
    struct table table = parser->table;
    if (from != NULL) {
      table.column_count = from->table.column_count;
      memcpy(table.columns, from->table.columns, sizeof table.columns);
      from->row.location = table.low;
      end_row(&table, &from->row, table.high);
    }
  }
  *parser = (struct parser){.is_shared = true};
}

static void read_line(struct parser *parser, char *line)
{
  unsigned long at, low, high, cie;
  if (sscanf(line, "%lx %*x %*x FDE cie=%lx pc=%lx..%lx", &at, &cie, &low, &high) == 4) {
    end_entry(parser);
    counts.entries++;
    parser->is_shared = false;
    parser->shared_at = cie;
    parser->table = (struct table){.at = at, .low = low, .high = high};
  } else if (strstr(line, " CIE ") != NULL && sscanf(line, "%lx", &at) == 1) {
    end_entry(parser);
    parser->table = (struct table){.at = at};
  } else if (strstr(line, " LOC ") != NULL) {
    parser->table.column_count = split(line, parser->table.columns);
  } else if (sscanf(line, "%16lx ", &low) == 1 && parser->table.column_count > 0 && line[16] == ' ') {
    if (parser->has_row && !parser->is_shared)
      end_row(&parser->table, &parser->row, low);
    memset(&parser->row, 0, sizeof parser->row);
    (void)split(line, parser->row.cells);
    parser->row.location = low;
    parser->has_row = true;
  }
}

int main(int count, char **arguments)
{
  static char line[1 << 16];
  static struct parser parser = {.is_shared = true};
  if (count != 2)
    return 2;
  file_name = arguments[1];
  shared = calloc(4096, sizeof *shared);
  open_file(arguments[1]);
  make_stack();
  open_libunwind();
  bool is_inside = false;
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (strncmp(line, "Contents of the ", 16) == 0)
      is_inside = strstr(line, " .eh_frame section") != NULL;
    else if (is_inside)
      read_line(&parser, line);
  }
  end_entry(&parser);
  printf("%s: entries %lu rows %lu places %lu expressions %lu stepped %lu without_libunwind %lu unreadable %lu row %lu "
         "table %lu "
         "step %lu\n",
         file_name, counts.entries, counts.rows, counts.places, counts.expressions, counts.stepped, counts.step_unknown,
         counts.unreadable, counts.row, counts.table, counts.step);
  return counts.unreadable + counts.row + counts.table + counts.step == 0 ? 0 : 1;
}
