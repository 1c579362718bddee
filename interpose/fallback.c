/* SPDX-License-Identifier: MIT */
#include "interpose/fallback.h"

#include "core/libc.h"
#include "core/sys.h"
#include "interpose/cxx_runtime.h"
#include "interpose/hooks.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* Not there before we are relocated, when a resolver in a library that is relocated earlier may call a hook: errno then
 * stays as it is. */
#pragma weak __errno_location

/* C. */

ARCH_ENTRY void *fallback_reallocarray(void *pointer, size_t count, size_t size)
{
  size_t bytes;
  if (!__builtin_mul_overflow(count, size, &bytes))
    return realloc(pointer, bytes);
  errno = ENOMEM;
  return NULL;
}

void fallback_cfree(void *pointer)
{
  free(pointer);
}

void fallback_free_sized(void *pointer, size_t size)
{
  (void)size;
  free(pointer);
}

void fallback_free_aligned_sized(void *pointer, size_t alignment, size_t size)
{
  (void)alignment, (void)size;
  free(pointer);
}

size_t fallback_malloc_usable_size(void *pointer)
{
  (void)pointer;
  return 0;
}

/* The aligned family. Every libc has it; libc's completes an allocator without it, as it does without us. */

static void *no_aligned_memory(void)
{
  errno = ENOMEM;
  return NULL;
}

ARCH_ENTRY void *fallback_memalign(size_t alignment, size_t size)
{
  (void)alignment, (void)size;
  return no_aligned_memory();
}

ARCH_ENTRY void *fallback_aligned_alloc(size_t alignment, size_t size)
{
  return fallback_memalign(alignment, size);
}

int fallback_posix_memalign(void **pointer, size_t alignment, size_t size)
{
  (void)pointer, (void)alignment, (void)size;
  return ENOMEM;
}

ARCH_ENTRY void *fallback_valloc(size_t size)
{
  return fallback_memalign(0, size);
}

ARCH_ENTRY void *fallback_pvalloc(size_t size)
{
  return fallback_memalign(0, size);
}

/* Of the BSDs. */

void fallback_vfree(void *pointer)
{
  free(pointer);
}

ARCH_ENTRY void *fallback_reallocf(void *pointer, size_t size)
{
  void *resized = realloc(pointer, size);
  if (resized == NULL && size > 0)
    free(pointer);
  return resized;
}

/* `place` is the address of a pointer; errno stays as it is. */
ARCH_ENTRY int fallback_reallocarr(void *place, size_t count, size_t size)
{
  typedef void *__attribute__((may_alias)) aliased;
  size_t bytes;
  void *pointer = NULL;
  int saved_errno = errno;
  if (__builtin_mul_overflow(count, size, &bytes))
    return EOVERFLOW;
  if (bytes > 0)
    pointer = realloc(*(aliased *)place, bytes);
  else
    free(*(aliased *)place);
  errno = saved_errno;
  if (pointer == NULL && bytes > 0)
    return ENOMEM;
  *(aliased *)place = pointer;
  return 0;
}

/* C++. */

static void *get_memory(size_t size, size_t alignment)
{
  void *pointer = NULL;
  if (alignment == 0)
    return malloc(size > 0 ? size : 1);
  if (alignment < sizeof(void *))
    alignment = sizeof(void *);
  return posix_memalign(&pointer, alignment, size > 0 ? size : 1) == 0 ? pointer : NULL;
}

/* std::bad_alloc is its vtable pointer, which points behind the two words that a vtable begins with. */
static void throw_bad_alloc(const struct cxx_runtime *runtime)
{
  uintptr_t *exception = runtime->allocate_exception(sizeof *exception);
  *exception = (uintptr_t)runtime->bad_alloc_vtable + 2 * sizeof(void *);
  runtime->throw_exception(exception, runtime->bad_alloc_type, runtime->bad_alloc_destroy);
}

