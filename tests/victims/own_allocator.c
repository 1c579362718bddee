/* SPDX-License-Identifier: MIT */
/* An allocator that is linked into the program, the smallest that does all of it: free blocks of each power of two in a list of their
 * own, under one lock. calloc and realloc are made of malloc and free, as in many. ROUNDABOUT: malloc is made of calloc. HIGH: malloc
 * begins so that a jump in its first instruction leads a gigabyte up. CLOSE: it begins behind a function of one byte. SBRK: there is
 * no memory but the heap. */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CLASSES = 48, HEADER = 16, CHUNK = 1 << 20 };

struct block {
  struct block *next;
};

static struct block *lists[CLASSES];
static char *chunk, *chunk_end;
static atomic_flag lock = ATOMIC_FLAG_INIT;

static unsigned class_of(size_t bytes)
{
  return bytes <= 32 ? 5 : 64 - (unsigned)__builtin_clzl(bytes - 1);
}

static void *carve(size_t bytes)
{
  if ((size_t)(chunk_end - chunk) < bytes) {
    size_t size = bytes < CHUNK ? CHUNK : bytes;
#ifdef SBRK
    char *fresh = sbrk((intptr_t)size);
#else
    char *fresh = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#endif
    if (fresh == MAP_FAILED)
      return NULL;
    chunk = fresh;
    chunk_end = fresh + size;
  }
  chunk += bytes;
  return chunk - bytes;
}

static __attribute__((noinline)) char *take(size_t size)
{
  if (size > PTRDIFF_MAX / 4)
    return NULL;
  unsigned class = class_of(size + HEADER);
  while (atomic_flag_test_and_set(&lock))
    ;
  struct block *block = lists[class];
  if (block != NULL)
    lists[class] = block->next;
  else
    block = carve((size_t)1 << class);
  atomic_flag_clear(&lock);
  if (block == NULL)
    return NULL;
  *(size_t *)(void *)block = class;
  ((size_t *)(void *)block)[1] = size;
  return (char *)block + HEADER;
}

static void *fail(void)
{
  errno = ENOMEM;
  return NULL;
}

#ifdef ROUNDABOUT
static void *give(size_t size)
{
  void *pointer = take(size);
  return pointer != NULL ? pointer : fail();
}

void *calloc(size_t count, size_t size);
void *malloc(size_t size)
{
  return calloc(1, size);
}
#else
#if defined HIGH || defined CLOSE
#define MALLOC static __attribute__((used)) void *own_malloc
void *malloc(size_t size);
#else
#define MALLOC void *malloc
#endif

MALLOC(size_t size)
{
  void *pointer = take(size);
  return pointer != NULL ? pointer : fail();
}

#define give malloc
#endif

#define FUNCTION(name) ".globl " name "\n.type " name ", @function\n" name ": .cfi_startproc\n"
#define END(name) ".cfi_endproc\n.size " name ", . - " name "\n"

#ifdef HIGH
__asm__(".text\n.balign 16\n" FUNCTION(
    "malloc") "push %r15\n.cfi_adjust_cfa_offset 8\npush %r14\n.cfi_adjust_cfa_offset 8\n"
              "push %r13\n.cfi_adjust_cfa_offset 8\ncall own_malloc\n"
              "pop %r13\n.cfi_adjust_cfa_offset -8\npop %r14\n.cfi_adjust_cfa_offset -8\npop "
              "%r15\n.cfi_adjust_cfa_offset -8\nret\n" END("malloc"));
#endif

#ifdef CLOSE
__asm__(".text\n.balign 16\n" FUNCTION("valloc") "ret\n" END("valloc") FUNCTION(
    "malloc") "push %rbp\n.cfi_adjust_cfa_offset 8\n"
              "mov %rsp, %rbp\ncall own_malloc\npop %rbp\n.cfi_adjust_cfa_offset -8\nret\n" END("malloc"));
#endif

void free(void *pointer)
{
  if (pointer == NULL)
    return;
  struct block *block = (void *)((char *)pointer - HEADER);
  size_t class = *(size_t *)(void *)block;
  if (class >= CLASSES) { /* an aligned one: how far its block is */
    block = (void *)((char *)block - (class - CLASSES));
    class = *(size_t *)(void *)block;
  }
  while (atomic_flag_test_and_set(&lock))
    ;
  block->next = lists[class];
  lists[class] = block;
  atomic_flag_clear(&lock);
}

void *calloc(size_t count, size_t size)
{
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes))
    return fail();
  void *pointer = give(bytes);
  return pointer != NULL ? memset(pointer, 0, bytes) : NULL;
}

size_t malloc_usable_size(void *pointer)
{
  return pointer != NULL ? ((size_t *)(void *)((char *)pointer - HEADER))[1] : 0;
}

void *realloc(void *pointer, size_t size)
{
  size_t old = malloc_usable_size(pointer);
  void *moved = malloc(size);
  if (moved == NULL || pointer == NULL)
    return moved;
  memcpy(moved, pointer, old < size ? old : size);
  free(pointer);
  return moved;
}

void *memalign(size_t alignment, size_t size)
{
  char *pointer = alignment <= HEADER ? malloc(size) : malloc(size + alignment + HEADER);
  if (pointer == NULL || alignment <= HEADER)
    return pointer;
  char *aligned = (char *)(((uintptr_t)pointer + HEADER + alignment - 1) & ~(alignment - 1));
  ((size_t *)(void *)(aligned - HEADER))[0] = CLASSES + (size_t)(aligned - pointer);
  ((size_t *)(void *)(aligned - HEADER))[1] = size;
  return aligned;
}

void *aligned_alloc(size_t alignment, size_t size)
{
  return memalign(alignment, size);
}

int posix_memalign(void **pointer, size_t alignment, size_t size)
{
  void *made = (alignment & (alignment - 1)) == 0 && alignment >= sizeof(void *) ? memalign(alignment, size) : NULL;
  if (made == NULL)
    return alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0 ? EINVAL : ENOMEM;
  *pointer = made;
  return 0;
}

#ifndef CLOSE
void *valloc(size_t size)
{
  return memalign(4096, size);
}
#endif

void *pvalloc(size_t size)
{
  return memalign(4096, (size + 4095) & ~(size_t)4095);
}
