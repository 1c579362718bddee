/* SPDX-License-Identifier: MIT */
/* Has the program of a process the library inside (libheapprof.a)? Its note tells (core/linked_note.h). The file is
 * hostile input: little of it is read.
 *
 * Failure: false, also where the program is not for us to read.
 */
#ifndef HEAPPROF_LINKED_PROGRAM_H
#define HEAPPROF_LINKED_PROGRAM_H

#include <stdbool.h>

bool linked_program_is(int pid);

#endif
