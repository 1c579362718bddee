/* SPDX-License-Identifier: MIT */
#include "tools/views/heap_json.h"

#include "core/comments.h"

#include "tools/views/change.h"
#include "tools/views/cut_share.h"
#include "tools/views/page_tree.h"
#include "tools/views/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number for each node of the tree where stacks end: the sum over the samples of one heap, or of both. */
struct column {
  const char *name;
  double (*of_sample)(const struct column *column, uint32_t sample, bool is_base);
  const struct heap *heap, *base;
  int type, base_type;
  const struct change_variances *change;
  const char *format; /* of the numbers */
};

/* Text. */

static void append_json(GString *out, json_t *json)
{
  char *text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
  json_decref(json);
  if (text == NULL)
    g_error("no memory for JSON");
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '<' || *c == '>' || *c == '&') /* only inside of strings */
      g_string_append_printf(out, "\\u%04x", (unsigned)*c);
    else
      g_string_append_c(out, *c);
  }
  free(text);
}

static void append_key(GString *out, const char *key)
{
  g_string_append_printf(out, "\"%s\":", key);
}

static void begin_numbers(GString *out, const char *key)
{
  append_key(out, key);
  g_string_append_c(out, '[');
}

/* The numbers each end with a comma. */
static void end_numbers(GString *out)
{
  if (out->str[out->len - 1] == ',')
    g_string_truncate(out, out->len - 1);
  g_string_append_c(out, ']');
}

/* What the profiles say about themselves. */

static bool is_exact(const struct heap *heap)
{
  for (uint32_t i = 0; heap->variances != NULL && i < heap->variances->len; i++)
    if (g_array_index(heap->variances, double, i) != 0)
      return false;
  return heap->variances != NULL;
}

static json_t *comments_json(const struct heap *heap)
{
  static const char ours[] = COMMENT_START;
  json_t *comments = json_array();
  for (uint32_t i = 0; i < heap->comments->len; i++) {
    const char *line = g_ptr_array_index(heap->comments, i);
    const char *start = g_str_has_prefix(line, ours) ? line + sizeof ours - 1 : line;
    const char *colon = start != line ? strstr(start, ": ") : NULL;
    json_t *key = colon != NULL ? json_stringn(start, (size_t)(colon - start)) : json_string("");
    json_array_append_new(comments, json_pack("[os]", key, colon != NULL ? colon + 2 : line));
  }
  return comments;
}

static json_t *mappings_json(const struct heap *heap)
{
  json_t *mappings = json_array();
  for (uint32_t i = 0; i < heap->mappings->len; i++) {
    const struct heap_mapping *mapping = heap_mapping(heap, i);
    json_array_append_new(mappings, json_pack("[ss]", mapping->path, mapping->build_id));
  }
  return mappings;
}

static json_t *profile_json(const struct heap *heap)
{
  return json_pack("{ss sf sI ss ss sI sb sb so so}", "name", heap->name, "time_ms", (double)heap->time_unix_ns / 1e6,
                   "period", (json_int_t)heap->period, "period_type", heap->period_type.name, "period_unit",
                   heap->period_type.unit, "samples", (json_int_t)heap->samples->len, "has_variances",
                   heap->variances != NULL, "is_exact", is_exact(heap), "comments", comments_json(heap), "mappings",
                   mappings_json(heap));
}

static void append_profiles(GString *out, const struct heap *heap, const struct heap *base)
{
  append_key(out, "profiles");
  json_t *profiles = json_array();
  json_array_append_new(profiles, profile_json(heap));
  if (base != NULL)
    json_array_append_new(profiles, profile_json(base));
  append_json(out, profiles);
}

/* The tree. */

static uint32_t number_of_text(GHashTable *numbers, json_t *texts, const char *text)
{
  gpointer found = g_hash_table_lookup(numbers, text);
  if (found == NULL) {
    json_array_append_new(texts, json_string(text));
    found = GUINT_TO_POINTER((guint)json_array_size(texts));
    g_hash_table_insert(numbers, (gpointer)(uintptr_t)text, found);
  }
  return GPOINTER_TO_UINT(found) - 1;
}

