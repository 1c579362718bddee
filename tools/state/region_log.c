/* SPDX-License-Identifier: MIT */
#include "tools/state/region_log.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum {
  WASTE_WORDS = 1 << 16,       /* that may be hashed in vain, besides as many as the log has. More is no accident. */
  RECORD_BYTES_MAX = 64 << 10, /* the library's are 8 KiB at most: a path, or the deepest stack */
  WINDOW_BYTES = 4 * RECORD_BYTES_MAX,
  ATTEMPTS = 8,
};

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

static bool is_supported(const struct region_header *header, uint64_t size, const char *name, GError **error)
{
  static const char unready[sizeof header->magic];
  if (memcmp(header->magic, unready, sizeof unready) == 0 && size >= REGION_HEADER_BYTES) /* it is stored last */
    g_set_error(error, REGION_ERROR, REGION_ERROR_UNREADY,
                "%s is a state file that its process has not finished making", name);
  else if (memcmp(header->magic, REGION_MAGIC, sizeof header->magic) != 0)
    refuse(error, name, "is not a state file of heapprof");
  else if (header->version != REGION_VERSION)
    g_set_error(error, REGION_ERROR, REGION_ERROR_UNUSABLE,
                "%s is a state file of version %u; this heapprof reads version %u, so it is left alone", name,
                header->version, REGION_VERSION);
  else
    return true;
  return false;
}

/* In this order, and behind a magic that was there: the file grows before the log runs into what is new. */
static void read_header(struct region_log *log, uint64_t size)
{
  struct region_header *header = &log->header;
  size_t there = (size_t)MIN(size, sizeof *header);
  uint64_t log_end;
  region_bytes_read(log->bytes, 0, (void *)header, sizeof header->magic);
  region_bytes_read(log->bytes, offsetof(struct region_header, log_end), &log_end, sizeof log_end);
  region_bytes_read(log->bytes, sizeof header->magic, (uint8_t *)header + sizeof header->magic,
                    there - sizeof header->magic);
  atomic_store_explicit(&header->log_end, log_end, memory_order_relaxed);
}

/* Records follow there. */
static void forget_beyond_header(struct region_log *log)
{
  if (log->header_bytes < sizeof log->header)
    memset((uint8_t *)&log->header + log->header_bytes, 0, sizeof log->header - log->header_bytes);
}

static bool has_possible_sizes(const struct region_log *log)
{
  return log->header_bytes % REGION_GRANULE_BYTES == 0 && log->header_bytes >= REGION_HEADER_LEAST_BYTES &&
         is_power_of_two(log->first_segment_bytes) && log->first_segment_bytes > log->header_bytes;
}

static size_t window_bytes(const struct region_log *log)
{
  return (size_t)MIN(log->end, (uint64_t)WINDOW_BYTES);
}

bool region_log_open(struct region_log *log, struct region_bytes *bytes, uint64_t size, GError **error)
{
  const char *name = region_bytes_name(bytes);
  *log = (struct region_log){.bytes = bytes};
  if (size < REGION_HEADER_LEAST_BYTES) {
    refuse(error, name, "is too short for a state file of heapprof");
    return false;
  }
  read_header(log, size);
  if (!is_supported(&log->header, size, name, error))
    return false;
  log->header_bytes = log->header.header_bytes;
  log->first_segment_bytes = log->header.first_segment_bytes;
  forget_beyond_header(log);
  if (!has_possible_sizes(log)) {
    refuse(error, name, "is a damaged state file: its header gives impossible sizes");
    return false;
  }
  uint64_t log_end = atomic_load_explicit(&log->header.log_end, memory_order_relaxed);
  uint64_t file_end = atomic_load_explicit(&log->header.file_end, memory_order_relaxed);
  log->end = MIN(MIN(log_end, file_end), size);
  log->is_whole = log->end == log_end;
  log->before = g_malloc(window_bytes(log));
  log->window = g_malloc(window_bytes(log));
  region_log_rewind(log);
  return true;
}

void region_log_close(struct region_log *log)
{
  g_clear_pointer(&log->before, g_free);
  g_clear_pointer(&log->window, g_free);
}

void region_log_rewind(struct region_log *log)
{
  log->position = log->header_bytes;
  log->wasted_words = 0;
  log->window_bytes = 0;
}

struct peak_moments region_log_moments(const struct region_log *log)
{
  struct region_header now = {.sample_interval_bytes = log->header.sample_interval_bytes};
  region_bytes_read(log->bytes, offsetof(struct region_header, halves), now.halves, sizeof now.halves);
  return peak_moments(&now);
}

