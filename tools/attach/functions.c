/* SPDX-License-Identifier: MIT */
#include "tools/attach/functions.h"

#include <dwarf.h>
#include <elf.h>
#include <string.h>

enum { FUNCTIONS_MAX = 1 << 22, CODE_BYTES_MAX = 1 << 30, TABLE_HEADER_BYTES = 12 };

void functions_free(struct functions *functions)
{
  if (functions == NULL)
    return;
  g_free(functions->all);
  g_free(functions->bytes);
  g_free(functions);
}

static bool find_segments(const struct memory *memory, const struct image *image, Elf64_Phdr *code, Elf64_Phdr *table)
{
  Elf64_Ehdr header;
  if (!memory_read(memory, image->start, &header, sizeof header))
    return false;
  for (unsigned i = 0; i < header.e_phnum; i++) {
    Elf64_Phdr segment;
    if (!memory_read(memory, image->start + header.e_phoff + i * sizeof segment, &segment, sizeof segment))
      return false;
    if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0) {
      if (code->p_memsz != 0)
        return false;
      *code = segment;
    }
    if (segment.p_type == PT_GNU_EH_FRAME)
      *table = segment;
  }
  return code->p_memsz > 0 && code->p_memsz <= CODE_BYTES_MAX && table->p_memsz >= TABLE_HEADER_BYTES;
}

/* The sorted table for the search, in the form that all linkers write. */
static bool read_starts(struct functions *functions, uint64_t table)
{
  uint8_t header[TABLE_HEADER_BYTES];
  if (!memory_read(functions->memory, table, header, sizeof header) || header[0] != 1 || header[2] != DW_EH_PE_udata4 ||
      header[3] != (DW_EH_PE_datarel | DW_EH_PE_sdata4) || (header[1] & 0x0f) != DW_EH_PE_sdata4)
    return false;
  memcpy(&functions->count, header + 8, sizeof functions->count);
  if (functions->count == 0 || functions->count > FUNCTIONS_MAX)
    return false;
  g_autofree int32_t *pairs = g_new(int32_t, 2 * (size_t)functions->count);
  if (!memory_read(functions->memory, table + sizeof header, pairs, 2 * sizeof *pairs * functions->count))
    return false;
  functions->all = g_new(struct function, functions->count);
  for (uint32_t i = 0; i < functions->count; i++) {
    uint64_t start = table + (uint64_t)(int64_t)pairs[2 * (size_t)i];
    uint64_t entry = table + (uint64_t)(int64_t)pairs[2 * (size_t)i + 1];
    functions->all[i] = (struct function){start, entry};
    if (i > 0 && start < functions->all[i - 1].start)
      return false;
  }
  return true;
}

struct functions *functions_read(const struct memory *memory, const struct image *image)
{
  Elf64_Phdr segment = {.p_memsz = 0}, table = {.p_memsz = 0};
  if (!find_segments(memory, image, &segment, &table))
    return NULL;
  struct functions *functions = g_new0(struct functions, 1);
  functions->memory = memory;
  functions->code_start = image->bias + segment.p_vaddr;
  functions->code_limit = functions->code_start + segment.p_filesz;
  functions->bytes = g_malloc(segment.p_filesz);
  if (memory_read(memory, functions->code_start, functions->bytes, segment.p_filesz) &&
      read_starts(functions, image->bias + table.p_vaddr))
    return functions;
  functions_free(functions);
  return NULL;
}

uint32_t functions_number_at(const struct functions *functions, uint64_t address)
{
  uint32_t low = 0, high = functions_are_at(functions, address) ? functions->count : 0;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (functions->all[middle].start <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low > 0 ? low - 1 : functions->count;
}

/* Length, place of the common part, start, bytes. */
uint64_t functions_end_of(const struct functions *functions, uint32_t number)
{
  const struct function *function = &functions->all[number];
  uint32_t entry[4];
  if (!memory_read(functions->memory, function->table_entry, entry, sizeof entry) || entry[0] == UINT32_MAX ||
      entry[3] == 0 || entry[3] > functions->code_limit - function->start)
    return 0;
  return function->start + entry[3];
}
