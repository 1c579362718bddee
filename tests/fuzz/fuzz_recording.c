/* SPDX-License-Identifier: MIT */
/* The blobs of a recording made by anybody: the values of a moment, and the stacks of a process. The first byte says
 * which; what follows is packed before, so that it is not gzip's checksum that is fuzzed. */
#include "tools/record/pack.h"
#include "tools/record/part.h"
#include "tools/record/values.h"

#include "heap_checks.h"

enum { LIMIT = 1000, TYPES = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static GBytes *packed(const uint8_t *data, size_t size)
{
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  g_byte_array_append(bytes, data, (guint)size);
  return pack_deflate(bytes);
}

/* What was read is written, and read again, as it was. */
static void check_values(GBytes *bytes)
{
  g_autoptr(GError) error = NULL;
  struct values *values = values_new(TYPES), *again = values_new(TYPES);
  if (values_unpack(values, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), LIMIT, "input", &error)) {
    g_autoptr(GBytes) whole = values_pack(values, true);
    MUST(values_count(values) <= LIMIT);
    MUST(values_unpack(again, g_bytes_get_data(whole, NULL), g_bytes_get_size(whole), LIMIT, "written", NULL));
    MUST(again->comments->len == values->comments->len);
    for (uint32_t i = 0; i < values_count(again); i++)
      MUST(memcmp(values_numbers(values, i), values_numbers(again, i), TYPES * sizeof(int64_t)) == 0);
  } else
    MUST(error != NULL && strchr(error->message, '\n') == NULL);
  values_free(values);
  values_free(again);
}

static void check_part(GBytes *bytes)
{
  g_autoptr(GError) error = NULL;
  struct heap *heap = heap_new("input");
  heap_set_usual_types(heap);
  heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
  if (part_unpack(heap, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), NULL, &error)) {
    check_samples(heap);
    check_locations(heap);
    check_written(heap);
  } else
    MUST(error != NULL && strchr(error->message, '\n') == NULL);
  heap_free(heap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  g_autoptr(GBytes) bytes = packed(data + 1, size - 1);
  if ((data[0] & 1) == 0)
    check_values(bytes);
  else
    check_part(bytes);
  return 0;
}