/* The window. */

static void load_window(struct region_log *log)
{
  log->window_at = log->position;
  log->window_bytes = (size_t)MIN(log->end - log->position, (uint64_t)WINDOW_BYTES);
  region_bytes_read(log->bytes, log->window_at, log->before, log->window_bytes);
  region_bytes_read(log->bytes, log->window_at, log->window, log->window_bytes);
  log->window_moments = region_log_moments(log);
}

/* Are there that many bytes from the position on in the window? */
static bool is_in_window(const struct region_log *log, uint64_t size)
{
  uint64_t offset = log->position - log->window_at;
  return log->window_bytes > 0 && offset <= log->window_bytes && size <= log->window_bytes - offset;
}

static uint8_t *at_position(const struct region_log *log, uint8_t *window)
{
  return window + (log->position - log->window_at);
}

/* False: the log ends, or there is nothing but a hole behind. */
static bool go_to_data(struct region_log *log)
{
  uint64_t data = region_bytes_skip_hole(log->bytes, log->position);
  if (data >= log->end)
    return false;
  log->position = MAX(log->position, data & ~(uint64_t)(REGION_GRANULE_BYTES - 1));
  load_window(log);
  return true;
}

/* Records. */

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

/* Was there a finished record, with `room` bytes to lie in, when the window was read first? Then all of it was there
 * when it was read again. */
static bool read_record(const struct region_log *log, uint64_t room, struct log_record *record)
{
  const struct region_record *before = (const struct region_record *)at_position(log, log->before);
  const struct region_record *at = (const struct region_record *)at_position(log, log->window);
  uint32_t tag = atomic_load_explicit(&before->tag, memory_order_relaxed);
  *record = (struct log_record){.at = (const uint8_t *)at,
                                .type = tag & 0xffu,
                                .size_bytes = at->size_bytes,
                                .constant_offset = at->constant_offset,
                                .constant_words = at->constant_words};
  return (tag & ~0xffu) == REGION_RECORD_TAG && record->size_bytes >= sizeof *at && record->size_bytes <= room &&
         record->size_bytes <= RECORD_BYTES_MAX && record->size_bytes % REGION_GRANULE_BYTES == 0 &&
         record->constant_offset % sizeof(uint64_t) == 0 && record->constant_offset <= record->size_bytes &&
         record->constant_words <= (record->size_bytes - record->constant_offset) / sizeof(uint64_t);
}

static bool accept(struct region_log *log, uint64_t room, struct log_record *record)
{
  if (!read_record(log, room, record))
    return false;
  if (!is_in_window(log, record->size_bytes)) {
    load_window(log);
    if (!read_record(log, room, record) || !is_in_window(log, record->size_bytes))
      return false;
  }
  return has_right_hash(log, record, ((const struct region_record *)record->at)->hash);
}

