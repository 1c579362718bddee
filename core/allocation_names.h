/* SPDX-License-Identifier: MIT */
/* Functions that allocate for their caller: the leaf of a stack should be that caller. */
#ifndef HEAPPROF_ALLOCATION_NAMES_H
#define HEAPPROF_ALLOCATION_NAMES_H

/* For readers of profiles, who know demangled names; pprof anchors the expression at both ends. */
#define ALLOCATION_DROP_FRAMES                                                                                         \
  "malloc|calloc|realloc|reallocarray|memalign|aligned_alloc|posix_memalign|valloc|pvalloc|"                           \
  "(__)?strdup|(__)?strndup|operator new(\\[\\])?|_Zn[aw]m.*|"                                                         \
  "mallocx|rallocx|(__)?libc_(malloc|calloc|realloc|memalign)"

/* Symbols of the functions that call the allocator without being part of it: libstdc++'s operator new, or a copy linked
 * into the program. */
#define ALLOCATION_WRAPPERS                                                                                            \
  "_Znwm", "_Znam", "_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t", "_ZnwmSt11align_val_t", "_ZnamSt11align_val_t",      \
      "_ZnwmSt11align_val_tRKSt9nothrow_t", "_ZnamSt11align_val_tRKSt9nothrow_t", "reallocarray"

#endif
