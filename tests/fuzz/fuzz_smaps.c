/* SPDX-License-Identifier: MIT */
/* Mappings as anybody may tell them: they are in order, none has more than there is room for, and their parts add up. */
#include "tools/resident/account.h"

#include "must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says what it likes. */
static uint64_t resident(const void *of, uint64_t start, uint64_t limit)
{
  MUST(start < limit);
  return *(const uint64_t *)of;
}

static void check_mappings(const GArray *mappings)
{
  uint64_t before = 0;
  for (guint i = 0; i < mappings->len; i++) {
    const struct smaps_mapping *mapping = &g_array_index(mappings, struct smaps_mapping, i);
    MUST(before <= mapping->start && mapping->start < mapping->limit);
    MUST(mapping->resident_bytes <= mapping->limit - mapping->start);
    MUST(mapping->swapped_bytes <= mapping->limit - mapping->start);
    MUST(strlen(mapping->permissions) == 4);
    before = mapping->limit;
  }
}

static void check_sums(const GArray *mappings, uint64_t hint)
{
  g_autoptr(GArray) tops = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
                    ranges = g_array_new(FALSE, FALSE, sizeof(struct account_range));
  g_autofree enum account_part *parts = g_new(enum account_part, mappings->len + 1);
  struct account_range range = {hint & 0xffffffff, hint, ACCOUNT_OWN};
  g_array_append_val(tops, hint);
  g_array_append_val(ranges, range);
  struct account_clues clues = {.seen = &hint,
                                .seen_count = 1,
                                .allocator = (hint & 1) != 0 ? "/lib/libc.so.6" : "/lib/libother.so",
                                .thread_tops = tops,
                                .ranges = ranges,
                                .resident = resident,
                                .of = &hint};
  struct account_sums sums;
  account(mappings, &clues, &sums, parts);
  uint64_t sum = 0;
  for (int part = 0; part < ACCOUNT_PARTS; part++)
    sum += sums.bytes[part];
  MUST(sum == sums.total_bytes);
  for (guint i = 0; i < mappings->len; i++)
    MUST(parts[i] < ACCOUNT_PARTS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  uint64_t hint = 0;
  memcpy(&hint, data + size - MIN(size, sizeof hint), MIN(size, sizeof hint));
  GArray *mappings = smaps_parse((const char *)data, size);
  check_mappings(mappings);
  check_sums(mappings, hint);
  g_array_free(mappings, TRUE);
  return 0;
}
