/* SPDX-License-Identifier: MIT */
/* U2, U3: local cursors of libunwind, which take its mutex, and under it the loader's, at every step that
 * its cache has no answer for; the cache is flushed, as somebody must who knows of dlclose. Link: -lunwind */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
static void walk(void)
{
  unw_context_t context;
  unw_cursor_t cursor;
  unw_flush_cache(unw_local_addr_space, 0, 0);
  unw_getcontext(&context);
  for (int more = unw_init_local(&cursor, &context) == 0; more > 0;)
    more = unw_step(&cursor);
}
#define MINI_ON_ALLOC(size) ((void)(size), walk())
#include "mini_shim.h"
