/* SPDX-License-Identifier: MIT */
/* What mimalloc has besides, on top of the usual ones of own_allocator.c, which get the prefix mi_. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

void *mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset);
void *mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset)
{
  char *pointer = mi_memalign(alignment, size + alignment);
  return pointer != NULL ? pointer + alignment - offset % alignment : NULL; /* not to be freed: it has no header */
}

void *mi_mallocn(size_t count, size_t size);
void *mi_mallocn(size_t count, size_t size)
{
  size_t bytes;
  return __builtin_mul_overflow(count, size, &bytes) ? NULL : mi_malloc(bytes);
}

char *mi_strdup(const char *string);
char *mi_strdup(const char *string)
{
  char *copy = mi_malloc(strlen(string) + 1);
  return copy != NULL ? strcpy(copy, string) : NULL;
}

void *mi_reallocf(void *pointer, size_t size);
void *mi_reallocf(void *pointer, size_t size)
{
  void *resized = mi_realloc(pointer, size);
  if (resized == NULL)
    mi_free(pointer);
  return resized;
}

int mi_reallocarr(void *place, size_t count, size_t size);
int mi_reallocarr(void *place, size_t count, size_t size)
{
  void *pointer, *resized;
  if (place == NULL)
    return 22;
  memcpy(&pointer, place, sizeof pointer);
  resized = mi_realloc(pointer, count * size);
  if (resized == NULL)
    return 12;
  memcpy(place, &resized, sizeof resized);
  return 0;
}

/* As the real one where objects have padding. */
void *mi_expand(void *pointer, size_t size);
void *mi_expand(void *pointer, size_t size)
{
  (void)pointer, (void)size;
  return NULL;
}

/* These end the program where the real ones throw. */
void *mi_new(size_t size);
void *mi_new(size_t size)
{
  void *pointer = mi_malloc(size);
  if (pointer == NULL)
    abort();
  return pointer;
}

void *mi_new_n(size_t count, size_t size);
void *mi_new_n(size_t count, size_t size)
{
  return mi_new(count * size);
}

void *mi_new_aligned(size_t size, size_t alignment);
void *mi_new_aligned(size_t size, size_t alignment)
{
  return mi_malloc_aligned(size, alignment);
}

void *mi_new_aligned_nothrow(size_t size, size_t alignment);
void *mi_new_aligned_nothrow(size_t size, size_t alignment)
{
  return mi_malloc_aligned(size, alignment);
}

void *mi_new_realloc(void *pointer, size_t size);
void *mi_new_realloc(void *pointer, size_t size)
{
  return mi_realloc(pointer, size);
}

/* Heaps: each knows all of its objects. */
enum { OBJECTS_MAX = 64 };

typedef struct heap {
  unsigned count;
  struct {
    char *start;
    size_t bytes;
  } objects[OBJECTS_MAX];
} mi_heap_t;

mi_heap_t *mi_heap_new(void);
mi_heap_t *mi_heap_new(void)
{
  return mi_calloc(1, sizeof(mi_heap_t));
}

void *mi_heap_malloc(mi_heap_t *heap, size_t size);
void *mi_heap_malloc(mi_heap_t *heap, size_t size)
{
  if (heap->count == OBJECTS_MAX)
    abort();
  heap->objects[heap->count].start = mi_malloc(size);
  heap->objects[heap->count].bytes = size;
  return heap->objects[heap->count++].start;
}

void *mi_heap_calloc(mi_heap_t *heap, size_t count, size_t size);
void *mi_heap_calloc(mi_heap_t *heap, size_t count, size_t size)
{
  return memset(mi_heap_malloc(heap, count * size), 0, count * size);
}

/* Before the object lie pages of the heap that have none. */
void *mi_heap_malloc_aligned(mi_heap_t *heap, size_t size, size_t alignment);
void *mi_heap_malloc_aligned(mi_heap_t *heap, size_t size, size_t alignment)
{
  enum { PAGES_BYTES = 8192 };
  (void)alignment;
  return (char *)mi_heap_malloc(heap, PAGES_BYTES + size) + PAGES_BYTES;
}

char *mi_heap_strdup(mi_heap_t *heap, const char *string);
char *mi_heap_strdup(mi_heap_t *heap, const char *string)
{
  return strcpy(mi_heap_malloc(heap, strlen(string) + 1), string);
}

void *mi_heap_alloc_new(mi_heap_t *heap, size_t size);
void *mi_heap_alloc_new(mi_heap_t *heap, size_t size)
{
  return mi_heap_malloc(heap, size);
}

void *mi_heap_realloc(mi_heap_t *heap, void *pointer, size_t size);
void *mi_heap_realloc(mi_heap_t *heap, void *pointer, size_t size)
{
  for (unsigned i = 0; i < heap->count; i++)
    if (heap->objects[i].start == pointer) {
      heap->objects[i].bytes = size;
      return heap->objects[i].start = mi_realloc(pointer, size);
    }
  abort();
}

bool mi_heap_visit_blocks(const mi_heap_t *heap, bool with_blocks,
                          bool (*visit)(const mi_heap_t *, const void *, void *, size_t, void *), void *argument);
bool mi_heap_visit_blocks(const mi_heap_t *heap, bool with_blocks,
                          bool (*visit)(const mi_heap_t *, const void *, void *, size_t, void *), void *argument)
{
  bool goes_on = !with_blocks;
  for (unsigned i = 0; i < heap->count && goes_on; i++)
    goes_on = visit(heap, &heap->objects[i], NULL, 0, argument);
  return goes_on;
}

static void release_all(mi_heap_t *heap)
{
  for (unsigned i = 0; i < heap->count; i++)
    *(volatile char *)heap->objects[i].start = 0; /* they lie there unused */
}

void mi_heap_destroy(mi_heap_t *heap);
void mi_heap_destroy(mi_heap_t *heap)
{
  release_all(heap);
  mi_free(heap);
}

void mi_heap_delete(mi_heap_t *heap);
void mi_heap_delete(mi_heap_t *heap)
{
  mi_free(heap);
}

#ifdef TABLE
/* One that jumps to an address in a register. */
__asm__(".globl mi_cfree\n.type mi_cfree, @function\nmi_cfree:\n  lea mi_free(%rip), %rax\n  jmp *%rax\n.size "
        "mi_cfree, . - "
        "mi_cfree\n");
#endif
