/* SPDX-License-Identifier: MIT */
#include "tools/state/region_log.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Words that may be hashed in vain: as many as the log has, and these. More is no accident. */
enum { WASTE_WORDS = 1 << 16 };

/* Readers of profiles take 0 for no address; behind the last page of all there is no first address behind it. */
#define ADDRESS_MAX (UINT64_MAX - 4096)

struct log_record {
  const uint8_t *at;
  uint32_t type, size_bytes, constant_offset, constant_words;
};

static void refuse(GError **error, const char *name, const char *why)
{
  g_set_error(error, REGION_ERROR, REGION_ERROR_UNUSABLE, "%s %s", name, why);
}

static bool is_power_of_two(uint64_t value)
{
  return value != 0 && (value & (value - 1)) == 0;
}

static bool is_supported(const struct region_header *header, size_t size, const char *name, GError **error)
{
  uint64_t magic = __atomic_load_n((const uint64_t *)header->magic, __ATOMIC_ACQUIRE); /* stored last */
  uint32_t version = __atomic_load_n(&header->version, __ATOMIC_RELAXED);
  if (magic == 0 && size >= REGION_HEADER_BYTES)
    g_set_error(error, REGION_ERROR, REGION_ERROR_UNREADY,
                "%s is a state file that its process has not finished making", name);
  else if (memcmp(&magic, REGION_MAGIC, sizeof magic) != 0)
    refuse(error, name, "is not a state file of heapprof");
  else if (version != REGION_VERSION)
    g_set_error(error, REGION_ERROR, REGION_ERROR_UNUSABLE,
                "%s is a state file of version %u; this heapprof reads version %u, so it is left alone", name, version,
                REGION_VERSION);
  else
    return true;
  return false;
}

bool region_log_open(struct region_log *log, const uint8_t *bytes, size_t size, const char *name, GError **error)
{
  const struct region_header *header = (const struct region_header *)bytes;
  if (size < sizeof *header) {
    refuse(error, name, "is too short for a state file of heapprof");
    return false;
  }
  if (!is_supported(header, size, name, error))
    return false;
  *log = (struct region_log){.bytes = bytes, .header_bytes = header->header_bytes};
  log->first_segment_bytes = header->first_segment_bytes;
  if (log->header_bytes % REGION_GRANULE_BYTES != 0 || log->header_bytes < sizeof *header ||
      !is_power_of_two(log->first_segment_bytes) || log->first_segment_bytes <= log->header_bytes) {
    refuse(error, name, "is a damaged state file: its header gives impossible sizes");
    return false;
  }
  /* In this order: the file grows before the log runs into what is new. */
  uint64_t log_end = atomic_load_explicit(&header->log_end, memory_order_acquire);
  uint64_t file_end = atomic_load_explicit(&header->file_end, memory_order_acquire);
  log->end = MIN(MIN(log_end, file_end), size);
  log->is_whole = log->end == log_end;
  region_log_rewind(log);
  return true;
}

void region_log_rewind(struct region_log *log)
{
  log->position = log->header_bytes;
  log->wasted_words = 0;
}

/* No record crosses the end of the segment that it lies in: [0, F), [F, 2F), [2F, 4F), ... */
static uint64_t segment_end(const struct region_log *log, uint64_t position)
{
  uint64_t end = log->first_segment_bytes;
  while (end <= position)
    end *= 2;
  return end;
}

bool region_log_is_hostile(const struct region_log *log)
{
  return log->wasted_words > WASTE_WORDS + log->end / sizeof(uint64_t);
}

static bool has_right_hash(struct region_log *log, const struct log_record *record, uint64_t hash)
{
  if (region_log_is_hostile(log))
    return false;
  const uint64_t *words = (const uint64_t *)(record->at + record->constant_offset);
  if (region_hash_words(words, record->constant_words) == hash)
    return true;
  log->wasted_words += record->constant_words;
  return false;
}

