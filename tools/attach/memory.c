/* SPDX-License-Identifier: MIT */
#include "tools/attach/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void clear_mapping(void *mapping)
{
  g_free(((struct memory_mapping *)mapping)->path);
}

struct memory *memory_open(int pid)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/mem", pid);
  struct memory *memory = g_new0(struct memory, 1);
  memory->pid = pid;
  memory->mappings = g_array_new(FALSE, TRUE, sizeof(struct memory_mapping));
  g_array_set_clear_func(memory->mappings, clear_mapping);
  memory->descriptor = open(path, O_RDWR | O_CLOEXEC);
  if (memory->descriptor >= 0 && memory_refresh(memory))
    return memory;
  int number = errno;
  memory_close(memory);
  errno = number;
  return NULL;
}

void memory_close(struct memory *memory)
{
  if (memory == NULL)
    return;
  if (memory->descriptor >= 0)
    close(memory->descriptor);
  g_array_free(memory->mappings, TRUE);
  g_free(memory);
}

static bool read_mapping(const char *line, struct memory_mapping *mapping)
{
  char access[5];
  int path_at = 0;
  if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &mapping->start, &mapping->limit, access,
             &mapping->offset, &path_at) != 4)
    return false;
  mapping->is_readable = access[0] == 'r';
  mapping->is_writable = access[1] == 'w';
  mapping->is_executable = access[2] == 'x';
  mapping->is_private = access[3] == 'p';
  mapping->path = g_strdup(path_at > 0 ? line + path_at : "");
  return true;
}

bool memory_refresh(struct memory *memory)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/maps", memory->pid), *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL))
    return false;
  g_array_set_size(memory->mappings, 0);
  for (char *line = text, *next; *line != '\0'; line = next) {
    next = line + strcspn(line, "\n");
    if (*next != '\0')
      *next++ = '\0';
    struct memory_mapping mapping;
    if (read_mapping(line, &mapping))
      g_array_append_val(memory->mappings, mapping);
  }
  return memory->mappings->len > 0;
}

bool memory_read(const struct memory *memory, uint64_t address, void *bytes, size_t size)
{
  return pread(memory->descriptor, bytes, size, (off_t)address) == (ssize_t)size;
}

bool memory_write(const struct memory *memory, uint64_t address, const void *bytes, size_t size)
{
  return pwrite(memory->descriptor, bytes, size, (off_t)address) == (ssize_t)size;
}

bool memory_read_text(const struct memory *memory, uint64_t address, char *text, size_t size)
{
  for (size_t i = 0; i < size; i++)
    if (!memory_read(memory, address + i, &text[i], 1))
      return false;
    else if (text[i] == '\0')
      return true;
  return false;
}

const struct memory_mapping *memory_mapping_at(const struct memory *memory, uint64_t address)
{
  for (guint i = 0; i < memory->mappings->len; i++) {
    const struct memory_mapping *mapping = &g_array_index(memory->mappings, struct memory_mapping, i);
    if (address >= mapping->start && address < mapping->limit)
      return mapping;
  }
  return NULL;
}

bool memory_is_named(const struct memory_mapping *mapping, const char *name)
{
  const char *base = strrchr(mapping->path, '/');
  const char *own = strncmp(mapping->path, "/memfd:", 7) == 0 ? mapping->path + 7 : base != NULL ? base + 1 : "";
  return strncmp(own, name, strlen(name)) == 0;
}

/* A file that is mapped as data has no code; what lies between belongs to others. */
const struct memory_mapping *memory_start_of(const struct memory *memory, const struct memory_mapping *code)
{
  const struct memory_mapping *first = &g_array_index(memory->mappings, struct memory_mapping, 0);
  for (const struct memory_mapping *mapping = code; mapping >= first; mapping--)
    if (strcmp(mapping->path, code->path) == 0 && mapping->offset == 0)
      return mapping;
  return NULL;
}

const struct memory_mapping *memory_find_file(const struct memory *memory, const char *name, bool *is_alone)
{
  const struct memory_mapping *found = NULL;
  *is_alone = true;
  for (guint i = 0; i < memory->mappings->len; i++) {
    const struct memory_mapping *mapping = &g_array_index(memory->mappings, struct memory_mapping, i);
    if (!mapping->is_executable || !memory_is_named(mapping, name))
      continue;
    const struct memory_mapping *start = memory_start_of(memory, mapping);
    *is_alone = *is_alone && (found == NULL || found == start);
    found = found == NULL ? start : found;
  }
  return found;
}
