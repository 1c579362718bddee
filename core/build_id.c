/* SPDX-License-Identifier: MIT */
#include "core/build_id.h"

#include <elf.h>
#include <string.h>

static uint64_t padded(uint64_t size, uint64_t alignment)
{
  return (size + alignment - 1) & ~(alignment - 1);
}

static bool is_build_id(const Elf64_Nhdr *note, const uint8_t *name)
{
  return note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof "GNU" && memcmp(name, "GNU", sizeof "GNU") == 0 &&
         note->n_descsz > 0 && note->n_descsz <= BUILD_ID_MAX_BYTES;
}

bool build_id_find(const void *notes, size_t size, uint64_t alignment, struct build_id *id)
{
  const uint8_t *at = notes;
  uint64_t pad = alignment == 8 ? 8 : 4;
  Elf64_Nhdr note;
  while (size >= sizeof note) {
    memcpy(&note, at, sizeof note);
    uint64_t content = padded(sizeof note + (uint64_t)note.n_namesz, pad), end = content + note.n_descsz;
    if (end > size)
      return false;
    if (is_build_id(&note, at + sizeof note)) {
      *id = (struct build_id){.size = note.n_descsz};
      memcpy(id->bytes, at + content, note.n_descsz);
      return true;
    }
    uint64_t whole = padded(end, pad);
    if (whole >= size)
      return false;
    at += whole;
    size -= (size_t)whole;
  }
  return false;
}
