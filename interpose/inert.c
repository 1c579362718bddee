/* SPDX-License-Identifier: MIT */
#include "interpose/inert.h"

#include "core/dump.h"
#include "core/libc.h"
#include "core/message.h"
#include "core/sampler.h"
#include "core/sys.h"
#include "interpose/loader.h"
#include "interpose/object.h"
#include "interpose/real.h"

#include <sys/auxv.h>

static const char *reason_in_force;

struct any_of {
  const char *const *symbols;
  size_t count;
  const char *found;
};

static int look_for_any(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct any_of *any = argument;
  struct object object;
  (void)size;
  if (!object_read(info, &object))
    return 0;
  for (size_t i = 0; i < any->count; i++) {
    struct object_query query = object_query(any->symbols[i]);
    if (object_export(&object, &query) != NULL)
      any->found = any->symbols[i];
  }
  return any->found != NULL;
}

/* Which of these does a loaded object export? NULL: none. */
static const char *find_exported(const char *const *symbols, size_t count)
{
  struct any_of any = {symbols, count, NULL};
  (void)loader_each(look_for_any, &any);
  return any.found;
}

/* Allocators that must see every call. All sanitizers that bring one (address, thread, memory, leak) have this
 * function; valgrind's tools that watch the heap (memcheck, helgrind, drd, massif, dhat) take every malloc's place,
 * callgrind and others do not. */
static const char *find_other_allocator(void)
{
  static const char *const marks[] = {"__sanitizer_get_allocated_size", "_vgr10010ZU_libcZdsoZa_malloc",
                                      "_vgr10010ZU_VgSoSynsomalloc_malloc"};
  const char *mark = find_exported(marks, COUNT_OF(marks));
  if (mark == NULL)
    return NULL;
  return mark == marks[0] ? "the program is built with a sanitizer, which has an allocator of its own"
                          : "the program runs under valgrind, which has an allocator of its own";
}

const char *inert_find_reason(void)
{
  if (!loader_is_known())
    return "the C library of this program is neither glibc nor musl";
  if (getauxval(AT_SECURE) != 0)
    return "the program runs with raised privileges";
  const char *other = find_other_allocator();
  if (other != NULL)
    return other;
  if (real_is_interposed() && !real_core_agrees())
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

void inert_leave(void)
{
  reason_in_force = NULL;
  dump_set_inert_reason(NULL);
  atomic_store(&sampler_mode, SAMPLER_STOPPED);
}

const char *inert_reason(void)
{
  return reason_in_force;
}
