/* SPDX-License-Identifier: MIT */
#include "tools/views/facts.h"

#include "core/comments.h"

#include <math.h>
#include <string.h>

enum { LOSSES_MAX = 32 };

/* Totals. */

static double sum_variances(const struct heap *heap, uint32_t type)
{
  double sum = 0;
  for (uint32_t i = 0; i < heap->samples->len; i++)
    sum += heap_variance(heap, i, (int)type);
  return sum;
}

static struct fact_total total_of(const struct heap *heap, uint32_t type)
{
  struct fact_total total = {.type = heap_type(heap, type)->name, .unit = heap_type(heap, type)->unit};
  for (uint32_t i = 0; i < heap->samples->len; i++)
    total.value += (double)heap_values(heap, i)[type];
  total.cut = cut_share_of(heap, (int)type, NULL);
  g_autofree char *key = g_strconcat(COMMENT_standard_error, total.type, NULL);
  uint64_t error;
  if (heap->variances != NULL) {
    total.is_certainty_known = true;
    total.variance = sum_variances(heap, type);
  } else if (heap_comment_number(heap, key, &error)) {
    total.is_certainty_known = true;
    total.variance = (double)error * (double)error;
  }
  return total;
}

/* Bytes and objects of a stack are wrong together, so their errors add up; those of different stacks do not. */
static double units_error(const struct facts *facts, int bytes, int objects)
{
  const struct heap *heap = facts->heap;
  if (bytes < 0 || objects < 0 || !facts->totals[bytes].is_certainty_known ||
      !facts->totals[objects].is_certainty_known)
    return -1;
  if (heap->variances == NULL)
    return sqrt(facts->totals[bytes].variance) + sqrt(facts->totals[objects].variance);
  double variance = 0;
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    double error = sqrt(heap_variance(heap, i, bytes)) + sqrt(heap_variance(heap, i, objects));
    variance += error * error;
  }
  return sqrt(variance);
}

static void compare_with_exact(struct facts *facts)
{
  facts->has_exact_units = heap_comment_number(facts->heap, COMMENT_exact_units, &facts->exact_units) &&
                           heap_comment_number(facts->heap, COMMENT_estimated_units, &facts->estimated_units);
  facts->units_error =
      units_error(facts, heap_find_type(facts->heap, "alloc_space"), heap_find_type(facts->heap, "alloc_objects"));
}

static bool is_exact_total(const struct facts *facts, const char *type, double *total)
{
  int number = heap_find_type(facts->heap, type);
  if (number < 0 || number >= HEAP_TYPES_MAX)
    return false;
  *total = facts->totals[number].value;
  return facts->totals[number].is_certainty_known && facts->totals[number].variance == 0;
}

/* The library counts a byte more for each allocation. */
static void tell_parts_apart(struct facts *facts)
{
  double bytes, objects;
  facts->has_exact_parts = facts->has_exact_units && is_exact_total(facts, "alloc_space", &bytes) &&
                           is_exact_total(facts, "alloc_objects", &objects) &&
                           bytes + objects == (double)facts->exact_units;
  if (facts->has_exact_parts) {
    facts->exact_bytes = (uint64_t)bytes;
    facts->exact_objects = (uint64_t)objects;
  }
}

/* Comments. */

GPtrArray *facts_comments(const struct heap *heap, const char *key)
{
  GPtrArray *values = g_ptr_array_new();
  g_autofree char *start = g_strconcat(COMMENT_START, key, ": ", NULL);
  for (guint i = 0; i < heap->comments->len; i++) {
    const char *comment = g_ptr_array_index(heap->comments, i);
    if (g_str_has_prefix(comment, start))
      g_ptr_array_add(values, (char *)(uintptr_t)(comment + strlen(start)));
  }
  return values;
}

static void add_known_losses(struct facts *facts)
{
  static const struct fact_loss known[] = {
#define HEAPPROF_LOSS(identifier, name, what) {name, what, 0},
#include "core/losses.def"
#undef HEAPPROF_LOSS
  };
  for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
    struct fact_loss loss = known[i];
    g_autofree char *key = g_strconcat(COMMENT_lost, loss.key, NULL);
    if (heap_comment_number(facts->heap, key, &loss.count))
      g_array_append_val(facts->losses, loss);
  }
}

static bool is_listed(const struct facts *facts, const char *key)
{
  for (guint i = 0; i < facts->losses->len; i++)
    if (strcmp(g_array_index(facts->losses, struct fact_loss, i).key, key) == 0)
      return true;
  return strcmp(key, "total") == 0;
}

