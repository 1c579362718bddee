/* SPDX-License-Identifier: MIT */
/* From ids, in any order and with gaps, to our indexes. Sorted, not hashed: no input can make them collide.
 *
 * Failure: false for an id that is given twice or is not there.
 */
#ifndef HEAPPROF_IDS_H
#define HEAPPROF_IDS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct ids {
  GArray *entries; /* struct id_entry */
};

void ids_init(struct ids *ids);
void ids_clear(struct ids *ids);

void ids_add(struct ids *ids, uint64_t id, uint32_t index);

/* Between the last ids_add and the first ids_find. False: *wrong is 0, which is no id, or there twice. */
bool ids_sort(struct ids *ids, uint64_t *wrong);

/* False: there is no such id. */
bool ids_find(const struct ids *ids, uint64_t id, uint32_t *index);

#endif