/* As the standard has it: until it succeeds, call the new handler; without one, throw. */
static void *make(size_t size, size_t alignment, bool may_throw, void *caller)
{
  void *pointer;
  struct cxx_runtime runtime;
  while ((pointer = get_memory(size, alignment)) == NULL) {
    if (!cxx_runtime_find(caller, &runtime))
      return NULL;
    void (*handler)(void) = runtime.get_new_handler != NULL ? runtime.get_new_handler() : NULL;
    if (handler != NULL)
      handler();
    else if (may_throw)
      throw_bad_alloc(&runtime);
    else
      return NULL;
  }
  return pointer;
}

#define CALLER __builtin_return_address(0)

ARCH_ENTRY void *fallback__Znwm(size_t size)
{
  return make(size, 0, true, CALLER);
}

ARCH_ENTRY void *fallback__Znam(size_t size)
{
  return make(size, 0, true, CALLER);
}

ARCH_ENTRY void *fallback__ZnwmRKSt9nothrow_t(size_t size, const void *nothrow)
{
  (void)nothrow;
  return make(size, 0, false, CALLER);
}

ARCH_ENTRY void *fallback__ZnamRKSt9nothrow_t(size_t size, const void *nothrow)
{
  (void)nothrow;
  return make(size, 0, false, CALLER);
}

ARCH_ENTRY void *fallback__ZnwmSt11align_val_t(size_t size, size_t alignment)
{
  return make(size, alignment, true, CALLER);
}

ARCH_ENTRY void *fallback__ZnamSt11align_val_t(size_t size, size_t alignment)
{
  return make(size, alignment, true, CALLER);
}

ARCH_ENTRY void *fallback__ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *nothrow)
{
  (void)nothrow;
  return make(size, alignment, false, CALLER);
}

ARCH_ENTRY void *fallback__ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const void *nothrow)
{
  (void)nothrow;
  return make(size, alignment, false, CALLER);
}

#define DELETE_BY_FREE(symbol, parameters)                                                                             \
  void fallback_##symbol parameters                                                                                    \
  {                                                                                                                    \
    free(pointer);                                                                                                     \
  }
DELETE_BY_FREE(_ZdlPv, (void *pointer))
DELETE_BY_FREE(_ZdaPv, (void *pointer))
DELETE_BY_FREE(_ZdlPvm, (void *pointer, UNUSED size_t size))
DELETE_BY_FREE(_ZdaPvm, (void *pointer, UNUSED size_t size))
DELETE_BY_FREE(_ZdlPvRKSt9nothrow_t, (void *pointer, UNUSED const void *nothrow))
DELETE_BY_FREE(_ZdaPvRKSt9nothrow_t, (void *pointer, UNUSED const void *nothrow))
DELETE_BY_FREE(_ZdlPvSt11align_val_t, (void *pointer, UNUSED size_t alignment))
DELETE_BY_FREE(_ZdaPvSt11align_val_t, (void *pointer, UNUSED size_t alignment))
DELETE_BY_FREE(_ZdlPvmSt11align_val_t, (void *pointer, UNUSED size_t size, UNUSED size_t alignment))
DELETE_BY_FREE(_ZdaPvmSt11align_val_t, (void *pointer, UNUSED size_t size, UNUSED size_t alignment))
DELETE_BY_FREE(_ZdlPvSt11align_val_tRKSt9nothrow_t,
               (void *pointer, UNUSED size_t alignment, UNUSED const void *nothrow))
DELETE_BY_FREE(_ZdaPvSt11align_val_tRKSt9nothrow_t,
               (void *pointer, UNUSED size_t alignment, UNUSED const void *nothrow))

/* jemalloc's API, from its documentation: the alignment is in the low bits of the flags, as a power of two. */

enum { FLAG_ALIGNMENT_MASK = 63, FLAG_ZERO = 0x40 };

static size_t alignment_of(int flags)
{
  unsigned power = (unsigned)flags & FLAG_ALIGNMENT_MASK;
  return power > 4 ? (size_t)1 << power : 0; /* malloc aligns to 16 as it is */
}

