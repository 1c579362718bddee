/* SPDX-License-Identifier: MIT */
/* E4: is the code of this program, which has an allocator of its own, what its file says? Also that code is never writable. */
#define _GNU_SOURCE
#include "hz_victim.h"

#include <fcntl.h>
#include <link.h>

enum { CHUNK = 4096 };

static bool is_as_in_file(const char *code, off_t offset, size_t bytes)
{
  char chunk[CHUNK];
  int file = open("/proc/self/exe", O_RDONLY);
  REQUIRE(file >= 0);
  bool is_same = true;
  for (size_t done = 0; done < bytes && is_same; done += CHUNK) {
    size_t size = bytes - done < CHUNK ? bytes - done : CHUNK;
    REQUIRE(pread(file, chunk, size, offset + (off_t)done) == (ssize_t)size);
    is_same = memcmp(chunk, code + done, size) == 0;
  }
  close(file);
  return is_same;
}

static int look(struct dl_phdr_info *info, size_t size, void *is_same)
{
  (void)size;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0)
      *(bool *)is_same =
          is_as_in_file((const char *)info->dlpi_addr + segment->p_vaddr, (off_t)segment->p_offset, segment->p_filesz);
  }
  return 1; /* the program is the first */
}

static bool has_writable_code(void)
{
  char line[512];
  bool is_found = false;
  FILE *maps = fopen("/proc/self/maps", "r");
  REQUIRE(maps != NULL);
  while (fgets(line, sizeof line, maps) != NULL)
    is_found = is_found || strstr(line, " rwx") != NULL || strstr(line, " -wx") != NULL;
  fclose(maps);
  return is_found;
}

int main(void)
{
  bool is_same = false;
  hz_alarm(10);
  for (int i = 0; i < 1000; i++)
    hz_churn(i % 20, 100);
  dl_iterate_phdr(look, &is_same);
  printf("%s, %s\n", is_same ? "as in the file" : "changed", has_writable_code() ? "writable" : "not writable");
  return 0;
}
