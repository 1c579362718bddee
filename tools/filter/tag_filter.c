/* SPDX-License-Identifier: MIT */
#include "tools/filter/tag_filter.h"

#include "tools/filter/expression.h"
#include "tools/filter/label_unit.h"
#include "tools/terminal/say.h"

#include <string.h>

/* A number in a unit. */
struct bound {
  bool is_given;
  double value;
  char *unit;
};

struct tag_filter {
  char *text;
  char *key;              /* NULL: any */
  GPtrArray *expressions; /* GRegex *; NULL: numbers are meant */
  struct bound low, high; /* both the same: that number */
};

/* What counts of a number: of a unit that nobody knows, the number as it is. False: it cannot be compared. */
static bool scale(const struct bound *bound, int64_t number, const char *unit_name, double *value, double *limit)
{
  const char *base = label_unit_base(unit_name, (double)number, value);
  *limit = bound->value;
  return base == NULL || label_unit_base(bound->unit, bound->value, limit) == base;
}

/* Parsing. */

/* "64kb", "4mb:", ":64kb", "12kb:64mb" */
static const char RANGE[] = "\\A(?:([+-]?[0-9]+)([A-Za-z]*))?(:)?(?:([+-]?[0-9]+)([A-Za-z]*))?\\z";

static bool read_bound(const GMatchInfo *match, int group, struct bound *bound)
{
  g_autofree char *digits = g_match_info_fetch(match, group);
  bound->is_given = digits != NULL && digits[0] != '\0';
  bound->unit = g_match_info_fetch(match, group + 1);
  if (bound->unit == NULL)
    bound->unit = g_strdup("");
  bound->value = bound->is_given ? g_ascii_strtod(digits, NULL) : 0;
  return bound->is_given;
}

/* False: it is no range. */
static bool parse_range(struct tag_filter *filter, const char *text)
{
  g_autoptr(GRegex) range = g_regex_new(RANGE, 0, 0, NULL);
  g_autoptr(GMatchInfo) match = NULL;
  if (!g_regex_match(range, text, 0, &match))
    return false;
  g_autofree char *colon = g_match_info_fetch(match, 3);
  bool has_low = read_bound(match, 1, &filter->low), has_high = read_bound(match, 4, &filter->high);
  bool is_range = colon != NULL && colon[0] != '\0';
  if (has_low && !is_range && !has_high) {
    g_free(filter->high.unit);
    filter->high = filter->low;
    filter->high.unit = g_strdup(filter->low.unit);
    return true;
  }
  return is_range && (has_low || has_high);
}

/* False after a message. */
static bool parse_expressions(struct tag_filter *filter, const char *text)
{
  g_auto(GStrv) parts = g_strsplit(text, ",", -1);
  filter->expressions = g_ptr_array_new_with_free_func((GDestroyNotify)g_regex_unref);
  for (char **part = parts; *part != NULL; part++) {
    GRegex *expression = expression_compile(*part);
    if (expression == NULL)
      return false;
    g_ptr_array_add(filter->expressions, expression);
  }
  return true;
}

struct tag_filter *tag_filter_new(const char *text)
{
  struct tag_filter *filter = g_new0(struct tag_filter, 1);
  const char *equals = strchr(text, '='), *value = equals != NULL ? equals + 1 : text;
  filter->text = g_strdup(text);
  filter->key = equals != NULL ? g_strndup(text, (gsize)(equals - text)) : NULL;
  if (parse_range(filter, value) || parse_expressions(filter, value))
    return filter;
  tag_filter_free(filter);
  return NULL;
}

void tag_filter_free(struct tag_filter *filter)
{
  if (filter == NULL)
    return;
  g_free(filter->text);
  g_free(filter->key);
  g_clear_pointer(&filter->expressions, g_ptr_array_unref);
  g_free(filter->low.unit);
  g_free(filter->high.unit);
  g_free(filter);
}

const char *tag_filter_text(const struct tag_filter *filter)
{
  return filter->text;
}

/* Matching. */

static const struct heap_label *label_of(const struct heap *heap, const struct heap_sample *sample, uint32_t number)
{
  return &g_array_index(heap->labels, struct heap_label, sample->first_label + number);
}

static bool is_in_range(const struct tag_filter *filter, const struct heap_label *label)
{
  double value, limit;
  if (label->text[0] != '\0')
    return false;
  if (filter->low.is_given && (!scale(&filter->low, label->number, label_unit(label), &value, &limit) || value < limit))
    return false;
  return !filter->high.is_given ||
         (scale(&filter->high, label->number, label_unit(label), &value, &limit) && value <= limit);
}

static bool is_text_matched(const struct tag_filter *filter, const struct heap_label *label, const GRegex *expression)
{
  if (label->text[0] == '\0')
    return false;
  if (filter->key != NULL)
    return expression_matches(expression, label->text);
  g_autofree char *both = g_strconcat(label->key, ":", label->text, NULL);
  return expression_matches(expression, both);
}

static bool matches_label(const struct tag_filter *filter, const struct heap *heap, const struct heap_sample *sample,
                          const GRegex *expression)
{
  for (uint32_t i = 0; i < sample->label_count; i++) {
    const struct heap_label *label = label_of(heap, sample, i);
    if (filter->key != NULL && strcmp(filter->key, label->key) != 0)
      continue;
    if (expression != NULL ? is_text_matched(filter, label, expression) : is_in_range(filter, label))
      return true;
  }
  return false;
}

bool tag_filter_matches(const struct tag_filter *filter, const struct heap *heap, const struct heap_sample *sample)
{
  if (filter->expressions == NULL)
    return matches_label(filter, heap, sample, NULL);
  /* Of a key one expression is enough, else all of them are needed. */
  bool needs_all = filter->key == NULL;
  for (uint32_t i = 0; i < filter->expressions->len; i++)
    if (matches_label(filter, heap, sample, g_ptr_array_index(filter->expressions, i)) != needs_all)
      return !needs_all;
  return needs_all;
}
