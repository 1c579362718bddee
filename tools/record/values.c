/* SPDX-License-Identifier: MIT */
#include "tools/record/values.h"

#include "tools/record/pack.h"

#include <string.h>

#define VALUES_ERROR g_quark_from_static_string("heapprof-values")

enum { BYTES_MAX = 256 << 20, COMMENTS_MAX = 4096, TYPES_MAX = 16 };

struct values *values_new(unsigned types)
{
  struct values *values = g_new(struct values, 1);
  *values = (struct values){.types = MIN(types, TYPES_MAX),
                            .numbers = g_array_new(FALSE, TRUE, sizeof(int64_t)),
                            .variances = g_array_new(FALSE, TRUE, sizeof(float)),
                            .changed = g_array_new(FALSE, TRUE, sizeof(uint8_t)),
                            .comments = g_ptr_array_new_with_free_func(g_free)};
  return values;
}

void values_free(struct values *values)
{
  if (values == NULL)
    return;
  g_array_free(values->numbers, TRUE);
  g_array_free(values->variances, TRUE);
  g_array_free(values->changed, TRUE);
  g_ptr_array_free(values->comments, TRUE);
  g_free(values);
}

void values_set_count(struct values *values, uint32_t count)
{
  g_array_set_size(values->numbers, count * values->types);
  g_array_set_size(values->variances, count * values->types);
  g_array_set_size(values->changed, count);
}

void values_set(struct values *values, uint32_t stack, const int64_t *numbers, const double *variances)
{
  int64_t *own = values_numbers(values, stack);
  float *own_variances = values_variances(values, stack), singles[TYPES_MAX];
  for (unsigned i = 0; i < values->types; i++)
    singles[i] = (float)variances[i];
  size_t size = values->types * sizeof *own, singles_size = values->types * sizeof *singles;
  if (memcmp(own, numbers, size) == 0 && memcmp(own_variances, singles, singles_size) == 0)
    return;
  memcpy(own, numbers, size);
  memcpy(own_variances, singles, singles_size);
  g_array_index(values->changed, uint8_t, stack) = true;
}

/* --- as bytes: whole or not, comments; of each stack the distance from the one before, which variances are not 0, the
 * values and these variances --- */

static bool is_zero(const struct values *values, uint32_t stack)
{
  for (unsigned i = 0; i < values->types; i++)
    if (values_numbers(values, stack)[i] != 0)
      return false;
  return true;
}

static bool is_packed(const struct values *values, uint32_t stack, bool is_whole)
{
  return is_whole ? !is_zero(values, stack) : g_array_index(values->changed, uint8_t, stack);
}

static void pack_stack(GByteArray *bytes, const struct values *values, uint32_t stack)
{
  unsigned mask = 0;
  const float *variances = values_variances(values, stack);
  for (unsigned i = 0; i < values->types; i++)
    mask |= (unsigned)(variances[i] != 0) << i;
  pack_number(bytes, mask);
  for (unsigned i = 0; i < values->types; i++)
    pack_signed(bytes, values_numbers(values, stack)[i]);
  for (unsigned i = 0; i < values->types; i++)
    if ((mask >> i & 1) != 0)
      pack_real(bytes, (double)variances[i]);
}

static void pack_stacks(GByteArray *bytes, const struct values *values, bool is_whole)
{
  uint32_t count = 0, before = 0;
  for (uint32_t stack = 0; stack < values_count(values); stack++)
    count += is_packed(values, stack, is_whole);
  pack_number(bytes, count);
  for (uint32_t stack = 0; stack < values_count(values); stack++)
    if (is_packed(values, stack, is_whole)) {
      pack_number(bytes, stack - before);
      pack_stack(bytes, values, stack);
      before = stack;
    }
}

GBytes *values_pack(struct values *values, bool is_whole)
{
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  pack_number(bytes, is_whole);
  pack_number(bytes, values->comments->len);
  for (guint i = 0; i < values->comments->len; i++)
    pack_text(bytes, g_ptr_array_index(values->comments, i));
  pack_stacks(bytes, values, is_whole);
  if (values_count(values) > 0)
    memset(values->changed->data, 0, values_count(values));
  return pack_deflate(bytes);
}

static void unpack_stack(struct unpack *unpack, struct values *values, uint32_t stack)
{
  int64_t numbers[TYPES_MAX];
  double variances[TYPES_MAX] = {0};
  uint64_t mask = unpack_number(unpack);
  for (unsigned i = 0; i < values->types; i++)
    numbers[i] = unpack_signed(unpack);
  for (unsigned i = 0; i < values->types; i++)
    if ((mask >> i & 1) != 0)
      variances[i] = unpack_real(unpack);
  if (!unpack->is_broken)
    values_set(values, stack, numbers, variances);
}

static void unpack_stacks(struct unpack *unpack, struct values *values, uint32_t limit)
{
  uint64_t stack = 0;
  for (uint32_t left = unpack_count(unpack); left > 0 && !unpack->is_broken; left--) {
    uint64_t distance = unpack_number(unpack);
    if (distance >= limit || stack + distance >= limit) {
      unpack->is_broken = true;
      return;
    }
    stack += distance;
    if (stack >= values_count(values))
      values_set_count(values, (uint32_t)stack + 1);
    unpack_stack(unpack, values, (uint32_t)stack);
  }
}

static void unpack_comments(struct unpack *unpack, struct values *values)
{
  uint32_t count = unpack_count(unpack);
  unpack->is_broken |= count > COMMENTS_MAX;
  g_ptr_array_set_size(values->comments, 0);
  for (uint32_t i = 0; i < count && !unpack->is_broken; i++)
    g_ptr_array_add(values->comments, unpack_text(unpack));
}

static void forget(struct values *values)
{
  static const int64_t none[TYPES_MAX];
  static const double no_variances[TYPES_MAX];
  for (uint32_t stack = 0; stack < values_count(values); stack++)
    values_set(values, stack, none, no_variances);
}

bool values_unpack(struct values *values, const void *bytes, size_t size, uint32_t limit, const char *name,
                   GError **error)
{
  g_autoptr(GByteArray) whole = pack_inflate(bytes, size, BYTES_MAX, name, error);
  if (whole == NULL)
    return false;
  struct unpack unpack = unpack_of(whole);
  if (unpack_index(&unpack, 2) != 0)
    forget(values);
  unpack_comments(&unpack, values);
  unpack_stacks(&unpack, values, limit);
  if (unpack_is_done(&unpack))
    return true;
  g_set_error(error, VALUES_ERROR, 0, "%s is damaged: the values of a moment cannot be read", name);
  return false;
}
