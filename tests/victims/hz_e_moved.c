/* SPDX-License-Identifier: MIT */
/* memory | file: all of the program's code moves to anonymous memory at the same address, as for huge pages, copied from memory or
 * read again from its file. Allocates before and after. */
#include "hz_victim.h"
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>

static struct code {
  uintptr_t start;
  size_t bytes;
  off_t offset;
} code;

static int find_code(struct dl_phdr_info *info, size_t size, void *unused)
{
  (void)size, (void)unused;
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
      code.start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
      code.bytes = info->dlpi_phdr[i].p_filesz;
      code.offset = (off_t)info->dlpi_phdr[i].p_offset;
    }
  return 1; /* the program comes first */
}

static void move_code(int is_from_file)
{
  size_t bytes = (code.bytes + 4095) & ~(size_t)4095;
  void *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(copy != MAP_FAILED);
  if (is_from_file) {
    int file = open("/proc/self/exe", O_RDONLY);
    REQUIRE(pread(file, copy, code.bytes, code.offset) == (ssize_t)code.bytes && close(file) == 0);
  } else {
    memcpy(copy, (void *)code.start, code.bytes);
  }
  REQUIRE(mprotect(copy, bytes, PROT_READ | PROT_EXEC) == 0);
  REQUIRE(mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)code.start) == (void *)code.start);
}

VICTIM void victim_work(void)
{
  for (size_t i = 0; i < 1000; i++) {
    void *pointer = shadow_add(malloc(i), i), *array = shadow_add(calloc(2, i), 2 * i);
    REQUIRE(pointer != NULL && array != NULL);
    shadow_remove(i);
    free(pointer);
    if (i % 2 == 0)
      continue;
    shadow_remove(2 * i);
    free(array);
  }
}

int main(int argc, char **argv)
{
  (void)dl_iterate_phdr(find_code, NULL);
  REQUIRE(argc > 1 && code.bytes > 0);
  victim_work();
  move_code(strcmp(argv[1], "file") == 0);
  victim_work();
  shadow_print();
  return 0;
}
