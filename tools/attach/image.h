/* SPDX-License-Identifier: MIT */
/* A loaded object in the memory of another process, and the functions and variables that it gives to others: read
 * from there, so the file may be gone, or in another mount namespace.
 *
 *  * Failure: NULL, 0.
 */
#ifndef HEAPPROF_IMAGE_H
#define HEAPPROF_IMAGE_H

#include "tools/attach/memory.h"

struct image_symbol {
  uint64_t start, bytes;
  char *name;
};

struct image {
  uint64_t start, limit; /* of all of its segments */
  uint64_t bias;
  GArray *symbols;   /* struct image_symbol, by start */
  char *name;        /* by which others need it: what it calls itself, else its file's, without a folder */
  GPtrArray *needed; /* such names */
};

struct image *image_read(const struct memory *memory, uint64_t start);
void image_free(struct image *image);

static inline bool image_holds(const struct image *image, uint64_t address)
{
  return image != NULL && address >= image->start && address < image->limit;
}

const struct image_symbol *image_find_symbol(const struct image *image, const char *name);
/* Its address; 0: it has none of that name. */
uint64_t image_find(const struct image *image, const char *name);

/* Those whose code holds the address: the next of them, from `from` on, which then is behind it; NULL: no more. */
const char *image_name_at(const struct image *image, uint64_t address, guint *from);

/* Where these bytes are in its code; 0: nowhere. */
uint64_t image_find_code(const struct image *image, const struct memory *memory, const void *bytes, size_t size);

#endif
