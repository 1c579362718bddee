/* SPDX-License-Identifier: MIT */
/* Names that a runtime gave to code that it generated, for the addresses at hand. Memory does not grow with what is
 * offered, and all offers together cost little more than reading them. */
#ifndef HEAPPROF_CODE_NAMES_H
#define HEAPPROF_CODE_NAMES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct code_names;

/* `addresses` are sorted, each once. */
struct code_names *code_names_new(const uint64_t *addresses, uint32_t count);
void code_names_free(struct code_names *names);

/* Names those addresses from `start` on that have no name yet: what was generated last is offered first. The name need
 * not be UTF-8, and is cut at 4 KiB. */
void code_names_offer(struct code_names *names, uint64_t start, uint64_t size, const char *name, size_t length);

bool code_names_are_complete(const struct code_names *names);

/* Of the address at that index; NULL: none. */
const char *code_names_get(const struct code_names *names, uint32_t index);

#endif
