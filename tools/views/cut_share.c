/* SPDX-License-Identifier: MIT */
#include "tools/views/cut_share.h"

#include "tools/terminal/quantity.h"

#include <math.h>
#include <string.h>

static const double SMALL_SHARE = 0.05;

/* Version 0.1.0 gave no reason: "stack: truncated". */
static bool is_cut(const struct heap_label *label, enum cut *cut)
{
  *cut = CUT_unknown;
  if (strcmp(label->key, CUT_LABEL) != 0)
    return strcmp(label->key, "stack") == 0 && strcmp(label->text, "truncated") == 0;
  for (int known = 0; known < CUT_COUNT; known++)
    if (strcmp(label->text, cut_label((enum cut)known)) == 0)
      *cut = (enum cut)known;
  return true;
}

void cut_share_add(struct cut_share *share, const struct heap *heap, int type, uint32_t sample)
{
  const struct heap_sample *of_heap = heap_sample(heap, sample);
  double value = fabs((double)heap_values(heap, sample)[type]);
  enum cut cut;
  share->whole += value;
  for (uint32_t i = 0; i < of_heap->label_count; i++) {
    if (!is_cut(&g_array_index(heap->labels, struct heap_label, of_heap->first_label + i), &cut))
      continue;
    share->parts[cut] += value;
    return;
  }
}

struct cut_share cut_share_of(const struct heap *heap, int type)
{
  struct cut_share share = {0};
  for (uint32_t i = 0; i < heap->samples->len; i++)
    cut_share_add(&share, heap, type, i);
  return share;
}

double cut_share_sum(const struct cut_share *share)
{
  double sum = 0;
  for (int cut = 0; cut < CUT_COUNT; cut++)
    sum += share->parts[cut];
  return sum;
}

/* Where people can do something about it. */
static const char *advice(enum cut cut)
{
  switch (cut) {
  case CUT_no_cfi: return " (code built with -fasynchronous-unwind-tables or -fno-omit-frame-pointer has none)";
  case CUT_depth: return " (a larger HEAPPROF_DEPTH leaves fewer)";
  default: return "";
  }
}

char *cut_share_text(const struct cut_share *share, const char *type_name)
{
  double sum = cut_share_sum(share);
  if (sum <= SMALL_SHARE * share->whole)
    return NULL;
  GString *text = g_string_new(NULL);
  g_string_append_printf(text, "%s of %s", quantity_percentage(sum, share->whole).text, type_name);
  const char *separator = ": ";
  for (int next = 1; next <= CUT_COUNT; next++) {
    enum cut cut = (enum cut)(next % CUT_COUNT); /* the unknown reason last */
    if (share->parts[cut] == 0)
      continue;
    g_string_append(text, separator);
    if (share->parts[cut] < sum)
      g_string_append_printf(text, "%s ", quantity_percentage(share->parts[cut], share->whole).text);
    g_string_append_printf(text, "%s%s", cut == CUT_unknown ? "for a reason that is not told" : cut_label(cut),
                           advice(cut));
    separator = ", ";
  }
  return g_string_free(text, FALSE);
}
