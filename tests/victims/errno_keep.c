/* SPDX-License-Identifier: MIT */
/* Calls that succeed leave errno as it was, whatever the profiler does meanwhile. */
#include "shadow.h"

#include <errno.h>

enum { MARK = 4321 };

#define KEEPS_ERRNO(call)                                                                                              \
  do {                                                                                                                 \
    errno = MARK;                                                                                                      \
    call;                                                                                                              \
    REQUIRE(errno == MARK);                                                                                            \
  } while (0)

VICTIM void victim_call_all(size_t size)
{
  void *p, *q;
  KEEPS_ERRNO(p = shadow_add(malloc(size), size));
  KEEPS_ERRNO(q = shadow_add(calloc(1, size), size));
  KEEPS_ERRNO(p = shadow_add(realloc(p, 2 * size), 2 * size));
  shadow_remove(size);
  KEEPS_ERRNO(free(p));
  shadow_remove(2 * size);
  KEEPS_ERRNO(free(q));
  shadow_remove(size);
  KEEPS_ERRNO(p = shadow_add(aligned_alloc(64, 64 * size), 64 * size));
  KEEPS_ERRNO(free(p));
  shadow_remove(64 * size);
  int result;
  KEEPS_ERRNO(result = posix_memalign(&p, 64, size));
  REQUIRE(result == 0);
  shadow_add(p, size);
}

int main(void)
{
  for (size_t size = 1; size < 20000; size += 100) /* mmap of the tables to grow falls in here, too */
    victim_call_all(size);
  shadow_print();
  return 0;
}