/* Flat: name, file, line of each. */
static void append_places(GString *out, const struct places *places)
{
  g_autoptr(GHashTable) numbers = g_hash_table_new(g_direct_hash, g_direct_equal); /* texts are interned */
  json_t *texts = json_array();
  begin_numbers(out, "places");
  for (uint32_t i = 0; i < places->places->len; i++) {
    const struct place *place = place_of(places, i);
    g_string_append_printf(out, "%u,%u,%" G_GINT64_FORMAT ",", number_of_text(numbers, texts, place->name),
                           number_of_text(numbers, texts, place->file), place->line);
  }
  end_numbers(out);
  g_string_append_c(out, ',');
  append_key(out, "texts");
  append_json(out, texts);
}

/* Flat: how far back the parent is, and the place. */
static void append_nodes(GString *out, const struct page_tree *tree)
{
  begin_numbers(out, "nodes");
  for (uint32_t i = 1; i < tree->nodes->len; i++) {
    const struct page_node *node = &g_array_index(tree->nodes, struct page_node, i);
    g_string_append_printf(out, "%u,%u,", i - node->parent, node->place);
  }
  end_numbers(out);
  g_string_append_c(out, ',');
  begin_numbers(out, "more_places");
  for (uint32_t i = 0; i < tree->more_places->len; i++) {
    const struct page_place *more = &g_array_index(tree->more_places, struct page_place, i);
    g_string_append_printf(out, "%u,%u,", more->node, more->place);
  }
  end_numbers(out);
}

/* The values. */

static double value(const struct column *column, uint32_t sample, bool is_base)
{
  return is_base ? 0 : (double)heap_values(column->heap, sample)[column->type];
}

static double base_value(const struct column *column, uint32_t sample, bool is_base)
{
  return is_base ? (double)heap_values(column->base, sample)[column->base_type] : 0;
}

static double variance(const struct column *column, uint32_t sample, bool is_base)
{
  return is_base ? 0 : heap_variance(column->heap, sample, column->type);
}

static double change_variance(const struct column *column, uint32_t sample, bool is_base)
{
  return is_base ? column->change->old[sample] : column->change->new[sample];
}

static void append_column(GString *out, const struct page_tree *tree, const struct column *column)
{
  g_string_append_c(out, ',');
  begin_numbers(out, column->name);
  for (uint32_t i = 0; i < tree->stacks->len;) {
    double sum = 0;
    const struct page_stack *first = &g_array_index(tree->stacks, struct page_stack, i);
    for (; i < tree->stacks->len; i++) {
      const struct page_stack *stack = &g_array_index(tree->stacks, struct page_stack, i);
      if (!page_stacks_are_one(first, stack))
        break;
      sum += column->of_sample(column, stack->sample, stack->is_base);
    }
    g_string_append_printf(out, column->format, isfinite(sum) ? sum : 0);
  }
  end_numbers(out);
}

static void append_difference(GString *out, const struct page_tree *tree, struct column column)
{
  column.name = "base";
  column.of_sample = base_value;
  append_column(out, tree, &column);
  if (column.heap->variances == NULL || column.base->variances == NULL)
    return;
  struct change_variances *change = change_variances_new(column.base, column.base_type, column.heap, column.type);
  column.name = "change_variance";
  column.of_sample = change_variance;
  column.change = change;
  column.format = "%.7g,";
  append_column(out, tree, &column);
  change_variances_free(change);
}

/* What share is in cut stacks, in words; "": not worth any. */
static void append_cut(GString *out, const char *key, const struct heap *heap, int type)
{
  struct cut_share cut = cut_share_of(heap, type, NULL);
  g_autofree char *share = cut_share_text(&cut, heap_type(heap, (uint32_t)type)->name);
  g_string_append_c(out, ',');
  append_key(out, key);
  append_json(out, json_string(share != NULL ? share : ""));
}

static void append_peak(GString *out, const struct heap *heap, int type)
{
  g_autofree char *note = view_peak_note(heap, type);
  g_strdelimit(g_strchomp(note), "\n", ';');
  g_string_append(out, ",\"peak\":");
  append_json(out, json_string(note));
}

