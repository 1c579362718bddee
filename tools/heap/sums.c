/* SPDX-License-Identifier: MIT */
#include "tools/heap/sums.h"

#include <string.h>

static int compare_labels(const struct heap *heap, const struct heap_sample *one, const struct heap_sample *other)
{
  if (one->label_count != other->label_count)
    return one->label_count < other->label_count ? -1 : 1;
  for (uint32_t i = 0; i < one->label_count; i++) {
    const struct heap_label *a = &g_array_index(heap->labels, struct heap_label, one->first_label + i),
                            *b = &g_array_index(heap->labels, struct heap_label, other->first_label + i);
    int order = strcmp(a->key, b->key);
    if (order == 0)
      order = strcmp(a->text, b->text);
    if (order == 0)
      order = strcmp(a->unit, b->unit);
    if (order == 0)
      order = (a->number > b->number) - (a->number < b->number);
    if (order != 0)
      return order;
  }
  return 0;
}

static int compare_stacks(const struct heap *heap, const struct heap_sample *one, const struct heap_sample *other)
{
  if (one->frame_count != other->frame_count)
    return one->frame_count < other->frame_count ? -1 : 1;
  int order = one->frame_count == 0
                  ? 0
                  : memcmp(heap_frames(heap, one), heap_frames(heap, other), one->frame_count * sizeof(uint32_t));
  return order != 0 ? order : compare_labels(heap, one, other);
}

static gint compare_samples(gconstpointer a, gconstpointer b, gpointer data)
{
  const struct heap *heap = data;
  uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
  int order = compare_stacks(heap, heap_sample(heap, one), heap_sample(heap, other));
  return order != 0 ? order : (one > other) - (one < other);
}

static int64_t add_clamped(int64_t a, int64_t b)
{
  int64_t sum;
  if (!__builtin_add_overflow(a, b, &sum))
    return sum;
  return a > 0 ? INT64_MAX : INT64_MIN;
}

static void add_to_sum(const struct heap *heap, struct sum *sum, uint32_t sample)
{
  const int64_t *values = heap_values(heap, sample);
  double *variances = (double *)(void *)(sum->values + sum->types);
  for (uint32_t type = 0; type < sum->types; type++) {
    sum->values[type] = add_clamped(sum->values[type], values[type]);
    variances[type] += heap_variance(heap, sample, (int)type);
  }
}

static bool is_zero(const struct sum *sum)
{
  for (uint32_t type = 0; type < sum->types; type++)
    if (sum->values[type] != 0)
      return false;
  return true;
}

static gint compare_sums(gconstpointer a, gconstpointer b)
{
  const struct sum *one = a, *other = b;
  return (one->sample > other->sample) - (one->sample < other->sample);
}

GArray *sums_of(const struct heap *heap)
{
  uint32_t count = heap->samples->len;
  g_autofree uint32_t *sorted = g_new(uint32_t, count);
  for (uint32_t i = 0; i < count; i++)
    sorted[i] = i;
  g_qsort_with_data(sorted, (gint)count, sizeof *sorted, compare_samples, (gpointer)(uintptr_t)heap);
  size_t bytes = sizeof(struct sum) + heap->types->len * (sizeof(int64_t) + sizeof(double));
  GArray *sums = g_array_new(FALSE, TRUE, (guint)bytes);
  g_autofree struct sum *sum = g_malloc(bytes);
  for (uint32_t i = 0; i < count;) {
    memset((void *)sum, 0, bytes);
    sum->sample = sorted[i];
    sum->types = heap->types->len;
    const struct heap_sample *first = heap_sample(heap, sorted[i]);
    for (; i < count && compare_stacks(heap, first, heap_sample(heap, sorted[i])) == 0; i++)
      add_to_sum(heap, sum, sorted[i]);
    if (!is_zero(sum))
      g_array_append_vals(sums, sum, 1);
  }
  g_array_sort(sums, compare_sums);
  return sums;
}

/* A copy of the sample of a sum behind those that were kept so far. */
static void keep_sample(const struct heap *heap, const struct sum *sum, struct heap *kept)
{
  const struct heap_sample *sample = heap_sample(heap, sum->sample);
  struct heap_sample copy = {kept->frames->len, sample->frame_count, kept->labels->len, sample->label_count};
  g_array_append_vals(kept->frames, heap_frames(heap, sample), sample->frame_count);
  if (sample->label_count > 0)
    g_array_append_vals(kept->labels, &g_array_index(heap->labels, struct heap_label, sample->first_label),
                        sample->label_count);
  g_array_append_vals(kept->values, sum->values, heap->types->len);
  if (kept->variances != NULL)
    g_array_append_vals(kept->variances, sum_variances(sum), heap->types->len);
  g_array_append_val(kept->samples, copy);
}

static void replace(GArray **array, GArray *other)
{
  if (*array != NULL)
    g_array_free(*array, TRUE);
  *array = other;
}

void sums_apply(struct heap *heap, const GArray *sums)
{
  struct heap kept = {.frames = g_array_new(FALSE, TRUE, sizeof(uint32_t)),
                      .labels = g_array_new(FALSE, TRUE, sizeof(struct heap_label)),
                      .samples = g_array_new(FALSE, TRUE, sizeof(struct heap_sample)),
                      .values = g_array_new(FALSE, TRUE, sizeof(int64_t)),
                      .variances = heap->variances != NULL ? g_array_new(FALSE, TRUE, sizeof(double)) : NULL};
  for (guint i = 0; i < sums->len; i++)
    keep_sample(heap, sums_at(sums, i), &kept);
  replace(&heap->frames, kept.frames);
  replace(&heap->labels, kept.labels);
  replace(&heap->samples, kept.samples);
  replace(&heap->values, kept.values);
  replace(&heap->variances, kept.variances);
}
