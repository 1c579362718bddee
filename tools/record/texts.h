/* SPDX-License-Identifier: MIT */
/* Texts of a recording, each once, by a number: names of functions, files, mappings.
 *
 * Memory: texts live as long as they. Failure: false and *error.
 */
#ifndef HEAPPROF_TEXTS_H
#define HEAPPROF_TEXTS_H

#include "tools/record/store.h"

struct texts;

/* Those of the file. */
struct texts *texts_load(struct store *store, GError **error);
void texts_free(struct texts *texts);

/* The number of a text, which may be new. */
uint64_t texts_number(struct texts *texts, const char *text);

/* NULL: there is no such number. */
const char *texts_at(const struct texts *texts, uint64_t number);

/* Puts what is new into the file, in the transaction that is open. */
bool texts_save(struct texts *texts, struct store *store, GError **error);

/* Of the file, keeps only those in `used` (uint64_t *, a set). */
bool texts_sweep(struct store *store, GHashTable *used, GError **error);

#endif
