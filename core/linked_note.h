/* SPDX-License-Identifier: MIT */
/* The note (ELF's PT_NOTE) of a program that has the library inside. */
#ifndef HEAPPROF_LINKED_NOTE_H
#define HEAPPROF_LINKED_NOTE_H

#include <stdint.h>

#define LINKED_NOTE_NAME "heapprof"

enum { LINKED_NOTE_TYPE = 1 };

struct linked_note {
  uint32_t name_bytes, descriptor_bytes, type;
  char name[12]; /* in whole words */
};

#endif
