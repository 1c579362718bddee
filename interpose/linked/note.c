/* SPDX-License-Identifier: MIT */
/* Tells who looks at the program's file or at its image that the library is inside: a note of ELF's. */
#include "core/linked_note.h"

__attribute__((section(".note.heapprof"), used, aligned(4))) static const struct linked_note note = {
    .name_bytes = sizeof LINKED_NOTE_NAME, .type = LINKED_NOTE_TYPE, .name = LINKED_NOTE_NAME};
