/* SPDX-License-Identifier: MIT */
/* Every way to allocate and to free, and which go together. Each allocation is made in a function named victim_*, by which the
 * profile's samples are found again.
 *
 * To be linked with libstdc++ behind everything else: an allocator's own operators take its place. What an allocator lacks is not
 * called; jemalloc's functions are called with jemalloc alone, though a profiler may export them.
 */
#ifndef ENTRY_POINTS_H
#define ENTRY_POINTS_H

#include "hz_victim.h"

#include <malloc.h>

extern int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak)); /* jemalloc alone has it */
extern void *mallocx(size_t, int) __attribute__((weak));
extern void *rallocx(void *, size_t, int) __attribute__((weak));
extern size_t xallocx(void *, size_t, size_t, int) __attribute__((weak));
extern void dallocx(void *, int) __attribute__((weak));
extern void sdallocx(void *, size_t, int) __attribute__((weak));
extern void cfree(void *) __attribute__((weak));
extern void free_sized(void *, size_t) __attribute__((weak));
extern void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));

/* operator new and delete; char stands for std::nothrow_t. */
extern const char _ZSt7nothrow;
extern void *_Znwm(size_t);
extern void *_Znam(size_t);
extern void *_ZnwmRKSt9nothrow_t(size_t, const char *);
extern void *_ZnamRKSt9nothrow_t(size_t, const char *);
extern void *_ZnwmSt11align_val_t(size_t, size_t);
extern void *_ZnamSt11align_val_t(size_t, size_t);
extern void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t, size_t, const char *);
extern void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t, size_t, const char *);
extern void _ZdlPv(void *);
extern void _ZdaPv(void *);
extern void _ZdlPvm(void *, size_t);
extern void _ZdaPvm(void *, size_t);
extern void _ZdlPvRKSt9nothrow_t(void *, const char *);
extern void _ZdaPvRKSt9nothrow_t(void *, const char *);
extern void _ZdlPvSt11align_val_t(void *, size_t);
extern void _ZdaPvSt11align_val_t(void *, size_t);
extern void _ZdlPvmSt11align_val_t(void *, size_t, size_t);
extern void _ZdaPvmSt11align_val_t(void *, size_t, size_t);
extern void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *, size_t, const char *);
extern void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *, size_t, const char *);

/* Which functions may take an object back. */
enum family { FAMILY_C, FAMILY_ALIGNED, FAMILY_NEW, FAMILY_NEW_ARRAY, FAMILY_NEW_ALIGNED, FAMILY_NEW_ARRAY_ALIGNED };

struct object {
  unsigned char *bytes; /* NULL: none */
  size_t size;
  size_t alignment; /* that was asked for, 1 where none was */
  enum family family;
  bool is_larger;        /* than its size says, which may not be named when it is freed */
  unsigned char pattern; /* what its ends are filled with */
};

static bool is_jemalloc(void)
{
  return mallctl != NULL;
}

/* Keeps the call that made it from becoming a tail call or nothing at all. */
static void *kept(void *bytes)
{
  __asm__ volatile("" : "+r"(bytes) : : "memory");
  return bytes;
}

enum { PAGE_BYTES = 4096, MALLOCX_ZEROED = 0x40 };

static int mallocx_alignment(size_t alignment)
{
  return __builtin_ctzl(alignment);
}

static void *by_posix_memalign(size_t alignment, size_t size)
{
  void *bytes = NULL;
  return posix_memalign(&bytes, alignment < sizeof bytes ? sizeof bytes : alignment, size) == 0 ? bytes : NULL;
}

#define ALLOCATION(name, expression)                                                                                   \
  VICTIM void *victim_##name(size_t size, size_t alignment)                                                            \
  {                                                                                                                    \
    (void)alignment;                                                                                                   \
    return kept(expression);                                                                                           \
  }

