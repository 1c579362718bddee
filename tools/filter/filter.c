/* SPDX-License-Identifier: MIT */
#include "tools/filter/filter.h"

#include "tools/filter/expression.h"
#include "tools/filter/name_filter.h"
#include "tools/filter/plumbing.h"
#include "tools/filter/tag_filter.h"

struct filter {
  struct name_filter names;
  struct tag_filter *tag_focus, *tag_ignore;
  GRegex *plumbing;
  bool has_no_owners;
};

/* Each is false after a message. */
static bool compile(const char *text, GRegex **expression)
{
  if (text != NULL)
    *expression = expression_compile(text);
  return text == NULL || *expression != NULL;
}

static bool compile_tag(const char *text, struct tag_filter **filter)
{
  if (text != NULL)
    *filter = tag_filter_new(text);
  return text == NULL || *filter != NULL;
}

struct filter *filter_new(const struct filter_texts *texts)
{
  struct filter *filter = g_new0(struct filter, 1);
  filter->has_no_owners = texts->has_no_owners;
  if (compile(texts->focus, &filter->names.focus) && compile(texts->ignore, &filter->names.ignore) &&
      compile(texts->hide, &filter->names.hide) && compile(texts->show, &filter->names.show) &&
      compile(texts->show_from, &filter->names.show_from) && compile_tag(texts->tag_focus, &filter->tag_focus) &&
      compile_tag(texts->tag_ignore, &filter->tag_ignore) && compile(texts->plumbing, &filter->plumbing))
    return filter;
  filter_free(filter);
  return NULL;
}

void filter_free(struct filter *filter)
{
  if (filter == NULL)
    return;
  GRegex **all[] = {&filter->names.focus, &filter->names.ignore,    &filter->names.hide,
                    &filter->names.show,  &filter->names.show_from, &filter->plumbing};
  for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
    g_clear_pointer(all[i], g_regex_unref);
  tag_filter_free(filter->tag_focus);
  tag_filter_free(filter->tag_ignore);
  g_free(filter);
}

/* With `is_wanted`, those that match stay, else they go. */
static void choose_by_tag(struct heap *heap, const struct tag_filter *filter, bool is_wanted, const char *option,
                          GString *unmatched)
{
  bool has_matched = false;
  for (uint32_t i = 0; i < heap->samples->len && filter != NULL; i++) {
    struct heap_sample *sample = heap_sample(heap, i);
    bool matches = tag_filter_matches(filter, heap, sample);
    has_matched |= matches;
    if (matches != is_wanted)
      name_filter_empty(sample);
  }
  if (filter != NULL && !has_matched)
    expression_append_unmatched(unmatched, option, tag_filter_text(filter));
}

void filter_mark_owners(const struct filter *filter, struct heap *heap)
{
  plumbing_mark(heap, filter->plumbing);
}

void filter_apply(const struct filter *filter, struct heap *heap, GString *unmatched)
{
  if (filter == NULL || !filter->has_no_owners)
    plumbing_mark(heap, filter != NULL ? filter->plumbing : NULL);
  if (filter == NULL)
    return;
  name_filter_apply(&filter->names, heap, unmatched);
  choose_by_tag(heap, filter->tag_focus, true, "tagfocus", unmatched);
  choose_by_tag(heap, filter->tag_ignore, false, "tagignore", unmatched);
}

static bool chooses_stacks(const struct filter *filter)
{
  const struct name_filter *names = &filter->names;
  return names->focus != NULL || names->ignore != NULL || names->hide != NULL || names->show != NULL ||
         names->show_from != NULL || filter->tag_focus != NULL || filter->tag_ignore != NULL;
}

void filter_drop_empty(const struct filter *filter, struct heap *heap)
{
  if (filter == NULL || !chooses_stacks(filter))
    return;
  uint32_t kept = 0, types = heap->types->len;
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    if (heap_sample(heap, i)->frame_count == 0)
      continue;
    *heap_sample(heap, kept) = *heap_sample(heap, i);
    for (uint32_t type = 0; type < types; type++) {
      heap_values(heap, kept)[type] = heap_values(heap, i)[type];
      if (heap->variances != NULL)
        g_array_index(heap->variances, double, (size_t)kept *types + type) = heap_variance(heap, i, (int)type);
    }
    kept++;
  }
  g_array_set_size(heap->samples, kept);
  g_array_set_size(heap->values, kept * types);
  if (heap->variances != NULL)
    g_array_set_size(heap->variances, kept * types);
}