static bool next(struct region_log *log, enum region_record_type type, struct log_record *record)
{
  uint64_t segment = 0;
  while (log->position + 2 * REGION_GRANULE_BYTES <= log->end) {
    if (!is_in_window(log, sizeof(struct region_record))) {
      if (!go_to_data(log))
        return false;
      continue;
    }
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

/* Sums. */

enum {
  SUMS_OFFSET = offsetof(struct stack_record, allocated),
  SUMS_BYTES = offsetof(struct stack_record, pcs) - SUMS_OFFSET
};

/* Of sums that were never the same twice: what was freed is taken from before what was allocated, so that nothing in
 * use gets negative; a peak that was being written counts as unfinished. */
static void take_as_they_are(const struct stack_record *before, struct stack_record *stack)
{
  memcpy((void *)&stack->freed, (const void *)&before->freed, sizeof stack->freed);
  for (unsigned i = 0; i < HALVES * PEAK_SLOTS; i++) {
    const struct peak *old = &before->halves[i / PEAK_SLOTS].peaks[i % PEAK_SLOTS];
    struct peak *new = &stack->halves[i / PEAK_SLOTS].peaks[i % PEAK_SLOTS];
    if (memcmp((const void *)old, (const void *)new, sizeof *new) != 0)
      atomic_store_explicit(&new->stamp, PEAK_IS_WRITTEN, memory_order_relaxed);
  }
}

/* Sums only grow: if all are the same twice, they agree with each other. Where the writer is fast, all that passed
 * between the two readings would seem in use, so those are taken that were nearest to each other. */
static void settle(struct region_log *log, const uint8_t *before, uint8_t *stack)
{
  uint64_t at = log->window_at + (uint64_t)(stack - log->window) + SUMS_OFFSET, least = UINT64_MAX;
  struct stack_record pair[2], best[2];
  uint8_t *one = (uint8_t *)&pair[0] + SUMS_OFFSET, *other = (uint8_t *)&pair[1] + SUMS_OFFSET;
  memcpy(one, before + SUMS_OFFSET, SUMS_BYTES);
  memcpy(other, stack + SUMS_OFFSET, SUMS_BYTES);
  if (memcmp(one, other, SUMS_BYTES) == 0)
    return;
  for (int attempt = 0; memcmp(one, other, SUMS_BYTES) != 0; attempt++) {
    uint64_t passed = atomic_load_explicit(&pair[1].freed.begun, memory_order_relaxed) -
                      atomic_load_explicit(&pair[0].freed.ended, memory_order_relaxed);
    if (passed < least || attempt == 0)
      memcpy((void *)best, (const void *)pair, sizeof pair);
    least = MIN(least, passed);
    if (attempt == ATTEMPTS) {
      take_as_they_are(&best[0], &best[1]);
      memcpy(stack + SUMS_OFFSET, (const uint8_t *)&best[1] + SUMS_OFFSET, SUMS_BYTES);
      return;
    }
    region_bytes_read(log->bytes, at, one, SUMS_BYTES);
    region_bytes_read(log->bytes, at, other, SUMS_BYTES);
    log->moments = region_log_moments(log);
  }
  memcpy(stack + SUMS_OFFSET, other, SUMS_BYTES);
}

void region_log_reread(struct region_log *log, const struct stack_record *stack)
{
  uint8_t *at = log->window + ((const uint8_t *)stack - log->window), before[sizeof *stack];
  uint64_t in_file = log->window_at + (uint64_t)(at - log->window) + SUMS_OFFSET;
  region_bytes_read(log->bytes, in_file, before + SUMS_OFFSET, SUMS_BYTES);
  region_bytes_read(log->bytes, in_file, at + SUMS_OFFSET, SUMS_BYTES);
  log->moments = region_log_moments(log);
  settle(log, before, at);
}

/* Stacks. */

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

static const struct stack_record *next_stack(struct region_log *log, enum region_record_type type, GArray *pcs)
{
  struct log_record record;
  while (next(log, type, &record))
    if (record.constant_offset == offsetof(struct stack_record, pcs) && copy_pcs(&record, pcs)) {
      size_t offset = (size_t)(record.at - log->window);
      log->moments = log->window_moments;
      settle(log, log->before + offset, log->window + offset);
      return (const struct stack_record *)record.at;
    }
  return NULL;
}

const struct stack_record *region_log_next_stack(struct region_log *log, GArray *pcs)
{
  return next_stack(log, REGION_RECORD_STACK, pcs);
}

const struct stack_record *region_log_next_mapped(struct region_log *log, GArray *pcs)
{
  return next_stack(log, REGION_RECORD_MAPPED, pcs);
}

uint64_t region_log_granule(const struct region_log *log, const struct stack_record *stack)
{
  return (log->window_at + (uint64_t)((const uint8_t *)stack - log->window)) / REGION_GRANULE_BYTES;
}

/* Ranges. */

/* One that changed meanwhile is of two moments. */
static void add_range(GArray *ranges, const struct mapped_range *before, const struct mapped_range *now)
{
  uint64_t word = atomic_load_explicit(&now->range, memory_order_relaxed);
  struct region_range range = {.start = range_first(word) << RANGE_PAGE_SHIFT,
                               .limit = (range_first(word) + range_pages(word)) << RANGE_PAGE_SHIFT,
                               .stack = atomic_load_explicit(&now->stack, memory_order_relaxed)};
  if (memcmp((const void *)before, (const void *)now, sizeof *now) == 0 && range.start < range.limit)
    g_array_append_val(ranges, range);
}

bool region_log_next_ranges(struct region_log *log, GArray *ranges)
{
  struct log_record record;
  if (!next(log, REGION_RECORD_RANGES, &record))
    return false;
  size_t count = record.size_bytes / sizeof(struct mapped_range), at = (size_t)(record.at - log->window);
  const struct ranges_record *before = (const struct ranges_record *)(log->before + at),
                             *now = (const struct ranges_record *)record.at;
  for (size_t i = 0; i + 2 < count && record.size_bytes >= sizeof *now; i++)
    add_range(ranges, &before->ranges[i], &now->ranges[i]);
  return true;
}

/* Modules. */

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

double region_log_variance(double value)
{
  return isfinite(value) && value > 0 ? value : 0;
}
