/* SPDX-License-Identifier: MIT */
#include "tools/views/cut_share.h"

#include "tools/heap/layout.h"
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

/* CUT_COUNT: it is whole. */
static enum cut reason_of(const struct heap *heap, uint32_t sample)
{
  const struct heap_sample *of_heap = heap_sample(heap, sample);
  enum cut cut;
  for (uint32_t i = 0; i < of_heap->label_count; i++)
    if (is_cut(&g_array_index(heap->labels, struct heap_label, of_heap->first_label + i), &cut))
      return cut;
  return CUT_COUNT;
}

/* Instead of a path. */
static const char haskell[] = "[Haskell]";

/* Main_main2_info, base_GHCziBase_map_info, sat_s1aB_info, stg_ap_pv_fast: as GHC calls what it makes. */
static bool is_of_ghc(const char *name)
{
  static GRegex *names;
  if (names == NULL)
    names = g_regex_new("\\A(?:stg_|(?:\\w*zi\\w*_|[A-Z][a-z]\\w*_|sat_)\\w+_info\\z|"
                        "[a-z](?=[a-z]*[A-Z0-9])\\w{2,5}_info\\z)",
                        0, 0, NULL);
  return g_regex_match(names, name, 0, NULL);
}

/* Of the code where the stack ends. */
static const char *path_of(const struct heap *heap, uint32_t sample)
{
  const struct heap_sample *of_heap = heap_sample(heap, sample);
  if (of_heap->frame_count == 0)
    return "";
  const uint32_t *frames = heap_frames(heap, of_heap);
  const struct heap_location *location = heap_location(heap, frames[of_heap->frame_count - 1]);
  uint32_t function = location->line_count > 0 ? heap_lines(heap, location)->function : HEAP_NONE;
  if (function != HEAP_NONE && is_of_ghc(heap_function(heap, function)->name))
    return haskell;
  return location->mapping != HEAP_NONE ? heap_mapping(heap, location->mapping)->path : "";
}

static double value_of(const struct heap *heap, int type, const bool *is_shown, uint32_t sample)
{
  return is_shown == NULL || is_shown[sample] ? fabs((double)heap_values(heap, sample)[type]) : 0;
}

/* Who has more than half of the votes outlasts all others; whether anybody has is counted afterwards. */
static const char *most_without_cfi(const struct heap *heap, int type, const bool *is_shown, double all)
{
  const char *leader = NULL;
  double lead = 0, part = 0;
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    if (reason_of(heap, i) != CUT_no_cfi)
      continue;
    const char *path = path_of(heap, i);
    double value = value_of(heap, type, is_shown, i);
    lead += leader != NULL && strcmp(leader, path) == 0 ? value : -value;
    if (lead < 0) {
      leader = path;
      lead = -lead;
    }
  }
  for (uint32_t i = 0; i < heap->samples->len && leader != NULL; i++)
    if (reason_of(heap, i) == CUT_no_cfi && strcmp(path_of(heap, i), leader) == 0)
      part += value_of(heap, type, is_shown, i);
  return part > all / 2 ? leader : NULL;
}

struct cut_share cut_share_of(const struct heap *heap, int type, const bool *is_shown)
{
  struct cut_share share = {0};
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    double value = value_of(heap, type, is_shown, i);
    enum cut cut = reason_of(heap, i);
    share.whole += value;
    if (cut < CUT_COUNT)
      share.parts[cut] += value;
  }
  if (share.parts[CUT_no_cfi] > 0)
    share.no_cfi_in = most_without_cfi(heap, type, is_shown, share.parts[CUT_no_cfi]);
  return share;
}

double cut_share_sum(const struct cut_share *share)
{
  double sum = 0;
  for (int cut = 0; cut < CUT_COUNT; cut++)
    sum += share->parts[cut];
  return sum;
}

#define COMPILER_OPTIONS "with -fasynchronous-unwind-tables or -fno-omit-frame-pointer"

static void append_no_cfi(GString *text, const char *path)
{
  if (path == NULL) {
    g_string_append(text, " (build that code " COMPILER_OPTIONS ")");
  } else if (strcmp(path, haskell) == 0) {
    g_string_append(text, " (most of it called by Haskell code, whose frames no option makes readable)");
  } else if (path[0] == '\0' || strcmp(path, "//anon") == 0 || strcmp(path, LAYOUT_GENERATED) == 0) {
    g_string_append(text, " (most of it in generated code; what makes it may have an option for frame pointers)");
  } else {
    g_autofree char *name = g_path_get_basename(path);
    g_string_append_printf(text, " (most of it in %s; build that " COMPILER_OPTIONS ")", name);
  }
}

/* Where people can do something about it. */
static void append_advice(GString *text, const struct cut_share *share, enum cut cut)
{
  if (cut == CUT_no_cfi)
    append_no_cfi(text, share->no_cfi_in);
  else if (cut == CUT_depth)
    g_string_append(text, " (set HEAPPROF_DEPTH higher)");
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
    g_string_append(text, cut == CUT_unknown ? "for a reason that is not told" : cut_label(cut));
    append_advice(text, share, cut);
    separator = ", ";
  }
  return g_string_free(text, FALSE);
}
