/* SPDX-License-Identifier: MIT */
/* The code of a loaded object in the memory of another process, and where its functions begin, as the tables for
 * unwinding have it, which no file is without.
 *
 * Failure: NULL where these are not as all linkers write them.
 */
#ifndef HEAPPROF_ATTACH_FUNCTIONS_H
#define HEAPPROF_ATTACH_FUNCTIONS_H

#include "tools/attach/image.h"

struct functions {
  const struct memory *memory;
  struct function {
    uint64_t start, table_entry;
  } * all; /* sorted; what lies behind one and has no entry of its own counts with it */
  uint32_t count;
  uint64_t code_start, code_limit;
  uint8_t *bytes; /* from code_start on */
};

/* The memory must live as long. */
struct functions *functions_read(const struct memory *memory, const struct image *image);
void functions_free(struct functions *functions);

static inline bool functions_are_at(const struct functions *functions, uint64_t address)
{
  return address >= functions->code_start && address < functions->code_limit;
}

/* Its number; count: what lies before all of them, or is not code. */
uint32_t functions_number_at(const struct functions *functions, uint64_t address);

/* As its entry says; 0: it says so in another form than compilers write. */
uint64_t functions_end_of(const struct functions *functions, uint32_t number);

#endif