ALLOCATION(malloc, malloc(size))
ALLOCATION(calloc, calloc(1, size))
ALLOCATION(calloc_bytes, calloc(size, 1))
ALLOCATION(realloc, realloc(NULL, size))
ALLOCATION(reallocarray, reallocarray(NULL, size, 1))
ALLOCATION(memalign, memalign(alignment, size))
ALLOCATION(aligned_alloc, aligned_alloc(alignment, size))
ALLOCATION(posix_memalign, by_posix_memalign(alignment, size))
ALLOCATION(valloc, valloc(size))
ALLOCATION(pvalloc, pvalloc(size))
ALLOCATION(new, _Znwm(size))
ALLOCATION(new_array, _Znam(size))
ALLOCATION(new_nothrow, _ZnwmRKSt9nothrow_t(size, &_ZSt7nothrow))
ALLOCATION(new_array_nothrow, _ZnamRKSt9nothrow_t(size, &_ZSt7nothrow))
ALLOCATION(new_aligned, _ZnwmSt11align_val_t(size, alignment))
ALLOCATION(new_array_aligned, _ZnamSt11align_val_t(size, alignment))
ALLOCATION(new_aligned_nothrow, _ZnwmSt11align_val_tRKSt9nothrow_t(size, alignment, &_ZSt7nothrow))
ALLOCATION(new_array_aligned_nothrow, _ZnamSt11align_val_tRKSt9nothrow_t(size, alignment, &_ZSt7nothrow))
ALLOCATION(mallocx, mallocx(size, 0))
ALLOCATION(mallocx_zeroed, mallocx(size, MALLOCX_ZEROED))
ALLOCATION(mallocx_aligned, mallocx(size, mallocx_alignment(alignment)))

struct allocation {
  void *(*function)(size_t size, size_t alignment);
  enum family family;
  bool is_zeroed;
};

static const struct allocation allocations[] = {
    {victim_malloc, FAMILY_C, false},
    {victim_malloc, FAMILY_C, false},
    {victim_malloc, FAMILY_C, false},
    {victim_calloc, FAMILY_C, true},
    {victim_calloc_bytes, FAMILY_C, true},
    {victim_realloc, FAMILY_C, false},
    {victim_reallocarray, FAMILY_C, false},
    {victim_memalign, FAMILY_ALIGNED, false},
    {victim_aligned_alloc, FAMILY_ALIGNED, false},
    {victim_posix_memalign, FAMILY_ALIGNED, false},
    {victim_valloc, FAMILY_ALIGNED, false},
    {victim_pvalloc, FAMILY_ALIGNED, false},
    {victim_new, FAMILY_NEW, false},
    {victim_new_nothrow, FAMILY_NEW, false},
    {victim_new_array, FAMILY_NEW_ARRAY, false},
    {victim_new_array_nothrow, FAMILY_NEW_ARRAY, false},
    {victim_new_aligned, FAMILY_NEW_ALIGNED, false},
    {victim_new_aligned_nothrow, FAMILY_NEW_ALIGNED, false},
    {victim_new_array_aligned, FAMILY_NEW_ARRAY_ALIGNED, false},
    {victim_new_array_aligned_nothrow, FAMILY_NEW_ARRAY_ALIGNED, false},
    {victim_mallocx, FAMILY_C, false},
    {victim_mallocx_zeroed, FAMILY_C, true},
    {victim_mallocx_aligned, FAMILY_ALIGNED, false},
};

enum { ALLOCATIONS = sizeof allocations / sizeof allocations[0] };

static bool is_jemallocs(const struct allocation *allocation)
{
  return allocation->function == victim_mallocx || allocation->function == victim_mallocx_zeroed ||
         allocation->function == victim_mallocx_aligned;
}

/* malloc stands in for what this allocator does not have. (jemalloc's pvalloc would be glibc's.) */
static const struct allocation *allocation_at(unsigned n)
{
  const struct allocation *chosen = &allocations[n % ALLOCATIONS];
  bool is_missing = is_jemalloc() ? chosen->function == victim_pvalloc : is_jemallocs(chosen);
  return is_missing ? &allocations[0] : chosen;
}

/* Sizes that mean the same to everybody: libstdc++ rounds an aligned one up to its alignment, and makes 1 of 0, and jemalloc's own
 * functions do not take 0. */
static size_t fitting_size(const struct allocation *allocation, size_t size, size_t alignment)
{
  switch (allocation->family) {
  case FAMILY_NEW_ALIGNED:
  case FAMILY_NEW_ARRAY_ALIGNED: return size < alignment ? alignment : size / alignment * alignment;
  case FAMILY_NEW:
  case FAMILY_NEW_ARRAY: return size > 0 ? size : 1;
  default: return is_jemallocs(allocation) && size == 0 ? 1 : size;
  }
}

