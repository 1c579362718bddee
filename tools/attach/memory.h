/* SPDX-License-Identifier: MIT */
/* The memory of another process: its mappings, and its bytes. What is written there is written also where the process
 * itself could not, as debuggers do; within a page all at once, whoever may kill us.
 *
 * Failure: false, and nothing or not all was read or written.
 */
#ifndef HEAPPROF_MEMORY_H
#define HEAPPROF_MEMORY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct memory_mapping {
  uint64_t start, limit, offset;
  bool is_readable, is_writable, is_executable, is_private;
  char *path; /* "" for none */
};

struct memory {
  int pid;
  int descriptor;
  GArray *mappings; /* struct memory_mapping, in order */
};

/* NULL, with errno, where it may not be. */
struct memory *memory_open(int pid);
void memory_close(struct memory *memory);

/* The mappings as they are now. */
bool memory_refresh(struct memory *memory);

bool memory_read(const struct memory *memory, uint64_t address, void *bytes, size_t size);
bool memory_write(const struct memory *memory, uint64_t address, const void *bytes, size_t size);
/* A text of less than `size` bytes. */
bool memory_read_text(const struct memory *memory, uint64_t address, char *text, size_t size);

/* NULL: none. */
const struct memory_mapping *memory_mapping_at(const struct memory *memory, uint64_t address);

/* Does the name of its file begin so? */
bool memory_is_named(const struct memory_mapping *mapping, const char *name);

/* Of the file of which this is code: the mapping that it begins with, below. NULL: none. */
const struct memory_mapping *memory_start_of(const struct memory *memory, const struct memory_mapping *code);

/* The same of the first file with code whose name begins so; `is_alone`: there is no other. */
const struct memory_mapping *memory_find_file(const struct memory *memory, const char *name, bool *is_alone);

#endif
