/* SPDX-License-Identifier: MIT */
/* What mimalloc has besides, on top of the usual ones of own_allocator.c, which get the prefix mi_. */
#include <stddef.h>
#include <stdint.h>

void *mi_malloc(size_t size);
void mi_free(void *pointer);
void *mi_calloc(size_t count, size_t size);
void *mi_memalign(size_t alignment, size_t size);
void *mi_realloc(void *pointer, size_t size);

void *mi_zalloc(size_t size);
void *mi_zalloc(size_t size)
{
  return mi_calloc(1, size);
}

void *mi_malloc_aligned(size_t size, size_t alignment);
void *mi_malloc_aligned(size_t size, size_t alignment)
{
  return mi_memalign(alignment, size);
}

void *mi_zalloc_aligned(size_t size, size_t alignment);
void *mi_zalloc_aligned(size_t size, size_t alignment)
{
  char *pointer = mi_memalign(alignment, size);
  for (size_t i = 0; pointer != NULL && i < size; i++)
    pointer[i] = 0;
  return pointer;
}

void *mi_realloc_aligned(void *pointer, size_t size, size_t alignment);
void *mi_realloc_aligned(void *pointer, size_t size, size_t alignment)
{
  void *resized = mi_realloc(pointer, size);
  return (uintptr_t)resized % alignment == 0 ? resized : mi_realloc(resized, size);
}

void mi_free_size_aligned(void *pointer, size_t size, size_t alignment);
void mi_free_size_aligned(void *pointer, size_t size, size_t alignment)
{
  (void)size, (void)alignment;
  mi_free(pointer);
}

#ifdef TABLE
/* One that jumps to an address in a register. */
__asm__(".globl mi_cfree\n.type mi_cfree, @function\nmi_cfree:\n  lea mi_free(%rip), %rax\n  jmp *%rax\n.size "
        "mi_cfree, . - "
        "mi_cfree\n");
#endif
