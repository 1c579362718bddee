/* SPDX-License-Identifier: MIT */
/* Functions of C++'s standard library that run what they are given, at the outer end of a thread's stack: what a thread
 * runs is inlined into one of them, and is told only by its template arguments.
 */
#ifndef HEAPPROF_RUNNERS_H
#define HEAPPROF_RUNNERS_H

#include <glib.h>
#include <libiberty/demangle.h>

/* The types of the program in the template arguments of a demangled name, "main::{lambda()#1}"; "" if there are none.
 * `print` is called with each: a new text, or NULL. */
char *runners_find_types(struct demangle_component *tree, GString *(*print)(struct demangle_component *type));

/* Puts the types into the name, without template arguments, of such a function:
 * "std::thread::_State_impl::_M_run" -> "std::thread::_State_impl<main::{lambda()#1}>::_M_run". */
void runners_add_types(GString *name, const char *types);

#endif
