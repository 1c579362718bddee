/* SPDX-License-Identifier: MIT */
/* Names of C++, Rust (v0 and legacy) and D as people read them: without parameters, template arguments and hashes, as
 * pprof shows them by default.
 *
 * Failure: a name that cannot be taken apart stays as it is. Output is bounded, whatever a name stands for.
 */
#ifndef HEAPPROF_DEMANGLE_H
#define HEAPPROF_DEMANGLE_H

/* A new string; a copy of `symbol` if it is not mangled. */
char *demangle(const char *symbol);

/* Removes template arguments and parameters from a demangled C++ name, in place: "std::vector<int>::push_back(int&&)"
 * -> "std::vector::push_back"; operator<, operator->, operator(), lambdas and anonymous namespaces stay. */
void demangle_simplify(char *name);

#endif