static void append_type(GString *out, const struct page_tree *tree, const struct heap *heap, const struct heap *base,
                        int type)
{
  const struct heap_type *of_heap = heap_type(heap, (uint32_t)type);
  struct column column = {.heap = heap, .base = base, .type = type, .format = "%.0f,"};
  column.base_type = base != NULL ? heap_find_type(base, of_heap->name) : -1;
  append_key(out, "name");
  append_json(out, json_string(of_heap->name));
  g_string_append(out, ",\"unit\":");
  append_json(out, json_string(of_heap->unit));
  append_peak(out, heap, type);
  append_cut(out, "cut", heap, type);
  if (base != NULL)
    append_cut(out, "base_cut", base, column.base_type);
  column.name = "value";
  column.of_sample = value;
  append_column(out, tree, &column);
  if (base != NULL)
    append_difference(out, tree, column);
  if (heap->variances == NULL)
    return;
  column.name = "variance";
  column.of_sample = variance;
  column.format = "%.7g,";
  append_column(out, tree, &column);
}

static bool is_shared(const struct heap *heap, const struct heap *base, uint32_t type)
{
  const char *name = heap_type(heap, type)->name;
  return heap_find_type(heap, name) == (int)type &&
         (base == NULL || (name[0] != '\0' && heap_find_type(base, name) >= 0));
}

static bool append_types(GString *out, const struct page_tree *tree, const struct heap *heap, const struct heap *base)
{
  bool is_first = true;
  append_key(out, "types");
  g_string_append_c(out, '[');
  for (uint32_t type = 0; type < heap->types->len; type++) {
    if (!is_shared(heap, base, type))
      continue;
    g_string_append(out, is_first ? "{" : ",{");
    append_type(out, tree, heap, base, (int)type);
    g_string_append_c(out, '}');
    is_first = false;
  }
  g_string_append_c(out, ']');
  return !is_first;
}

/* Is it the first of those that share a number? */
static bool begins_number(const struct page_stack *stacks, uint32_t i)
{
  return i == 0 || !page_stacks_are_one(&stacks[i - 1], &stacks[i]);
}

/* The nodes that the numbers of a column belong to, each as the distance from the one before, and how far above each
 * its owner is. */
static void append_ends(GString *out, const struct page_tree *tree)
{
  const struct page_stack *stacks = (const struct page_stack *)tree->stacks->data;
  uint32_t last = 0;
  begin_numbers(out, "ends");
  for (uint32_t i = 0; i < tree->stacks->len; i++) {
    if (begins_number(stacks, i))
      g_string_append_printf(out, "%u,", stacks[i].node - last);
    last = stacks[i].node;
  }
  end_numbers(out);
  g_string_append_c(out, ',');
  begin_numbers(out, "owners");
  for (uint32_t i = 0; i < tree->stacks->len; i++)
    if (begins_number(stacks, i))
      g_string_append_printf(out, "%u,", stacks[i].owner);
  end_numbers(out);
}

static void append_resident(GString *out, json_t *resident)
{
  if (resident == NULL)
    return;
  append_key(out, "resident");
  append_json(out, json_incref(resident));
  g_string_append_c(out, ',');
}

GString *heap_json(const struct heap *heap, const struct heap *base, json_t *resident, struct page_start start,
                   GError **error)
{
  struct page_tree *tree = page_tree_new(heap, base, error);
  if (tree == NULL)
    return NULL;
  GString *out = g_string_new("{");
  append_key(out, "tool");
  append_json(out, json_string("heapprof " PACKAGE_VERSION));
  g_string_append_c(out, ',');
  append_key(out, "shown");
  append_json(out, json_string(heap_type(heap, (uint32_t)start.type)->name));
  g_string_append_c(out, ',');
  append_key(out, "by");
  append_json(out, json_string(start.is_by_leaf ? "leaf" : "owner"));
  g_string_append_c(out, ',');
  append_profiles(out, heap, base);
  g_string_append_c(out, ',');
  append_resident(out, resident);
  append_places(out, tree->places);
  g_string_append_c(out, ',');
  append_nodes(out, tree);
  g_string_append_c(out, ',');
  append_ends(out, tree);
  g_string_append_c(out, ',');
  bool has_types = append_types(out, tree, heap, base);
  g_string_append(out, "}\n");
  page_tree_free(tree);
  if (has_types)
    return out;
  g_string_free(out, TRUE);
  g_set_error(error, HEAP_JSON_ERROR, 0, "%s and %s count different things", heap->name, base->name);
  return NULL;
}