/* Is there a finished record with `room` bytes to lie in? */
static bool accept(struct region_log *log, uint64_t room, struct log_record *record)
{
  const struct region_record *at = (const struct region_record *)(log->bytes + log->position);
  uint32_t tag = atomic_load_explicit(&at->tag, memory_order_acquire);
  if ((tag & ~0xffu) != REGION_RECORD_TAG)
    return false;
  *record = (struct log_record){.at = (const uint8_t *)at,
                                .type = tag & 0xffu,
                                .size_bytes = __atomic_load_n(&at->size_bytes, __ATOMIC_RELAXED),
                                .constant_offset = __atomic_load_n(&at->constant_offset, __ATOMIC_RELAXED),
                                .constant_words = __atomic_load_n(&at->constant_words, __ATOMIC_RELAXED)};
  return record->size_bytes >= sizeof *at && record->size_bytes <= room &&
         record->size_bytes % REGION_GRANULE_BYTES == 0 && record->constant_offset % sizeof(uint64_t) == 0 &&
         record->constant_offset <= record->size_bytes &&
         record->constant_words <= (record->size_bytes - record->constant_offset) / sizeof(uint64_t) &&
         has_right_hash(log, record, __atomic_load_n(&at->hash, __ATOMIC_RELAXED));
}

static bool next(struct region_log *log, enum region_record_type type, struct log_record *record)
{
  uint64_t segment = 0;
  while (log->position + 2 * REGION_GRANULE_BYTES <= log->end) {
    if (log->position >= segment)
      segment = segment_end(log, log->position);
    if (!accept(log, MIN(segment, log->end) - log->position, record)) {
      log->position += REGION_GRANULE_BYTES; /* reserved but never finished: the next record is further on */
      continue;
    }
    log->position += record->size_bytes;
    if (record->type == type)
      return true;
  }
  return false;
}

static bool copy_pcs(const struct log_record *record, GArray *pcs)
{
  g_array_set_size(pcs, record->constant_words);
  if (record->constant_words > 0)
    memcpy(pcs->data, record->at + record->constant_offset, record->constant_words * sizeof(uint64_t));
  for (uint32_t i = 0; i < pcs->len; i++) {
    uint64_t pc = g_array_index(pcs, uint64_t, i);
    if (pc == 0 || pc > ADDRESS_MAX)
      return false;
  }
  return true;
}

const struct stack_record *region_log_next_stack(struct region_log *log, GArray *pcs)
{
  struct log_record record;
  while (next(log, REGION_RECORD_STACK, &record))
    if (record.constant_offset == offsetof(struct stack_record, pcs) && copy_pcs(&record, pcs))
      return (const struct stack_record *)record.at;
  return NULL;
}

static bool copy_module(const struct log_record *record, struct region_log_module *module)
{
  const size_t path_offset = offsetof(struct module_record, path);
  if (record->constant_offset != offsetof(struct module_record, start) || record->size_bytes <= path_offset)
    return false;
  struct module_record fixed;
  memcpy((void *)&fixed, record->at, path_offset);
  *module = (struct region_log_module){.start = fixed.start,
                                       .limit = fixed.limit,
                                       .file_offset = fixed.file_offset,
                                       .is_main = fixed.is_main == 1,
                                       .build_id_bytes = fixed.build_id_bytes};
  if (module->start >= module->limit || module->build_id_bytes > sizeof module->build_id)
    return false;
  memcpy(module->build_id, fixed.build_id, sizeof module->build_id);
  size_t room = record->size_bytes - path_offset;
  module->path = g_malloc(room);
  memcpy(module->path, record->at + path_offset, room);
  if (memchr(module->path, '\0', room) != NULL)
    return true;
  g_free(module->path);
  return false;
}

bool region_log_next_module(struct region_log *log, struct region_log_module *module)
{
  struct log_record record;
  while (next(log, REGION_RECORD_MODULE, &record))
    if (copy_module(&record, module))
      return true;
  return false;
}

/* Sums. */

/* In-use and allocated of one stack that agree. Where the writer is fast and we were interrupted between reading what was freed
 * and what was allocated, all that passed through meanwhile would seem in use: so the try with the least of that is taken. */
struct stack_sums region_log_sums(const struct stack_record *stack)
{
  struct stack_sums best = {.allocated = {0}};
  uint64_t least = UINT64_MAX;
  for (int attempt = 0; attempt < 4 && least > 0; attempt++) {
    uint64_t before = atomic_load_explicit(&stack->freed.ended, memory_order_acquire);
    struct stack_sums sums = tally_read(&stack->allocated, &stack->freed);
    uint64_t passed = atomic_load_explicit(&stack->freed.begun, memory_order_acquire) - before;
    if (passed >= least && attempt > 0)
      continue;
    least = passed;
    best = sums;
  }
  return best;
}

double region_log_variance(double value)
{
  return isfinite(value) && value > 0 ? value : 0;
}
