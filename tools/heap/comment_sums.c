/* SPDX-License-Identifier: MIT */
#include "tools/heap/comment_sums.h"

#include "core/comments.h"

#include <math.h>
#include <string.h>

static const char start[] = COMMENT_START;

enum rule {
  RULE_EACH, /* once for each different text */
  RULE_ADD,
  RULE_LARGEST,
  RULE_SAME, /* only where all have the same */
  RULE_ANEW, /* made anew at the end */
};

static const struct {
  const char *key; /* with a dot at the end: all that begin so */
  enum rule rule;
} rules[] = {
#define HEAPPROF_COMMENT(identifier, key, rule) {key, RULE_##rule},
#include "core/comments.def"
#undef HEAPPROF_COMMENT
};

/* A line of the result, in the making. */
struct line {
  char *text; /* RULE_EACH: the text */
  char *key;  /* other rules; NULL: RULE_EACH */
  enum rule rule;
  uint64_t number;
  guint seen; /* in how many profiles */
};

struct comment_sums {
  GPtrArray *lines;               /* struct line, in the order of their first appearance */
  GHashTable *by_text;            /* by key, or by line */
  guint profiles;                 /* added here */
  uint64_t merged;                /* those that they were made of */
  double squares[HEAP_TYPES_MAX]; /* of the standard errors in comments */
  bool lacks_errors;
};

static void line_free(void *data)
{
  struct line *line = data;
  g_free(line->text);
  g_free(line->key);
  g_free(line);
}

struct comment_sums *comment_sums_new(void)
{
  struct comment_sums *sums = g_new0(struct comment_sums, 1);
  sums->lines = g_ptr_array_new_with_free_func(line_free);
  sums->by_text = g_hash_table_new(g_str_hash, g_str_equal);
  return sums;
}

static enum rule rule_of(const char *key)
{
  for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
    bool is_group = g_str_has_suffix(rules[i].key, ".");
    if (is_group ? g_str_has_prefix(key, rules[i].key) : strcmp(key, rules[i].key) == 0)
      return rules[i].rule;
  }
  return RULE_EACH;
}

static struct line *find_line(struct comment_sums *sums, const char *text)
{
  return g_hash_table_lookup(sums->by_text, text);
}

static void add_line(struct comment_sums *sums, const char *text)
{
  struct line *line = find_line(sums, text);
  if (line == NULL) {
    line = g_new0(struct line, 1);
    line->text = g_strdup(text);
    g_ptr_array_add(sums->lines, line);
    g_hash_table_insert(sums->by_text, line->text, line);
  }
}

static void add_number(struct comment_sums *sums, const char *key, enum rule rule, uint64_t number)
{
  struct line *line = find_line(sums, key);
  if (line == NULL) {
    line = g_new0(struct line, 1);
    *line = (struct line){.key = g_strdup(key), .rule = rule, .number = rule == RULE_SAME ? number : 0};
    g_ptr_array_add(sums->lines, line);
    g_hash_table_insert(sums->by_text, line->key, line);
  }
  if (rule == RULE_SAME && line->number != number)
    return; /* not seen as often as there are profiles: left out */
  line->seen++;
  if (rule == RULE_LARGEST)
    line->number = MAX(line->number, number);
  else if (rule == RULE_ADD && __builtin_add_overflow(line->number, number, &line->number))
    line->number = UINT64_MAX;
}

static void add_comment(struct comment_sums *sums, const char *line)
{
  const char *separator = g_str_has_prefix(line, start) ? strstr(line, ": ") : NULL;
  if (separator == NULL) {
    add_line(sums, line);
    return;
  }
  g_autofree char *key = g_strndup(line + strlen(start), (gsize)(separator - line) - strlen(start));
  enum rule rule = rule_of(key);
  guint64 number;
  if (rule == RULE_EACH)
    add_line(sums, line);
  else if (rule != RULE_ANEW && g_ascii_string_to_unsigned(separator + 2, 10, 0, UINT64_MAX, &number, NULL))
    add_number(sums, key, rule, number);
}

static void add_squares(struct comment_sums *sums, const struct heap *heap)
{
  for (uint32_t i = 0; i < heap->types->len; i++) {
    g_autofree char *key = g_strconcat(COMMENT_standard_error, heap_type(heap, i)->name, NULL);
    uint64_t error = 0;
    sums->lacks_errors |= !heap_comment_number(heap, key, &error);
    sums->squares[i] += (double)error * (double)error;
  }
}

void comment_sums_add(struct comment_sums *sums, const struct heap *heap)
{
  sums->profiles++;
  for (guint i = 0; i < heap->comments->len; i++)
    add_comment(sums, g_ptr_array_index(heap->comments, i));
  add_squares(sums, heap);
  const char *merged = heap_comment(heap, COMMENT_merged);
  uint64_t count = merged != NULL ? g_ascii_strtoull(merged, NULL, 10) : 1;
  sums->merged += CLAMP(count, 1, UINT32_MAX);
}

static void put_line(const struct comment_sums *sums, const struct line *line, struct heap *heap)
{
  if (line->rule == RULE_EACH)
    g_ptr_array_add(heap->comments, (char *)(uintptr_t)heap_text(heap, line->text));
  else if (line->rule == RULE_ADD || line->seen == sums->profiles)
    heap_add_comment(heap, line->key, "%" G_GUINT64_FORMAT, line->number);
}

static void put_standard_errors(const struct comment_sums *sums, struct heap *heap)
{
  if (heap->variances == NULL && sums->lacks_errors)
    return;
  for (uint32_t type = 0; type < heap->types->len; type++) {
    double variance = sums->squares[type];
    if (heap->variances != NULL) {
      variance = 0;
      for (uint32_t i = 0; i < heap->samples->len; i++)
        variance += heap_variance(heap, i, (int)type);
    }
    g_autofree char *key = g_strconcat(COMMENT_standard_error, heap_type(heap, type)->name, NULL);
    heap_add_comment(heap, key, "%.0f", sqrt(variance));
  }
}

void comment_sums_apply(const struct comment_sums *sums, struct heap *heap)
{
  for (guint i = 0; i < sums->lines->len; i++)
    put_line(sums, g_ptr_array_index(sums->lines, i), heap);
  put_standard_errors(sums, heap);
  if (sums->merged <= 1)
    return;
  heap_add_comment(heap, COMMENT_merged, "%" G_GUINT64_FORMAT " profiles", sums->merged);
  if (heap_find_type(heap, HEAP_PEAK_SPACE) >= 0)
    heap_add_comment(heap, COMMENT_peak, "those of all profiles, added up: no more was in use at any one time");
}

void comment_sums_free(struct comment_sums *sums)
{
  g_hash_table_destroy(sums->by_text);
  g_ptr_array_free(sums->lines, TRUE);
  g_free(sums);
}
