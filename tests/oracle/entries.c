/* SPDX-License-Identifier: MIT */
/* entries FILE...: every instruction of every function that the symbols of these ELF files tell of, as we read it and as Zydis does; and
 * every entry that we would change, with what is moved read again. Ends with 1 if there is a difference; the last line counts. */
#include "core/arch/entry.h"
#include "core/arch/instruction.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct image {
  const char *path;
  const uint8_t *bytes;
  size_t size;
  const Elf64_Sym *symbols;
  size_t symbol_count;
  bool *is_within; /* a change that would be made, by place in the file; not its first byte */
};

static struct {
  unsigned long objects, functions, instructions, unknown, changed, padded, entered, differences;
} counts;

static ZydisDecoder decoder;

static void differs(const struct image *image, const uint8_t *code, const char *what)
{
  counts.differences++;
  printf("%s: file offset %#zx: %s:", image->path, (size_t)(code - image->bytes), what);
  for (int i = 0; i < 15 && code + i < image->bytes + image->size; i++)
    printf(" %02x", code[i]);
  puts("");
}

static bool is_read(const uint8_t *code, size_t size, ZydisDecodedInstruction *read)
{
  return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, size, read));
}

static unsigned relative_at(const ZydisDecodedInstruction *read)
{
  if ((read->attributes & ZYDIS_ATTRIB_IS_RELATIVE) == 0)
    return 0;
  return read->raw.imm[0].is_relative ? read->raw.imm[0].offset : read->raw.disp.offset;
}

static int64_t distance_of(const ZydisDecodedInstruction *read)
{
  return read->raw.imm[0].is_relative ? read->raw.imm[0].value.s : read->raw.disp.value;
}

static bool is_same_kind(const ZydisDecodedInstruction *theirs, enum instruction_kind ours)
{
  bool has_target = theirs->raw.imm[0].is_relative;
  switch (theirs->meta.category) {
  case ZYDIS_CATEGORY_CALL: return ours == (has_target ? INSTRUCTION_CALL : INSTRUCTION_CALL_COMPUTED);
  case ZYDIS_CATEGORY_COND_BR: return ours == INSTRUCTION_BRANCH;
  case ZYDIS_CATEGORY_UNCOND_BR:
    return ours == INSTRUCTION_JUMP ? has_target
                                    : ours == INSTRUCTION_JUMP_BY_SLOT || ours == INSTRUCTION_JUMP_COMPUTED;
  default: break;
  }
  bool is_end = theirs->meta.category == ZYDIS_CATEGORY_RET || theirs->mnemonic == ZYDIS_MNEMONIC_HLT ||
                theirs->mnemonic == ZYDIS_MNEMONIC_INT3 || theirs->mnemonic == ZYDIS_MNEMONIC_UD2;
  return ours == (is_end ? INSTRUCTION_END : INSTRUCTION_GOES_ON);
}

static void compare_instructions(const struct image *image, const uint8_t *function, size_t size)
{
  ZydisDecodedInstruction theirs;
  for (size_t at = 0; at < size && is_read(function + at, size - at, &theirs); at += theirs.length) {
    struct instruction ours;
    counts.instructions++;
    if (!instruction_read(function + at, size - at, &ours)) {
      counts.unknown++;
      continue;
    }
    if (ours.bytes != theirs.length)
      differs(image, function + at, "another length");
    else if (ours.distance_at != relative_at(&theirs))
      differs(image, function + at, "another place of the distance");
    else if (ours.distance_bytes > 0 && ours.distance != distance_of(&theirs))
      differs(image, function + at, "another distance");
    else if (!is_same_kind(&theirs, ours.kind))
      differs(image, function + at, "another kind");
  }
}

/* Where an instruction goes, or what it addresses; 0: nothing of it depends on its place. */
static uint64_t target_of(const ZydisDecodedInstruction *read, uint64_t address)
{
  return relative_at(read) == 0 ? 0 : address + read->length + (uint64_t)distance_of(read);
}

/* `code` runs at `address`. */
struct place {
  const uint8_t *code;
  uint64_t address;
};

static bool take(struct place *place, ZydisDecodedInstruction *read)
{
  bool is_taken = is_read(place->code, 15, read);
  place->code += is_taken ? read->length : 0;
  place->address += is_taken ? read->length : 0;
  return is_taken;
}

static bool goes_to(struct place *place, ZydisMnemonic mnemonic, uint64_t target)
{
  ZydisDecodedInstruction read;
  uint64_t address = place->address;
  return take(place, &read) && read.mnemonic == mnemonic && target_of(&read, address) == target;
}

static bool is_same_but_distance(const ZydisDecodedInstruction *old, const uint8_t *old_code,
                                 const ZydisDecodedInstruction *new, const uint8_t *new_code)
{
  unsigned at = relative_at(old);
  if (old->mnemonic != new->mnemonic)
    return false;
  if (old->length != new->length) /* a short branch became a near one */
    return old->raw.imm[0].is_relative && old->raw.imm[0].size == 8 && new->raw.imm[0].size == 32;
  for (unsigned i = 0; i < old->length; i++)
    if (old_code[i] != new_code[i] && (at == 0 || i < at || i >= at + 4))
      return false;
  return true;
}

