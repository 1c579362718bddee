/* SPDX-License-Identifier: MIT */
/* State regions made by anybody: what is accepted becomes a profile that our own reader of profiles accepts. */
#include "core/region_format.h"
#include "tools/state/region_file.h"

#include "heap_checks.h"
#include "must.h"

#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t limit);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t limit, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_own_samples(const struct heap *heap)
{
  MUST(heap->values->len == heap->samples->len * heap->types->len);
  MUST(heap->variances->len == heap->values->len);
  for (guint i = 0; i < heap->samples->len; i++) {
    const struct heap_sample *sample = heap_sample(heap, i);
    MUST(sample->frame_count > 0);
    for (uint32_t frame = 0; frame < sample->frame_count; frame++)
      MUST(heap_frames(heap, sample)[frame] < heap->locations->len);
    for (guint type = 0; type < heap->types->len; type++) {
      MUST(heap_values(heap, i)[type] >= 0);
      MUST(heap_variance(heap, i, (int)type) >= 0);
    }
  }
}

static void check_own_locations(const struct heap *heap)
{
  for (guint i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    MUST(location->address != 0 && location->mapping < heap->mappings->len);
    const struct heap_mapping *mapping = heap_mapping(heap, location->mapping);
    MUST(mapping->start <= location->address && location->address < mapping->limit);
  }
}

static void check_profile(const struct heap *heap)
{
  struct heap *back = write_and_read(heap);
  MUST(back->samples->len == heap->samples->len);
  heap_free(back);
}

static void check_moment(struct region_file *file, enum region_moment moment)
{
  g_autoptr(GError) error = NULL;
  struct heap *heap = region_file_read(file, moment, "fuzzed", &error);
  MUST((heap != NULL) != (error != NULL));
  if (heap == NULL)
    return;
  check_own_samples(heap);
  check_own_locations(heap);
  if (moment == REGION_NOW)
    check_profile(heap);
  heap_free(heap);
}

static void check_halves(struct region_file *file)
{
  struct region_halves halves;
  if (!region_file_read_halves(file, &halves, NULL))
    return;
  for (unsigned half = 0; half < HALVES; half++) {
    MUST(halves.now[half].bytes >= 0 && halves.now[half].variance >= 0);
    MUST(halves.then[half].bytes >= 0 && halves.then[half].variance >= 0);
    MUST(halves.inherited[half].bytes >= 0 && halves.moments[half] >= 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GError) error = NULL;
  struct region_file *file = region_file_of_bytes(data, size, "input", &error);
  MUST((file != NULL) != (error != NULL));
  if (file == NULL)
    return 0;
  struct region_summary summary;
  if (region_file_summarize(file, &summary, NULL))
    MUST(summary.in_use_bytes >= 0 && summary.in_use_bytes_variance >= 0);
  check_halves(file);
  check_moment(file, REGION_NOW);
  check_moment(file, REGION_PEAK);
  region_file_close(file);
  return 0;
}

/* Chance never finds the hash of a record: it is put right, so that what lies behind the check is tried too. */
static void repair_hashes(uint8_t *data, size_t size)
{
  struct region_header *header = g_new0(struct region_header, 1);
  memcpy((void *)header, data, sizeof *header);
  size_t position = header->header_bytes;
  g_free(header);
  while (position < size && size - position >= sizeof(struct region_record)) {
    struct region_record record;
    memcpy((void *)&record, data + position, sizeof record);
    if ((record.tag & ~0xffu) != REGION_RECORD_TAG || record.size_bytes > size - position ||
        record.constant_offset > record.size_bytes ||
        record.constant_words > (record.size_bytes - record.constant_offset) / sizeof(uint64_t)) {
      position += REGION_GRANULE_BYTES;
      continue;
    }
    g_autofree uint64_t *words = g_memdup2(data + position + record.constant_offset, 8 * (gsize)record.constant_words);
    record.hash = region_hash_words(words, record.constant_words);
    memcpy(data + position, (const void *)&record, sizeof record);
    position += MAX(record.size_bytes, REGION_GRANULE_BYTES);
  }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t limit, unsigned seed)
{
  size = LLVMFuzzerMutate(data, size, limit);
  if (seed % 4 != 0 && size >= sizeof(struct region_header))
    repair_hashes(data, size);
  return size;
}
