/* SPDX-License-Identifier: MIT */
#include "tools/state/linked_program.h"

#include "core/linked_note.h"

#include <elf.h>
#include <fcntl.h>
#include <glib.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

enum { SEGMENTS_MAX = 64, NOTES_BYTES_MAX = 64 << 10 };

static bool read_at(int fd, void *bytes, size_t size, uint64_t offset)
{
  return offset <= INT64_MAX && pread(fd, bytes, size, (off_t)offset) == (ssize_t)size;
}

static bool is_ours(const ElfW(Nhdr) * note, const char *name)
{
  return note->n_type == LINKED_NOTE_TYPE && note->n_namesz == sizeof LINKED_NOTE_NAME &&
         memcmp(name, LINKED_NOTE_NAME, sizeof LINKED_NOTE_NAME) == 0;
}

/* A note is its header, a name and a descriptor, the last two in whole words. */
static bool has_note(const char *bytes, size_t size)
{
  ElfW(Nhdr) note;
  for (size_t at = 0; size - at >= sizeof note;) {
    memcpy(&note, bytes + at, sizeof note);
    at += sizeof note;
    uint64_t name_bytes = ((uint64_t)note.n_namesz + 3) & ~UINT64_C(3),
             rest_bytes = ((uint64_t)note.n_descsz + 3) & ~UINT64_C(3);
    if (name_bytes + rest_bytes > size - at)
      return false;
    if (is_ours(&note, bytes + at))
      return true;
    at += name_bytes + rest_bytes;
  }
  return false;
}

static bool has_note_in(int fd, const ElfW(Phdr) * segment)
{
  size_t size = MIN(segment->p_filesz, NOTES_BYTES_MAX);
  g_autofree char *bytes = g_malloc(size + 1);
  return segment->p_type == PT_NOTE && read_at(fd, bytes, size, segment->p_offset) && has_note(bytes, size);
}

static bool is_linked(int fd)
{
  ElfW(Ehdr) header;
  ElfW(Phdr) segment;
  if (!read_at(fd, &header, sizeof header, 0) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_phentsize != sizeof segment)
    return false;
  for (unsigned i = 0; i < MIN(header.e_phnum, SEGMENTS_MAX); i++)
    if (read_at(fd, &segment, sizeof segment, header.e_phoff + i * sizeof segment) && has_note_in(fd, &segment))
      return true;
  return false;
}

bool linked_program_is(int pid)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/exe", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  bool result = fd >= 0 && is_linked(fd);
  if (fd >= 0)
    (void)close(fd);
  return result;
}
