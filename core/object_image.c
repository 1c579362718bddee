/* SPDX-License-Identifier: MIT */
#include "core/object_image.h"

#include "core/compiler.h"
#include "core/libc.h"
#include "core/region_format.h"
#include "core/sys.h"

#include <elf.h>
#include <string.h>
#include <sys/auxv.h>

/* The program headers, through the ELF header at the start of the mapping. */
static bool read_headers(uintptr_t start, struct object_image *image)
{
  const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)start;
  if (start % OBJECT_PAGE_BYTES != 0 || !sys_is_readable(start) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_phentsize != sizeof(ElfW(Phdr)) ||
      header->e_phoff + header->e_phnum * sizeof(ElfW(Phdr)) > OBJECT_PAGE_BYTES)
    return false;
  image->headers = (const ElfW(Phdr) *)(start + header->e_phoff);
  image->count = header->e_phnum;
  for (unsigned i = 0; i < image->count; i++)
    if (image->headers[i].p_type == PT_LOAD && image->headers[i].p_offset == 0) {
      image->bias = start - image->headers[i].p_vaddr;
      return true;
    }
  return false;
}

/* An object as the loader reports it begins with the ELF header. For an executable with gaps between its segments it
 * reports single segments. */
static uintptr_t find_start(const struct dl_find_object *object, struct object_image *image)
{
  const struct link_map *map = object->dlfo_link_map;
  bool is_main = map->l_name != NULL && map->l_name[0] == '\0';
  const uintptr_t candidates[] = {(uintptr_t)object->dlfo_map_start, map->l_addr,
                                  is_main ? object_page_down(getauxval(AT_PHDR)) : 0};
  for (size_t i = 0; i < COUNT_OF(candidates); i++)
    if (candidates[i] != 0 && read_headers(candidates[i], image))
      return candidates[i];
  return 0;
}

bool object_image_open(const struct dl_find_object *object, struct object_image *image)
{
  uintptr_t start = find_start(object, image);
  image->range = (struct address_range){start, start};
  if (start == 0)
    return false;
  for (unsigned i = 0; i < image->count; i++) {
    const ElfW(Phdr) *segment = &image->headers[i];
    uintptr_t high = object_page_up(image->bias + segment->p_vaddr + segment->p_memsz);
    if (segment->p_type == PT_LOAD && high > image->range.high)
      image->range.high = high;
  }
  return true;
}

uintptr_t object_image_entry(const struct object_image *image)
{
  const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)image->range.low;
  return header->e_entry != 0 ? image->bias + header->e_entry : 0;
}

struct address_range object_image_readable(const struct object_image *image, unsigned segment)
{
  const ElfW(Phdr) *header = &image->headers[segment];
  uintptr_t low = image->bias + header->p_vaddr;
  if (header->p_type != PT_LOAD || (header->p_flags & PF_R) == 0)
    return (struct address_range){0, 0};
  return (struct address_range){low, low + header->p_filesz};
}

static bool is_readable(const struct object_image *image, uintptr_t address, size_t size)
{
  for (unsigned i = 0; i < image->count; i++) {
    struct address_range range = object_image_readable(image, i);
    if (address >= range.low && address <= range.high && size <= range.high - address)
      return true;
  }
  return false;
}

struct build_id object_image_build_id(const struct object_image *image)
{
  struct build_id id = {.size = 0};
  for (unsigned i = 0; i < image->count && id.size == 0; i++) {
    const ElfW(Phdr) *notes = &image->headers[i];
    uintptr_t address = image->bias + notes->p_vaddr;
    if (notes->p_type == PT_NOTE && is_readable(image, address, notes->p_filesz))
      (void)build_id_find((const void *)address, notes->p_filesz, notes->p_align, &id);
  }
  return id;
}

bool object_image_keeps_frames(const struct object_image *image)
{
  for (unsigned i = 0; i < image->count; i++) {
    const ElfW(Phdr) *notes = &image->headers[i];
    uintptr_t address = image->bias + notes->p_vaddr;
    if (notes->p_type == PT_NOTE && is_readable(image, address, notes->p_filesz) &&
        build_id_is_of_go((const void *)address, notes->p_filesz, notes->p_align))
      return true;
  }
  return false;
}

/* Without a build id: how the file begins, its headers and the first of its symbols. */
static uint64_t hash_beginning(const struct object_image *image)
{
  enum { BEGINNING_BYTES = 16 << 10 };
  for (unsigned i = 0; i < image->count; i++) {
    struct address_range range = object_image_readable(image, i);
    if (range.low != image->range.low || range.high == range.low || (image->headers[i].p_flags & PF_W) != 0)
      continue;
    size_t size = range.high - range.low < BEGINNING_BYTES ? range.high - range.low : BEGINNING_BYTES;
    return region_hash_words((const uint64_t *)range.low, size / sizeof(uint64_t));
  }
  return region_hash_words((const uint64_t *)image->headers, image->count * sizeof *image->headers / sizeof(uint64_t));
}

uint64_t object_image_fingerprint(const struct object_image *image, const struct build_id *id)
{
  uint64_t words[1 + BUILD_ID_MAX_BYTES / sizeof(uint64_t)] = {image->range.high - image->range.low};
  if (id->size == 0)
    return hash_beginning(image);
  memcpy(&words[1], id->bytes, sizeof id->bytes);
  return region_hash_words(words, COUNT_OF(words));
}
