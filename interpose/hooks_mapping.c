/* SPDX-License-Identifier: MIT */
/* What the program maps past malloc. The real call comes first, as the program made it; what came of it is noted
 * afterwards. Where an address was mapped before us, by the loader or by libc for itself, nothing is known of it, and
 * nothing is asked.
 *
 * As prctl, these never look the real ones up: allocators call them when they start, with a lock held, and a handler
 * may. Until the first allocation has resolved them, the bare system call is as good. */
#include "interpose/hooks.h"

#include "core/arch/arch.h"
#include "core/mappings/mappings.h"
#include "interpose/fallback.h"
#include "interpose/real.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

#define NEXT(symbol) (LIKELY(real.symbol != NULL) ? real.symbol : fallback_##symbol)

static ALWAYS_INLINE bool are_seen(void)
{
  return atomic_load_explicit(&mappings_are_seen, memory_order_acquire /* pairs with mappings_init */);
}

/* The size of a huge page is in the flags, or the usual one: the kernel maps whole ones. */
static uint64_t bytes_mapped(uint64_t bytes, int flags)
{
  enum { USUAL_SHIFT = 21 };
  if ((flags & MAP_HUGETLB) == 0)
    return bytes;
  unsigned shift = (unsigned)flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;
  uint64_t page = 1ull << (shift != 0 ? shift : USUAL_SHIFT);
  return (bytes + page - 1) & ~(page - 1);
}

static NOINLINE void note(const void *start, uint64_t bytes, int protection, int flags, const struct unwind_start *from)
{
  enum mapping_kind kind = protection == PROT_NONE ? MAPPING_RESERVED : MAPPING_USABLE;
  if ((flags & MAP_ANONYMOUS) == 0 || real_is_allocators_code(from->return_address))
    kind = MAPPING_OF_OTHERS;
  int saved_errno = errno;
  mappings_note((uintptr_t)start, bytes_mapped(bytes, flags), kind, from);
  errno = saved_errno;
}

#define MMAP_HOOK(symbol)                                                                                              \
  ARCH_ENTRY void *symbol(void *address, size_t size, int protection, int flags, int descriptor, long offset)          \
  {                                                                                                                    \
    struct unwind_start from = UNWIND_START_HERE();                                                                    \
    void *mapped = NEXT(symbol)(address, size, protection, flags, descriptor, offset);                                 \
    if (LIKELY(mapped != MAP_FAILED) && are_seen())                                                                    \
      note(mapped, size, protection, flags, &from);                                                                    \
    return mapped;                                                                                                     \
  }

MMAP_HOOK(mmap)
MMAP_HOOK(mmap64)

ARCH_ENTRY int munmap(void *address, size_t size)
{
  uint64_t begun = mappings_begin();
  int result = NEXT(munmap)(address, size);
  if (LIKELY(result == 0) && are_seen()) {
    int saved_errno = errno;
    mappings_forget((uintptr_t)address, size, begun);
    errno = saved_errno;
  }
  return result;
}

static NOINLINE void note_move(const struct mapping_move *move, uint64_t begun, const struct unwind_start *from)
{
  int saved_errno = errno;
  if (real_is_allocators_code(from->return_address))
    mappings_note(move->new, move->new_bytes, MAPPING_OF_OTHERS, from);
  else
    mappings_move(move, begun, from);
  errno = saved_errno;
}

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* The fifth argument is there when the flags say so, as in libc. */
ARCH_ENTRY void *mremap(void *old, size_t old_size, size_t new_size, int flags, ...)
{
  struct unwind_start from = UNWIND_START_HERE();
  uint64_t begun = mappings_begin();
  void *to = NULL;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0) {
    va_list more;
    va_start(more, flags);
    to = va_arg(more, void *);
    va_end(more);
  }
  void *moved = NEXT(mremap)(old, old_size, new_size, flags, to);
  if (LIKELY(moved != MAP_FAILED) && are_seen()) {
    struct mapping_move move = {.old = (uintptr_t)old,
                                .new = (uintptr_t)moved,
                                .old_bytes = old_size,
                                .new_bytes = new_size,
                                .stays = old_size == 0 || (flags & MREMAP_DONTUNMAP) != 0};
    note_move(&move, begun, &from);
  }
  return moved;
}

/* Whole pages between the old end and the new one: those that the kernel maps or unmaps. */
static NOINLINE void note_end(uintptr_t before, long change, uint64_t begun, const struct unwind_start *from)
{
  int saved_errno = errno;
  if (change > 0)
    mappings_note_end(before, before + (uintptr_t)change,
                      real_is_allocators_code(from->return_address) ? MAPPING_OF_OTHERS : MAPPING_USABLE, from);
  else
    mappings_forget_end(before, before + (uintptr_t)change, begun);
  errno = saved_errno;
}

ARCH_ENTRY void *sbrk(long change)
{
  struct unwind_start from = UNWIND_START_HERE();
  uint64_t begun = mappings_begin();
  void *before = NEXT(sbrk)(change);
  if (LIKELY(before != MAP_FAILED) && change != 0 && are_seen())
    note_end((uintptr_t)before, change, begun, &from);
  return before;
}
