/* SPDX-License-Identifier: MIT */
#include "core/build_id.h"

#include <elf.h>
#include <string.h>

static uint64_t padded(uint64_t size, uint64_t alignment)
{
  return (size + alignment - 1) & ~(alignment - 1);
}

/* What a note is known by. */
struct kind {
  char owner[4];
  uint32_t type;
};

/* Its content; NULL: there is none. */
static const uint8_t *find_note(const void *notes, size_t size, uint64_t alignment, struct kind kind,
                                uint32_t *content_bytes)
{
  const uint8_t *at = notes;
  uint64_t pad = alignment == 8 ? 8 : 4;
  Elf64_Nhdr note;
  while (size >= sizeof note) {
    memcpy(&note, at, sizeof note);
    uint64_t content = padded(sizeof note + (uint64_t)note.n_namesz, pad), end = content + note.n_descsz;
    if (end > size)
      return NULL;
    if (note.n_type == kind.type && note.n_namesz == sizeof kind.owner &&
        memcmp(at + sizeof note, kind.owner, sizeof kind.owner) == 0) {
      *content_bytes = note.n_descsz;
      return at + content;
    }
    uint64_t whole = padded(end, pad);
    if (whole >= size)
      return NULL;
    at += whole;
    size -= (size_t)whole;
  }
  return NULL;
}

bool build_id_find(const void *notes, size_t size, uint64_t alignment, struct build_id *id)
{
  uint32_t bytes = 0;
  const uint8_t *content = find_note(notes, size, alignment, (struct kind){"GNU", NT_GNU_BUILD_ID}, &bytes);
  if (content == NULL || bytes == 0 || bytes > BUILD_ID_MAX_BYTES)
    return false;
  *id = (struct build_id){.size = bytes};
  memcpy(id->bytes, content, bytes);
  return true;
}

bool build_id_is_of_go(const void *notes, size_t size, uint64_t alignment)
{
  enum { GO_BUILD_ID = 4 };
  uint32_t bytes;
  return find_note(notes, size, alignment, (struct kind){"Go\0", GO_BUILD_ID}, &bytes) != NULL;
}
