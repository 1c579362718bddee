/* SPDX-License-Identifier: MIT */
#include "interpose/patch/symbol_file.h"

#include "core/descriptor.h"
#include "core/elfsym.h"
#include "core/sys.h"

#include <string.h>

enum { CHUNK_BYTES = 64 << 10 };

struct symbol_file {
  int fd;
  Elf64_Shdr symbols, strings;
  char *chunk;
};

/* A name may lie across the end of a chunk: its last bytes begin the next one. */
static bool has_ending(const struct symbol_file *file, const char *ending)
{
  size_t size = strlen(ending) + 1, kept = 0;
  for (uint64_t at = 0; at < file->strings.sh_size;) {
    long got = sys_pread(file->fd, file->chunk + kept, CHUNK_BYTES - kept, file->strings.sh_offset + at);
    if (got <= 0)
      return false;
    const char *from = file->chunk, *end = file->chunk + kept + got, *zero;
    for (; (zero = memchr(from, '\0', (size_t)(end - from))) != NULL; from = zero + 1)
      if ((size_t)(zero - file->chunk) + 1 >= size && memcmp(zero + 1 - size, ending, size) == 0)
        return true;
    at += (uint64_t)got;
    kept = (size_t)(end - file->chunk) < size ? (size_t)(end - file->chunk) : size;
    memmove(file->chunk, end - kept, kept);
  }
  return false;
}

static bool read_all(int fd, char *bytes, size_t size, uint64_t offset)
{
  for (size_t done = 0; done < size;) {
    long got = sys_pread(fd, bytes + done, size - done, offset + done);
    if (got <= 0)
      return false;
    done += (size_t)got;
  }
  return true;
}

static bool is_function(const struct symbol_file *file, const Elf64_Sym *symbol)
{
  unsigned type = ELF64_ST_TYPE(symbol->st_info);
  return (type == STT_FUNC || type == STT_GNU_IFUNC) && symbol->st_shndx != SHN_UNDEF &&
         symbol->st_name < file->strings.sh_size;
}

static bool visit_all(const struct symbol_file *file, const char *names, symbol_visitor *visit, void *argument)
{
  uint64_t count = file->symbols.sh_size / sizeof(Elf64_Sym), at_once = CHUNK_BYTES / sizeof(Elf64_Sym);
  for (uint64_t first = 0; first < count; first += at_once) {
    uint64_t now = count - first < at_once ? count - first : at_once;
    if (!read_all(file->fd, file->chunk, now * sizeof(Elf64_Sym), file->symbols.sh_offset + first * sizeof(Elf64_Sym)))
      return false;
    const Elf64_Sym *symbols = (const Elf64_Sym *)(const void *)file->chunk;
    for (uint64_t i = 0; i < now; i++)
      if (is_function(file, &symbols[i]))
        visit(names + symbols[i].st_name, &symbols[i], argument);
  }
  return true;
}

/* One byte more, so that the last name ends. */
static bool visit_with_names(const struct symbol_file *file, symbol_visitor *visit, void *argument)
{
  size_t size = file->strings.sh_size;
  char *names = sys_map_anonymous(size + 1);
  if (names == NULL)
    return false;
  bool is_read = read_all(file->fd, names, size, file->strings.sh_offset) && visit_all(file, names, visit, argument);
  (void)sys_munmap(names, size + 1);
  return is_read;
}

static bool visit_if_wanted(struct symbol_file *file, const char *ending, symbol_visitor *visit, void *argument)
{
  if (!elfsym_find_full(file->fd, &file->symbols, &file->strings) || file->strings.sh_size > SYMBOL_FILE_BYTES_MAX ||
      file->symbols.sh_size > 4ul * SYMBOL_FILE_BYTES_MAX)
    return false;
  file->chunk = sys_map_anonymous(CHUNK_BYTES);
  if (file->chunk == NULL)
    return false;
  bool is_visited = has_ending(file, ending) && visit_with_names(file, visit, argument);
  (void)sys_munmap(file->chunk, CHUNK_BYTES);
  return is_visited;
}

bool symbol_file_each(const char *path, const char *ending, symbol_visitor *visit, void *argument)
{
  struct symbol_file file = {.fd = descriptor_open(path, O_RDONLY | O_NONBLOCK, 0)};
  if (file.fd < 0)
    return false;
  bool is_visited = visit_if_wanted(&file, ending, visit, argument);
  (void)sys_close(file.fd);
  return is_visited;
}