/* Of a later version: counted, not explained. */
static void add_other_losses(struct facts *facts)
{
  g_autofree char *start = g_strconcat(COMMENT_START, COMMENT_lost, NULL);
  for (guint i = 0; i < facts->heap->comments->len; i++) {
    const char *comment = g_ptr_array_index(facts->heap->comments, i);
    const char *separator = g_str_has_prefix(comment, start) ? strstr(comment, ": ") : NULL;
    if (separator == NULL || facts->losses->len == LOSSES_MAX)
      continue;
    char *key = g_strndup(comment + strlen(start), (gsize)(separator - comment) - strlen(start));
    g_ptr_array_add(facts->texts, key);
    struct fact_loss loss = {.key = key, .what = ""};
    if (!is_listed(facts, key) && g_ascii_string_to_unsigned(separator + 2, 10, 0, UINT64_MAX, &loss.count, NULL))
      g_array_append_val(facts->losses, loss);
  }
}

/* Mappings. */

static void count_location(const struct heap *heap, const struct heap_location *location, struct fact_mapping *counts)
{
  const struct heap_line *lines = heap_lines(heap, location);
  bool has_name = false, has_line = false;
  for (uint32_t i = 0; i < location->line_count; i++) {
    has_name |= lines[i].function != HEAP_NONE && heap_function(heap, lines[i].function)->name[0] != '\0';
    has_line |= lines[i].line > 0;
  }
  counts->locations++;
  counts->named += has_name;
  counts->with_lines += has_line;
  counts->with_inlines += location->line_count > 1;
}

static void count_mappings(struct facts *facts)
{
  const struct heap *heap = facts->heap;
  for (uint32_t i = 0; i < heap->mappings->len; i++) {
    struct fact_mapping counts = {.mapping = heap_mapping(heap, i)};
    g_array_append_val(facts->mappings, counts);
  }
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    if (location->mapping != HEAP_NONE)
      count_location(heap, location, &g_array_index(facts->mappings, struct fact_mapping, location->mapping));
  }
}

/* The whole. */

static void read_process(struct facts *facts)
{
  const struct heap *heap = facts->heap;
  uint64_t created = 0;
  (void)heap_comment_number(heap, COMMENT_samples, &facts->samples);
  (void)heap_comment_number(heap, COMMENT_own_bytes, &facts->own_bytes);
  (void)heap_comment_number(heap, COMMENT_own_unused_bytes, &facts->own_unused_bytes);
  (void)heap_comment_number(heap, COMMENT_sampling_ns, &facts->sampling_ns);
  (void)heap_comment_number(heap, COMMENT_cpu_ns, &facts->cpu_ns);
  (void)heap_comment_number(heap, COMMENT_resident_bytes, &facts->resident_bytes);
  (void)heap_comment_number(heap, COMMENT_resident_most_bytes, &facts->resident_most_bytes);
  if (heap_comment_number(heap, COMMENT_created_unix_ns, &created) && created <= INT64_MAX)
    facts->created_unix_ns = (int64_t)created;
  if (facts->created_unix_ns > 0 && heap->time_unix_ns > facts->created_unix_ns)
    facts->running_ns = heap->time_unix_ns - facts->created_unix_ns;
}

struct facts *facts_of(const struct heap *heap)
{
  struct facts *facts = g_new0(struct facts, 1);
  facts->heap = heap;
  facts->losses = g_array_new(FALSE, TRUE, sizeof(struct fact_loss));
  facts->mappings = g_array_new(FALSE, TRUE, sizeof(struct fact_mapping));
  facts->texts = g_ptr_array_new_with_free_func(g_free);
  for (uint32_t type = 0; type < heap->types->len; type++)
    facts->totals[type] = total_of(heap, type);
  for (uint32_t i = 0; i < heap->samples->len; i++)
    facts->deepest = MAX(facts->deepest, heap_sample(heap, i)->frame_count);
  compare_with_exact(facts);
  tell_parts_apart(facts);
  add_known_losses(facts);
  add_other_losses(facts);
  count_mappings(facts);
  read_process(facts);
  return facts;
}

void facts_free(struct facts *facts)
{
  g_array_free(facts->losses, TRUE);
  g_array_free(facts->mappings, TRUE);
  g_ptr_array_free(facts->texts, TRUE);
  g_free(facts);
}

static bool same_number(const struct heap *one, const struct heap *other, const char *key)
{
  uint64_t a, b;
  return heap_comment_number(one, key, &a) && heap_comment_number(other, key, &b) && a == b;
}

bool facts_same_process(const struct heap *old, const struct heap *new)
{
  return same_number(old, new, "pid") && same_number(old, new, "created_unix_ns") &&
         old->time_unix_ns <= new->time_unix_ns;
}
