/* SPDX-License-Identifier: MIT */
/* The only one that the program can have. These are there if anything throws std::bad_alloc, or catches it. */
#include "interpose/cxx_runtime.h"

#define WEAK __attribute__((weak))

extern void (*_ZSt15get_new_handlerv(void))(void) WEAK;
extern void *__cxa_allocate_exception(size_t size) WEAK;
extern void __cxa_throw(void *exception, void *type, void (*destroy)(void *exception)) WEAK;
extern void _ZNSt9bad_allocD1Ev(void *exception) WEAK;
extern char _ZTISt9bad_alloc[] WEAK, _ZTVSt9bad_alloc[] WEAK;

bool cxx_runtime_find(const void *caller, struct cxx_runtime *runtime)
{
  (void)caller;
  *runtime = (struct cxx_runtime){_ZSt15get_new_handlerv, __cxa_allocate_exception, __cxa_throw,
                                  _ZTISt9bad_alloc,       _ZTVSt9bad_alloc,         _ZNSt9bad_allocD1Ev};
  return runtime->allocate_exception != NULL && runtime->throw_exception != NULL &&
         runtime->bad_alloc_destroy != NULL && runtime->bad_alloc_type != NULL && runtime->bad_alloc_vtable != NULL;
}
