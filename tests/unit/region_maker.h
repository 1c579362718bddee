/* SPDX-License-Identifier: MIT */
/* State regions in memory, as a process would have written them, for tests of what reads them. */
#ifndef HEAPPROF_REGION_MAKER_H
#define HEAPPROF_REGION_MAKER_H

#include "core/region_format.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAKER_BYTES = 3 * REGION_FIRST_SEGMENT_BYTES, MAKER_HEADER_BYTES = 2144 };

struct maker {
  _Alignas(16) uint8_t bytes[MAKER_BYTES];
  size_t end; /* of the log */
};

static inline struct region_header *maker_header(struct maker *maker)
{
  return (struct region_header *)maker->bytes;
}

static inline void maker_set_end(struct maker *maker, size_t end)
{
  maker->end = end;
  maker_header(maker)->log_end = maker_header(maker)->file_end = end;
}

/* A region without records. Its header is shorter than a real one, which readers take from the header itself. */
static inline void maker_init(struct maker *maker)
{
  memset(maker, 0, sizeof *maker);
  struct region_header *header = maker_header(maker);
  memcpy(header->magic, REGION_MAGIC, sizeof header->magic);
  header->version = REGION_VERSION;
  header->header_bytes = MAKER_HEADER_BYTES;
  header->first_segment_bytes = REGION_FIRST_SEGMENT_BYTES;
  header->pid = 77;
  header->created_unix_ns = 1700000000000000000u;
  header->sample_interval_bytes = 512;
  header->depth = 128;
  strcpy(header->program, "made");
  strcpy(header->allocator, "/lib/liballocator.so");
  maker_set_end(maker, MAKER_HEADER_BYTES);
}

/* Room for a record, which must fit; filled in by the caller, then published. */
static inline struct region_record *maker_reserve(struct maker *maker, size_t size)
{
  size = (size + REGION_GRANULE_BYTES - 1) & ~(size_t)(REGION_GRANULE_BYTES - 1);
  if (size > sizeof maker->bytes - maker->end)
    abort();
  struct region_record *record = (struct region_record *)(maker->bytes + maker->end);
  record->size_bytes = (uint32_t)size;
  maker_set_end(maker, maker->end + size);
  return record;
}

static inline void maker_publish(struct region_record *record, enum region_record_type type, size_t offset,
                                 size_t words)
{
  record->constant_offset = (uint32_t)offset;
  record->constant_words = (uint32_t)words;
  record->hash = region_hash_words((const uint64_t *)((const char *)record + offset), words);
  record->tag = REGION_RECORD_TAG | (uint32_t)type;
}

static inline struct stack_record *maker_add_stack(struct maker *maker, uint32_t flags, const uint64_t *pcs,
                                                   size_t depth)
{
  struct stack_record *stack =
      (struct stack_record *)maker_reserve(maker, sizeof(struct stack_record) + depth * sizeof *pcs);
  stack->flags = flags;
  if (depth > 0)
    memcpy(stack->pcs, pcs, depth * sizeof *pcs);
  maker_publish(&stack->record, REGION_RECORD_STACK, offsetof(struct stack_record, pcs), depth);
  return stack;
}

/* Adds samples of `objects` objects and `bytes` bytes, each with a variance of as much. */
static inline void maker_count(struct tally *tally, double objects, double bytes)
{
  tally->begun = tally->begun + 1;
  tally->objects_q16 = tally->objects_q16 + (uint64_t)(objects * 65536);
  tally->bytes_q4 = tally->bytes_q4 + (uint64_t)(bytes * 16);
  tally->variance_objects = tally->variance_objects + objects;
  tally->variance_bytes = tally->variance_bytes + bytes;
  tally->ended = tally->ended + 1;
}

static inline struct module_record *maker_add_module(struct maker *maker, const char *path, uint64_t start,
                                                     uint64_t limit, bool is_main)
{
  size_t room = (strlen(path) + 8) / 8 * 8, fixed = offsetof(struct module_record, path);
  struct module_record *module = (struct module_record *)maker_reserve(maker, fixed + room);
  module->start = start;
  module->limit = limit;
  module->file_offset = 0x1000;
  module->bias = start - 0x1000;
  module->is_main = is_main;
  module->build_id_bytes = 4;
  memcpy(module->build_id, "\xde\xad\xbe\xef", 4);
  strcpy(module->path, path);
  maker_publish(&module->record, REGION_RECORD_MODULE, offsetof(struct module_record, start), (fixed - 32 + room) / 8);
  return module;
}

#endif
