/* SPDX-License-Identifier: MIT */
/* The C++ runtime of a caller that has run out of memory, by the names of the C++ ABI: its new handler, and how it
 * throws.
 *
 * It need not be one that a look-up of ours can see: a plug-in opened with RTLD_LOCAL has it for itself, mostly through
 * libraries that the loader gives no search list of their own. So the caller's object is asked first, then what it was
 * linked with, then all others.
 *
 * Threads: the loader's lock for its list is held while that is read, nothing of ours. Memory: none is needed.
 */
#ifndef HEAPPROF_CXX_RUNTIME_H
#define HEAPPROF_CXX_RUNTIME_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stddef.h>

struct cxx_runtime {
  void (*(*get_new_handler)(void))(void);
  void *(*allocate_exception)(size_t size);
  void (*throw_exception)(void *exception, void *type, void (*destroy)(void *exception));
  void *bad_alloc_type, *bad_alloc_vtable;
  void (*bad_alloc_destroy)(void *exception);
};

/* False: there is none, so nobody could catch what it throws. */
bool cxx_runtime_find(const void *caller, struct cxx_runtime *runtime);

#endif