/* The moved instructions, one by one, and then back to behind the change; `size` of the function, which may end before
 * that. */
static const char *check_room(const struct entry *entry, size_t size, struct place room)
{
  uint64_t start = room.address;
  const uint8_t *room_bytes = room.code;
  struct place old = {entry->function + entry->changed_at, (uintptr_t)entry->function + entry->changed_at};
  uint64_t end = old.address + entry->changed_bytes;
  while (old.address < end) {
    ZydisDecodedInstruction theirs, moved;
    struct place old_start = old, room_start = room;
    if (!take(&old, &theirs))
      return "what was moved cannot be read";
    uint64_t target = target_of(&theirs, old_start.address);
    if (theirs.meta.category == ZYDIS_CATEGORY_CALL) {
      uint64_t slot = start + 40, returns_to;
      memcpy(&returns_to, room_bytes + 40, sizeof returns_to);
      bool is_right = goes_to(&room, ZYDIS_MNEMONIC_PUSH, slot) && returns_to == old.address && old.address == end &&
                      goes_to(&room, ZYDIS_MNEMONIC_JMP, target);
      return is_right ? NULL : "a call is moved wrongly";
    }
    if (!take(&room, &moved) || !is_same_but_distance(&theirs, old_start.code, &moved, room_start.code) ||
        target_of(&moved, room_start.address) != target)
      return "an instruction is moved wrongly";
    if (theirs.meta.category == ZYDIS_CATEGORY_UNCOND_BR || theirs.meta.category == ZYDIS_CATEGORY_RET)
      return old.address == end || old.code == entry->function + size ? NULL : "something is moved behind the end";
  }
  return old.address == end && goes_to(&room, ZYDIS_MNEMONIC_JMP, end) ? NULL : "it does not go back";
}

static const char *check_changed(const struct entry *entry, const uint8_t *changed, const uint8_t *room,
                                 uint64_t room_address, const void *hook)
{
  ZydisDecodedInstruction jump, stub;
  uint64_t address = (uintptr_t)entry->function + entry->changed_at, slot;
  if (!is_read(changed, entry->changed_bytes, &jump) || jump.mnemonic != ZYDIS_MNEMONIC_JMP)
    return "the entry does not jump";
  slot = target_of(&jump, address);
  if (jump.raw.imm[0].is_relative) {
    if (slot - room_address >= ENTRY_ROOM_BYTES || !is_read(room + (slot - room_address), 8, &stub) ||
        stub.mnemonic != ZYDIS_MNEMONIC_JMP)
      return "the entry jumps to nowhere";
    slot = target_of(&stub, slot);
  }
  if (slot - room_address > ENTRY_ROOM_BYTES - sizeof hook)
    return "the hook is looked for elsewhere";
  return memcmp(room + (slot - room_address), &hook, sizeof hook) == 0 ? NULL : "another hook";
}

/* Nothing but what aligns, and no other function begins there. */
static bool is_padding(const struct image *image, const struct entry *entry, const Elf64_Sym *symbol)
{
  ZydisDecodedInstruction read;
  uint64_t end = symbol->st_value + entry->changed_at + entry->changed_bytes;
  for (uint64_t at = symbol->st_size; at < entry->changed_at + (uint64_t)entry->changed_bytes; at += read.length)
    if (!is_read(entry->function + at, 15, &read) ||
        (read.mnemonic != ZYDIS_MNEMONIC_NOP && read.mnemonic != ZYDIS_MNEMONIC_INT3))
      return false;
  for (size_t i = 0; i < image->symbol_count; i++)
    if (image->symbols[i].st_value >= symbol->st_value + symbol->st_size && image->symbols[i].st_value < end &&
        ELF64_ST_TYPE(image->symbols[i].st_info) == STT_FUNC)
      return false;
  return true;
}

static void compare_entry(const struct image *image, const struct entry_text *text, const uint8_t *function,
                          const Elf64_Sym *symbol)
{
  size_t size = symbol->st_size;
  struct entry entry;
  uint8_t room[ENTRY_ROOM_BYTES + 16] = {0}, changed[ENTRY_CHANGED_MAX];
  uint64_t address = (uintptr_t)text->code - (1 << 20);
  if (entry_read(&entry, text, function, size) != NULL)
    return;
  counts.changed++;
  if (!entry_move(&entry, room, room, address, changed)) {
    differs(image, function, "too far, which it is not");
    return;
  }
  const char *what = check_room(&entry, size, (struct place){room, address});
  what = what == NULL ? check_changed(&entry, changed, room, address, room) : what;
  if (what != NULL)
    differs(image, function, what);
  memset(image->is_within + (function - image->bytes) + entry.changed_at + 1, true, entry.changed_bytes - 1);
  bool is_longer = entry.changed_at + (size_t)entry.changed_bytes > size;
  counts.padded += is_longer;
  if (is_longer && !is_padding(image, &entry, symbol))
    differs(image, function, "more is changed than the function has");
}

