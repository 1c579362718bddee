/* SPDX-License-Identifier: MIT */
/* A page that the build made, as it lies in the program. */
#ifndef HEAPPROF_BUILT_PAGE_H
#define HEAPPROF_BUILT_PAGE_H

#include <glib.h>

/* NAME_start and NAME_end. The assembler finds the file: in the build directory, or in that of the sources when it
 * came with a release. */
#define BUILT_PAGE(name, file)                                                                                         \
  __asm__(".pushsection .rodata\n" #name "_start: .incbin \"" file "\"\n" #name "_end: .byte 0\n.popsection\n");       \
  extern const char name##_start[] __attribute__((visibility("hidden")));                                              \
  extern const char name##_end[] __attribute__((visibility("hidden")))

/* A copy with `json`, which holds no <, in the place that it has for that. */
GBytes *built_page_with(const char *start, const char *end, const GString *json);

#endif
