/* SPDX-License-Identifier: MIT */
/* What net/http/pprof answers to /debug/pprof/symbol: "num_symbols: 1", and a line for each address that has a name,
 * "0x401136 main". Addresses are separated by "+".
 *
 * Failure: NULL and *error; what is no address, or has no name, is left out.
 */
#ifndef HEAPPROF_SYMBOL_ANSWER_H
#define HEAPPROF_SYMBOL_ANSWER_H

#include "tools/state/targets.h"

/* The addresses of a request, uint64_t: those that can be read, and are not 0. */
GArray *symbol_answer_addresses(const char *text, size_t size);

GString *symbol_answer(const struct target *target, const char *text, size_t size, GError **error);

#endif
