/* SPDX-License-Identifier: MIT */
/* Functions that allocate on behalf of who called them: the leaf of a stack shall be the caller. */
#ifndef HEAPPROF_ALLOCATION_NAMES_H
#define HEAPPROF_ALLOCATION_NAMES_H

/* For readers of profiles, who know demangled names; pprof anchors the expression at both ends. */
#define ALLOCATION_DROP_FRAMES                                                                                         \
  "malloc|calloc|realloc|reallocarray|memalign|aligned_alloc|posix_memalign|valloc|pvalloc|"                           \
  "(__)?strdup|(__)?strndup|operator new(\\[\\])?|_Zn[aw]m.*|"                                                         \
  "mallocx|rallocx|(__)?libc_(malloc|calloc|realloc|memalign)"

/* Symbols of those that are not the allocator's but call it: libstdc++'s operator new, a static one of the program's own. */
#define ALLOCATION_WRAPPERS                                                                                            \
  "_Znwm", "_Znam", "_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t", "_ZnwmSt11align_val_t", "_ZnamSt11align_val_t",      \
      "_ZnwmSt11align_val_tRKSt9nothrow_t", "_ZnamSt11align_val_tRKSt9nothrow_t", "reallocarray"

#endif
