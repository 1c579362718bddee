/* SPDX-License-Identifier: MIT */
/* S1: a second preloaded library, whose dlsym, dlerror and dl_iterate_phdr allocate before they do their work. They end in
 * tail calls (-O2), so that RTLD_NEXT still means the caller's next. */
#include "hz_victim.h"
#include <dlfcn.h>
#include <link.h>
#include <malloc.h>

enum { KEPT_BYTES = 100 };
static char *kept; /* allocated while somebody looked a symbol up: in a profiler, before it knows the real malloc */

static void allocate(void)
{
  char *p = calloc(1, 4096);
  REQUIRE(p != NULL && p[0] == 0 && p[4095] == 0);
  memset(p, 7, 4096);
  p = realloc(p, 8192);
  REQUIRE(p != NULL && p[0] == 7 && p[4095] == 7);
  p = realloc(p, 16);
  REQUIRE(p != NULL && p[15] == 7);
  free(p);
  if (kept == NULL)
    kept = strcpy(malloc(KEPT_BYTES), "kept");
}

__attribute__((destructor)) static void give_back(void)
{
  REQUIRE(kept == NULL || (malloc_usable_size(kept) >= KEPT_BYTES && strcmp(kept, "kept") == 0));
  free(kept);
}

/* A function that is chosen by a call: who looks for the next definition behind it has to ask dlsym. */
static int resize_array(void *place, size_t count, size_t size)
{
  void *pointer;
  memcpy(&pointer, place, sizeof pointer);
  pointer = reallocarray(pointer, count, size);
  memcpy(place, &pointer, sizeof pointer);
  return pointer == NULL;
}

static int (*choose(void))(void *, size_t, size_t)
{
  return resize_array;
}

int reallocarr(void *place, size_t count, size_t size) __attribute__((ifunc("choose")));

void *dlsym(void *restrict handle, const char *restrict name)
{
  void *(*real)(void *, const char *) = (void *(*)(void *, const char *))dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
  allocate();
  return real(handle, name);
}

char *dlerror(void)
{
  char *(*real)(void) = (char *(*)(void))dlvsym(RTLD_NEXT, "dlerror", "GLIBC_2.34");
  allocate();
  return real();
}

int dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data)
{
  int (*real)(int (*)(struct dl_phdr_info *, size_t, void *), void *) =
      (int (*)(int (*)(struct dl_phdr_info *, size_t, void *), void *))dlvsym(RTLD_NEXT, "dl_iterate_phdr",
                                                                              "GLIBC_2.2.5");
  allocate();
  return real(callback, data);
}
