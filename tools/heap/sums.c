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

/* A sample among others: most differ in their first two frames, for which no other memory is looked at. */
struct place {
  uint64_t frames;
  uint32_t sample;
};

static struct place place_of(const struct heap *heap, uint32_t index)
{
  const struct heap_sample *sample = heap_sample(heap, index);
  const uint32_t *frames = heap_frames(heap, sample);
  uint64_t first = sample->frame_count > 0 ? frames[0] : 0, second = sample->frame_count > 1 ? frames[1] : 0;
  return (struct place){first << 32 | second, index};
}

static int compare_places(const struct heap *heap, const struct place *one, const struct place *other)
{
  if (one->frames != other->frames)
    return one->frames < other->frames ? -1 : 1;
  return compare_stacks(heap, heap_sample(heap, one->sample), heap_sample(heap, other->sample));
}

static gint compare_samples(gconstpointer a, gconstpointer b, gpointer data)
{
  const struct place *one = a, *other = b;
  int order = compare_places(data, one, other);
  return order != 0 ? order : (one->sample > other->sample) - (one->sample < other->sample);
}

/* For each sample the first that is equal. */
static uint32_t *find_first(const struct heap *heap)
{
  uint32_t count = heap->samples->len, *first = g_new(uint32_t, count);
  g_autofree struct place *sorted = g_new(struct place, count);
  for (uint32_t i = 0; i < count; i++)
    sorted[i] = place_of(heap, i);
  g_qsort_with_data(sorted, (gint)count, sizeof *sorted, compare_samples, (gpointer)(uintptr_t)heap);
  for (uint32_t i = 0, start = 0; i < count; i++) {
    if (compare_places(heap, &sorted[start], &sorted[i]) != 0)
      start = i;
    first[sorted[i].sample] = sorted[start].sample;
  }
  return first;
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

static struct sum *sum_at(GArray *sums, guint index)
{
  return (struct sum *)(uintptr_t)sums_at(sums, index);
}

static void drop_zeros(GArray *sums)
{
  guint kept = 0, bytes = g_array_get_element_size(sums);
  for (guint i = 0; i < sums->len; i++)
    if (!is_zero(sums_at(sums, i)))
      memmove(sums->data + (size_t)bytes * kept++, sums->data + (size_t)bytes * i, bytes);
  g_array_set_size(sums, kept);
}

GArray *sums_of(const struct heap *heap)
{
  g_autofree uint32_t *first = find_first(heap);
  size_t bytes = sizeof(struct sum) + heap->types->len * (sizeof(int64_t) + sizeof(double));
  GArray *sums = g_array_new(FALSE, TRUE, (guint)bytes);
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    bool is_first = first[i] == i;
    uint32_t at = is_first ? sums->len : first[first[i]];
    if (is_first) {
      g_array_set_size(sums, at + 1);
      *sum_at(sums, at) = (struct sum){.sample = i, .types = heap->types->len};
    }
    first[i] = at; /* equal ones come later, and look for the sum here */
    add_to_sum(heap, sum_at(sums, at), i);
  }
  drop_zeros(sums);
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
  replace(&heap->places, NULL);
}