ARCH_ENTRY void *fallback_mallocx(size_t size, int flags)
{
  void *pointer = get_memory(size, alignment_of(flags));
  if (pointer != NULL && (flags & FLAG_ZERO) != 0)
    memset(pointer, 0, size);
  return pointer;
}

ARCH_ENTRY void *fallback_rallocx(void *pointer, size_t size, int flags)
{
  size_t old_size = malloc_usable_size(pointer), alignment = alignment_of(flags);
  void *resized = alignment == 0 ? realloc(pointer, size > 0 ? size : 1) : fallback_mallocx(size, flags);
  if (resized == NULL)
    return NULL;
  if (alignment != 0) {
    memcpy(resized, pointer, old_size < size ? old_size : size);
    free(pointer);
  }
  if ((flags & FLAG_ZERO) != 0 && size > old_size)
    memset((char *)resized + old_size, 0, size - old_size);
  return resized;
}

/* In place nothing can be resized: the size stays what it is. */
ARCH_ENTRY size_t fallback_xallocx(void *pointer, size_t size, size_t extra, int flags)
{
  (void)size, (void)extra, (void)flags;
  return malloc_usable_size(pointer);
}

void fallback_dallocx(void *pointer, int flags)
{
  (void)flags;
  free(pointer);
}

void fallback_sdallocx(void *pointer, size_t size, int flags)
{
  (void)size, (void)flags;
  free(pointer);
}

/* Code that the program made: who has no C runtime for it has no use for them. */

void fallback___register_frame(void *begin)
{
  (void)begin;
}

void fallback___deregister_frame(void *begin)
{
  (void)begin;
}

/* Process: every libc has these, but for dlmopen. */

void *fallback_dlopen(const char *file, int flags)
{
  (void)file, (void)flags;
  return NULL;
}

void *fallback_dlmopen(long space, const char *file, int flags)
{
  (void)space, (void)file, (void)flags;
  return NULL;
}

int fallback_dlclose(void *handle)
{
  (void)handle;
  return -1;
}

void fallback__exit(int status)
{
  (void)status;
}

void fallback__Exit(int status)
{
  (void)status;
}

void fallback_quick_exit(int status)
{
  (void)status;
}

static void set_errno(int number)
{
  if (__errno_location != NULL)
    errno = number;
}

static long finish_call(long result)
{
  if (result < 0 && result > -4096) {
    set_errno((int)-result);
    return -1;
  }
  return result;
}

long fallback_syscall(ARCH_SYSCALL_PARAMETERS)
{
  return finish_call(sys_call_always(ARCH_SYSCALL_ALL));
}

int fallback_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
  return (int)finish_call(sys_call_always(SYS_prctl, option, (long)a, (long)b, (long)c, (long)d, 0));
}

/* Mappings. libc's are no more than the call, but for sbrk, which keeps in mind where the heap ends. */

void *fallback_mmap(void *address, size_t size, int protection, int flags, int descriptor, long offset)
{
  return (void *)finish_call(
      sys_call_always(SYS_mmap, (long)address, (long)size, protection, flags, descriptor, offset));
}

void *fallback_mmap64(void *address, size_t size, int protection, int flags, int descriptor, long offset)
{
  return fallback_mmap(address, size, protection, flags, descriptor, offset);
}

int fallback_munmap(void *address, size_t size)
{
  return (int)finish_call(sys_call_always(SYS_munmap, (long)address, (long)size, 0, 0, 0, 0));
}

void *fallback_mremap(void *old, size_t old_size, size_t new_size, int flags, ...)
{
  va_list more;
  va_start(more, flags);
  void *to = va_arg(more, void *);
  va_end(more);
  return (void *)finish_call(
      sys_call_always(SYS_mremap, (long)old, (long)old_size, (long)new_size, flags, (long)to, 0));
}

void *fallback_sbrk(long change)
{
  if (__sbrk != NULL)
    return __sbrk(change);
  if (change == 0)
    return (void *)sys_call_always(SYS_brk, 0, 0, 0, 0, 0, 0);
  set_errno(ENOMEM);
  return (void *)-1;
}
