/* SPDX-License-Identifier: MIT */
#include "tools/attach/allocator_code.h"

#include "core/arch/instruction.h"
#include "tools/attach/functions.h"
#include "tools/symbols/elf_functions.h"

#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <unistd.h>

struct allocator_code {
  struct functions *functions;
  bool *are_reached; /* by number */
  uint64_t bias;
  GArray *to_read; /* uint32_t: functions that are reached */
};

void allocator_code_free(struct allocator_code *code)
{
  if (code == NULL)
    return;
  g_array_free(code->to_read, TRUE);
  functions_free(code->functions);
  g_free(code->are_reached);
  g_free(code);
}

/* --- which of them --- */

static void reach(struct allocator_code *code, uint64_t address)
{
  uint32_t function = functions_number_at(code->functions, address);
  if (function == code->functions->count || code->are_reached[function])
    return;
  code->are_reached[function] = true;
  g_array_append_val(code->to_read, function);
}

static void reach_if_start(struct allocator_code *code, uint64_t address)
{
  uint32_t function = functions_number_at(code->functions, address);
  if (function != code->functions->count && code->functions->all[function].start == address)
    reach(code, address);
}

/* mov $address, %register, in a program that lies low. */
static void reach_constant(struct allocator_code *code, const uint8_t *at, size_t bytes)
{
  uint32_t constant;
  bool has_prefix = bytes > 5 && (at[0] & 0xf0) == 0x40;
  bool is_move = (at[has_prefix] & 0xf8) == 0xb8 || (at[has_prefix] == 0xc7 && bytes > 6);
  if (!is_move || bytes < 5)
    return;
  memcpy(&constant, at + bytes - sizeof constant, sizeof constant);
  reach_if_start(code, constant);
}

static bool read_function(struct allocator_code *code, uint32_t number)
{
  const struct functions *functions = code->functions;
  uint64_t end = functions_end_of(functions, number);
  struct instruction instruction;
  if (end == 0)
    return false;
  for (uint64_t at = functions->all[number].start; at < end; at += instruction.bytes) {
    const uint8_t *bytes = functions->bytes + (at - functions->code_start);
    if (!instruction_read(bytes, functions->code_limit - at, &instruction))
      return false;
    uint64_t target = at + instruction.bytes + (uint64_t)(int64_t)instruction.distance;
    if (instruction.kind == INSTRUCTION_CALL || instruction.kind == INSTRUCTION_BRANCH ||
        instruction.kind == INSTRUCTION_JUMP)
      reach(code, target);
    else if (instruction.distance_bytes > 0)
      reach_if_start(code, target);
    else
      reach_constant(code, bytes, instruction.bytes);
  }
  return true;
}

/* --- by name --- */

static const char *const usual[] = {
    "malloc",        "free",         "calloc",      "realloc",     "memalign",
    "aligned_alloc", "valloc",       "pvalloc",     "cfree",       "posix_memalign",
    "reallocarray",  "reallocf",     "free_sized",  "malloc_trim", "free_aligned_sized",
    "mallocx",       "rallocx",      "xallocx",     "sallocx",     "dallocx",
    "sdallocx",      "nallocx",      "mallctl",     "mallinfo",    "mallctlnametomib",
    "mallctlbymib",  "malloc_stats", "mallinfo2",   "mallopt",     "malloc_usable_size",
    "malloc_info",   "vfree",        "malloc_size", "reallocarr",  "malloc_stats_print",
};

/* Of C++: operators, and the classes of gperftools. */
static const char *const beginnings[] = {"_Znw",
                                         "_Zna",
                                         "_Zdl",
                                         "_Zda",
                                         "_ZN8tcmalloc",
                                         "_ZN13MallocExtension",
                                         "_ZN10MallocHook",
                                         "_ZN22TCMallocImplementation"};

/* Only with a malloc of that name. */
static const char *const prefixes[] = {"je_", "_rjem_", "tc_", "mi_"};

struct names {
  struct allocator_code *code;
  bool is_second; /* it is known which prefixes are there */
  bool are_there[G_N_ELEMENTS(prefixes)];
};

static bool is_usual(const char *name)
{
  for (size_t i = 0; i < G_N_ELEMENTS(usual); i++)
    if (strcmp(name, usual[i]) == 0)
      return true;
  for (size_t i = 0; i < G_N_ELEMENTS(beginnings); i++)
    if (g_str_has_prefix(name, beginnings[i]))
      return true;
  return false;
}

static void take_name(struct names *names, const char *name, uint64_t address)
{
  bool is_allocators = is_usual(name);
  for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++) {
    bool has_prefix = g_str_has_prefix(name, prefixes[i]);
    names->are_there[i] |= has_prefix && strcmp(name + strlen(prefixes[i]), "malloc") == 0;
    is_allocators |= names->is_second && names->are_there[i] && g_str_has_prefix(name + (name[0] == '_'), prefixes[i]);
  }
  if (is_allocators)
    reach(names->code, address);
}

static void take_symbol(const GElf_Sym *symbol, const char *name, void *context)
{
  struct names *names = context;
  take_name(names, name, names->code->bias + symbol->st_value);
}

/* The file is the one that is executed, whatever has its name by now. */
static void take_file(struct names *names, int pid)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/exe", pid);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  Elf *elf = file >= 0 && elf_version(EV_CURRENT) != EV_NONE ? elf_begin(file, ELF_C_READ, NULL) : NULL;
  if (elf != NULL)
    elf_functions_each(elf, SHT_SYMTAB, take_symbol, names);
  (void)elf_end(elf);
  if (file >= 0)
    close(file);
}

static void take_names(struct names *names, const struct memory *memory, const struct image *image)
{
  for (int pass = 0; pass < 2; pass++) {
    names->is_second = pass == 1;
    for (guint i = 0; i < image->symbols->len; i++) {
      const struct image_symbol *symbol = &g_array_index(image->symbols, struct image_symbol, i);
      take_name(names, symbol->name, symbol->start);
    }
    take_file(names, memory->pid);
  }
}

struct allocator_code *allocator_code_read(const struct memory *memory, const struct image *executable)
{
  struct functions *functions = functions_read(memory, executable);
  if (functions == NULL)
    return NULL;
  struct allocator_code *code = g_new0(struct allocator_code, 1);
  struct names names = {.code = code};
  *code = (struct allocator_code){.functions = functions, .bias = executable->bias};
  code->are_reached = g_new0(bool, functions->count);
  code->to_read = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  take_names(&names, memory, executable);
  bool is_known = true;
  for (guint i = 0; is_known && i < code->to_read->len; i++)
    is_known = read_function(code, g_array_index(code->to_read, uint32_t, i));
  if (is_known && code->to_read->len > 0)
    return code;
  allocator_code_free(code);
  return NULL;
}

bool allocator_code_holds(const struct allocator_code *code, uint64_t pc)
{
  uint32_t function = code != NULL ? functions_number_at(code->functions, pc) : 0;
  return code != NULL && function != code->functions->count && code->are_reached[function];
}
