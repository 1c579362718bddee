/* SPDX-License-Identifier: MIT */
#include "interpose/inert.h"

#include "core/dump.h"
#include "core/libc.h"
#include "core/message.h"
#include "core/sampler.h"
#include "core/sys.h"
#include "interpose/object.h"
#include "interpose/real.h"

#include <sys/auxv.h>

static const char *reason_in_force;

/* All sanitizers that bring an allocator (address, thread, memory, leak) have this function; their allocator must see
 * every call. */
static bool has_sanitizer(void)
{
  static const char *const function = "__sanitizer_get_allocated_size";
  return object_any_exports(&function, 1);
}

/* Its tools that watch the heap (memcheck, helgrind, drd, massif, dhat) take every malloc's place; callgrind and others
 * do not. */
static bool has_valgrind_allocator(void)
{
  static const char *const functions[] = {"_vgr10010ZU_libcZdsoZa_malloc", "_vgr10010ZU_VgSoSynsomalloc_malloc"};
  return object_any_exports(functions, COUNT_OF(functions));
}

const char *inert_find_reason(void)
{
  if (!libc_is_ours())
    return "the C library of this program is not glibc";
  if (getauxval(AT_SECURE) != 0)
    return "the program runs with raised privileges";
  if (has_sanitizer())
    return "the program is built with a sanitizer, which has an allocator of its own";
  if (has_valgrind_allocator())
    return "the program runs under valgrind, which has an allocator of its own";
  if (!real_is_interposed())
    return "the program, or a library before this one, brings its own malloc: its calls do not come here";
  if (!real_core_agrees())
    return "malloc, free, calloc and realloc come from different libraries";
  if (!sys_may_call(SYS_openat))
    return "a library that starts before this one has put a seccomp filter over the process";
  return NULL;
}

void inert_enter(const char *reason, bool is_announced)
{
  reason_in_force = reason;
  dump_set_inert_reason(reason);
  atomic_store(&sampler_mode, SAMPLER_INERT);
  if (is_announced)
    message_print("not profiling: ", reason);
}

const char *inert_reason(void)
{
  return reason_in_force;
}
