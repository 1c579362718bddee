/* SPDX-License-Identifier: MIT */
#include "tools/filter/filter.h"

#include "tools/filter/expression.h"
#include "tools/filter/plumbing.h"

struct filter {
  GRegex *plumbing;
  bool has_no_owners;
};

/* False after a message. */
static bool compile(const char *text, GRegex **expression)
{
  if (text != NULL)
    *expression = expression_compile(text);
  return text == NULL || *expression != NULL;
}

struct filter *filter_new(const struct filter_texts *texts)
{
  struct filter *filter = g_new0(struct filter, 1);
  filter->has_no_owners = texts->has_no_owners;
  if (compile(texts->plumbing, &filter->plumbing))
    return filter;
  filter_free(filter);
  return NULL;
}

void filter_free(struct filter *filter)
{
  if (filter == NULL)
    return;
  g_clear_pointer(&filter->plumbing, g_regex_unref);
  g_free(filter);
}

void filter_apply(const struct filter *filter, struct heap *heap)
{
  if (filter == NULL || !filter->has_no_owners)
    plumbing_mark(heap, filter != NULL ? filter->plumbing : NULL);
}