static size_t fitting_alignment(const struct allocation *allocation, size_t alignment)
{
  if (allocation->function == victim_valloc || allocation->function == victim_pvalloc)
    return PAGE_BYTES;
  return allocation->family == FAMILY_C || allocation->family == FAMILY_NEW || allocation->family == FAMILY_NEW_ARRAY
             ? 1
             : alignment;
}

/* Giving back. `way` chooses among those of the family. */

static void free_c(const struct object *object, unsigned way)
{
  int flags = object->alignment > 1 ? mallocx_alignment(object->alignment) : 0;
  if (way % 8 == 1 && cfree && !is_jemalloc())
    cfree(object->bytes);
  else if (way % 8 == 2 && free_sized && object->family == FAMILY_C && !object->is_larger)
    free_sized(object->bytes, object->size);
  else if (way % 8 == 3 && free_aligned_sized && object->family == FAMILY_ALIGNED)
    free_aligned_sized(object->bytes, object->alignment, object->size);
  else if (way % 8 == 4 && is_jemalloc())
    dallocx(object->bytes, 0);
  else if (way % 8 == 5 && is_jemalloc() && object->size > 0 && !object->is_larger)
    sdallocx(object->bytes, object->size, flags);
  else
    free(object->bytes);
}

static void delete_object(const struct object *object, unsigned way)
{
  switch (way % 3) {
  case 0: _ZdlPv(object->bytes); break;
  case 1: _ZdlPvm(object->bytes, object->size); break;
  default: _ZdlPvRKSt9nothrow_t(object->bytes, &_ZSt7nothrow); break;
  }
}

static void delete_array(const struct object *object, unsigned way)
{
  switch (way % 3) {
  case 0: _ZdaPv(object->bytes); break;
  case 1: _ZdaPvm(object->bytes, object->size); break;
  default: _ZdaPvRKSt9nothrow_t(object->bytes, &_ZSt7nothrow); break;
  }
}

static void delete_aligned(const struct object *object, unsigned way)
{
  switch (way % 3) {
  case 0: _ZdlPvSt11align_val_t(object->bytes, object->alignment); break;
  case 1: _ZdlPvmSt11align_val_t(object->bytes, object->size, object->alignment); break;
  default: _ZdlPvSt11align_val_tRKSt9nothrow_t(object->bytes, object->alignment, &_ZSt7nothrow); break;
  }
}

static void delete_aligned_array(const struct object *object, unsigned way)
{
  switch (way % 3) {
  case 0: _ZdaPvSt11align_val_t(object->bytes, object->alignment); break;
  case 1: _ZdaPvmSt11align_val_t(object->bytes, object->size, object->alignment); break;
  default: _ZdaPvSt11align_val_tRKSt9nothrow_t(object->bytes, object->alignment, &_ZSt7nothrow); break;
  }
}

static void give_back(const struct object *object, unsigned way)
{
  switch (object->family) {
  case FAMILY_C:
  case FAMILY_ALIGNED: free_c(object, way); break;
  case FAMILY_NEW: delete_object(object, way); break;
  case FAMILY_NEW_ARRAY: delete_array(object, way); break;
  case FAMILY_NEW_ALIGNED: delete_aligned(object, way); break;
  case FAMILY_NEW_ARRAY_ALIGNED: delete_aligned_array(object, way); break;
  }
}

/* Resizing, of the families C and ALIGNED. */

VICTIM void *victim_resize(void *bytes, size_t size)
{
  return kept(realloc(bytes, size));
}

VICTIM void *victim_resize_array(void *bytes, size_t size)
{
  return kept(reallocarray(bytes, size, 1));
}

VICTIM void *victim_rallocx(void *bytes, size_t size)
{
  return kept(rallocx(bytes, size, 0));
}

/* The size that it now has; less than asked for: nothing happened. */
VICTIM size_t victim_xallocx(void *bytes, size_t size)
{
  size_t result = xallocx(bytes, size, 0, 0);
  __asm__ volatile("" : "+r"(result) : : "memory");
  return result;
}

#endif