static bool find_text(const struct image *image, uint64_t address, struct entry_text *text)
{
  const Elf64_Ehdr *header = (const void *)image->bytes;
  const Elf64_Phdr *segments = (const void *)(image->bytes + header->e_phoff);
  for (unsigned i = 0; i < header->e_phnum; i++)
    if (segments[i].p_type == PT_LOAD && (segments[i].p_flags & PF_X) != 0 &&
        address - segments[i].p_vaddr < segments[i].p_filesz &&
        segments[i].p_offset + segments[i].p_filesz <= image->size) {
      *text = (struct entry_text){.code = image->bytes + segments[i].p_offset, .bytes = segments[i].p_filesz};
      return true;
    }
  return false;
}

typedef void visitor(const struct image *image, const uint8_t *function, const Elf64_Sym *symbol);

/* No function of the object, nor what is called from there, goes into the middle of another's change. */
static void count_entered(const struct image *image, const uint8_t *function, const Elf64_Sym *symbol)
{
  ZydisDecodedInstruction read;
  for (size_t at = 0; at < symbol->st_size && is_read(function + at, symbol->st_size - at, &read); at += read.length) {
    bool is_branch = relative_at(&read) != 0 && read.raw.imm[0].is_relative;
    uint64_t target = (uint64_t)(function - image->bytes) + at + read.length + (uint64_t)distance_of(&read);
    if (is_branch && target < image->size && image->is_within[target]) {
      counts.entered++;
      printf("%s: file offset %#zx: goes into a change\n", image->path, (size_t)(function - image->bytes) + at);
    }
  }
}

static void compare_function(const struct image *image, const uint8_t *function, const Elf64_Sym *symbol)
{
  struct entry_text text;
  counts.functions++;
  compare_instructions(image, function, symbol->st_size);
  if (find_text(image, symbol->st_value, &text))
    compare_entry(image, &text, function, symbol);
}

static void visit_function(const struct image *image, const Elf64_Sym *symbol, visitor *visit)
{
  const Elf64_Ehdr *header = (const void *)image->bytes;
  const Elf64_Shdr *sections = (const void *)(image->bytes + header->e_shoff);
  if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_size == 0 || symbol->st_shndx == SHN_UNDEF ||
      symbol->st_shndx >= header->e_shnum)
    return;
  const Elf64_Shdr *section = &sections[symbol->st_shndx];
  uint64_t offset = symbol->st_value - section->sh_addr;
  if (section->sh_type != SHT_PROGBITS || offset >= section->sh_size || symbol->st_size > section->sh_size - offset)
    return;
  visit(image, image->bytes + section->sh_offset + offset, symbol);
}

static void compare_image(struct image *image)
{
  const Elf64_Ehdr *header = (const void *)image->bytes;
  if (image->size < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 || header->e_shoff == 0)
    return;
  const Elf64_Shdr *sections = (const void *)(image->bytes + header->e_shoff), *table = NULL;
  for (unsigned i = 0; i < header->e_shnum; i++)
    if (sections[i].sh_type == SHT_SYMTAB || (sections[i].sh_type == SHT_DYNSYM && table == NULL))
      table = &sections[i];
  counts.objects += table != NULL;
  const Elf64_Sym *symbols = table != NULL ? (const void *)(image->bytes + table->sh_offset) : NULL;
  image->symbols = symbols;
  image->symbol_count = table != NULL ? table->sh_size / sizeof *symbols : 0;
  image->is_within = calloc(image->size + ENTRY_CHANGED_MAX, 1);
  for (size_t i = 0; image->is_within != NULL && i < image->symbol_count; i++)
    visit_function(image, &symbols[i], compare_function);
  for (size_t i = 0; image->is_within != NULL && i < image->symbol_count; i++)
    visit_function(image, &symbols[i], count_entered);
  free(image->is_within);
}

static void compare_file(const char *path)
{
  struct stat status;
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0 || fstat(descriptor, &status) != 0 || status.st_size == 0)
    return;
  void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  close(descriptor);
  if (bytes == MAP_FAILED)
    return;
  compare_image(&(struct image){.path = path, .bytes = bytes, .size = (size_t)status.st_size});
  munmap(bytes, (size_t)status.st_size);
}

int main(int argc, char **argv)
{
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  for (int i = 1; i < argc; i++)
    compare_file(argv[i]);
  printf("objects %lu functions %lu instructions %lu unknown %lu changed %lu padded %lu entered %lu differences %lu\n",
         counts.objects, counts.functions, counts.instructions, counts.unknown, counts.changed, counts.padded,
         counts.entered, counts.differences);
  return counts.differences > 0;
}
