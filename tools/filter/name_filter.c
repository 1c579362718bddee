/* SPDX-License-Identifier: MIT */
#include "tools/filter/name_filter.h"

#include "tools/filter/expression.h"

/* What an expression matches in a heap, and whether it did. */
struct finder {
  const struct heap *heap;
  const GRegex *expression;
  bool *functions, *mappings;
  bool has_found;
};

static struct finder *finder_new(const struct heap *heap, const GRegex *expression)
{
  if (expression == NULL)
    return NULL;
  struct finder *finder = g_new0(struct finder, 1);
  finder->heap = heap;
  finder->expression = expression;
  finder->functions = g_new0(bool, heap->functions->len);
  finder->mappings = g_new0(bool, heap->mappings->len);
  for (uint32_t i = 0; i < heap->functions->len; i++)
    finder->functions[i] = expression_matches(expression, heap_function(heap, i)->name) ||
                           expression_matches(expression, heap_function(heap, i)->file);
  for (uint32_t i = 0; i < heap->mappings->len; i++)
    finder->mappings[i] = expression_matches(expression, heap_mapping(heap, i)->path);
  return finder;
}

/* What found nothing is appended to `unmatched`. */
static void finder_end(struct finder *finder, const char *option, GString *unmatched)
{
  if (finder == NULL)
    return;
  if (!finder->has_found && !expression_is_given_up(finder->expression))
    expression_append_unmatched(unmatched, option, expression_text(finder->expression));
  g_free(finder->functions);
  g_free(finder->mappings);
  g_free(finder);
}

static bool is_mapping_found(const struct finder *finder, const struct heap_location *location)
{
  return location->mapping != HEAP_NONE && finder->mappings[location->mapping];
}

static bool is_line_found(const struct finder *finder, const struct heap_line *line)
{
  return line->function != HEAP_NONE && finder->functions[line->function];
}

static bool is_found(const struct finder *finder, const struct heap_location *location)
{
  bool found = is_mapping_found(finder, location);
  for (uint32_t i = 0; i < location->line_count && !found; i++)
    found = is_line_found(finder, heap_lines(finder->heap, location) + i);
  return found;
}

/* Lines. */

/* Of a location, those that stay; it has them all if its file is what was meant. */
static bool *lines_shown(const struct finder *show, const struct heap_location *location)
{
  bool *stays = g_new0(bool, location->line_count + 1);
  for (uint32_t i = 0; i < location->line_count; i++) {
    const struct heap_line *line = heap_lines(show->heap, location) + i;
    stays[i] = is_mapping_found(show, location) || line->function == HEAP_NONE || is_line_found(show, line);
  }
  return stays;
}

static bool *lines_not_hidden(const struct finder *hide, const struct heap_location *location)
{
  bool *stays = g_new0(bool, location->line_count + 1);
  for (uint32_t i = 0; i < location->line_count; i++)
    stays[i] = !is_mapping_found(hide, location) && !is_line_found(hide, heap_lines(hide->heap, location) + i);
  return stays;
}

/* Returns whether any is left. */
static bool keep_lines(struct heap *heap, uint32_t number, const bool *stays)
{
  const struct heap_location *location = heap_location(heap, number);
  g_autoptr(GArray) kept = g_array_new(FALSE, FALSE, sizeof(struct heap_line));
  for (uint32_t i = 0; i < location->line_count; i++)
    if (stays[i])
      g_array_append_vals(kept, heap_lines(heap, location) + i, 1);
  if (kept->len < location->line_count)
    heap_set_lines(heap, number, (const struct heap_line *)kept->data, kept->len);
  return kept->len > 0;
}

static bool hide_lines(struct heap *heap, uint32_t number, struct finder *hide)
{
  const struct heap_location *location = heap_location(heap, number);
  if (!is_found(hide, location))
    return false;
  hide->has_found = true;
  g_autofree bool *stays = lines_not_hidden(hide, location);
  return !keep_lines(heap, number, stays);
}

static bool show_lines(struct heap *heap, uint32_t number, struct finder *show)
{
  g_autofree bool *stays = lines_shown(show, heap_location(heap, number));
  bool is_left = keep_lines(heap, number, stays);
  show->has_found |= is_left;
  return !is_left;
}

/* By location: do none of its functions stay? NULL: nothing was asked. */
static bool *find_hidden(struct heap *heap, struct finder *hide, struct finder *show)
{
  if (hide == NULL && show == NULL)
    return NULL;
  bool *is_hidden = g_new0(bool, heap->locations->len);
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    is_hidden[i] = hide != NULL && hide_lines(heap, i, hide);
    if (show != NULL)
      is_hidden[i] |= show_lines(heap, i, show);
  }
  return is_hidden;
}

/* Stacks. */

void name_filter_empty(struct heap_sample *sample)
{
  sample->frame_count = 0;
  sample->label_count = 0;
}

enum { PLACE_FOCUSED = 1, PLACE_IGNORED = 2 };

/* By location. */
static uint8_t *judge_places(const struct heap *heap, struct finder *focus, struct finder *ignore)
{
  uint8_t *verdicts = g_new0(uint8_t, heap->locations->len);
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    if (ignore != NULL && is_found(ignore, location)) {
      verdicts[i] = PLACE_IGNORED;
      ignore->has_found = true;
    } else if (focus == NULL || is_found(focus, location)) {
      verdicts[i] = PLACE_FOCUSED;
      if (focus != NULL)
        focus->has_found = true;
    }
  }
  return verdicts;
}

static bool is_wanted(const struct heap *heap, const struct heap_sample *sample, const uint8_t *verdicts)
{
  uint8_t seen = 0;
  for (uint32_t i = 0; i < sample->frame_count; i++)
    seen |= verdicts[heap_frames(heap, sample)[i]];
  return seen == PLACE_FOCUSED;
}

/* Frames lie in one array, and samples may share them: what is left of a stack is added at its end. */
static void remove_hidden(struct heap *heap, struct heap_sample *sample, const bool *is_hidden)
{
  uint32_t first = heap->frames->len, count = 0;
  for (uint32_t i = 0; i < sample->frame_count; i++)
    count += !is_hidden[heap_frames(heap, sample)[i]];
  if (count == sample->frame_count)
    return;
  for (uint32_t i = 0; i < sample->frame_count && count > 0; i++) {
    uint32_t frame = heap_frames(heap, sample)[i];
    if (!is_hidden[frame])
      g_array_append_val(heap->frames, frame);
  }
  sample->first_frame = first;
  sample->frame_count = count;
  if (count == 0)
    name_filter_empty(sample);
}

static void choose_stacks(struct heap *heap, const uint8_t *verdicts, const bool *is_hidden)
{
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    struct heap_sample *sample = heap_sample(heap, i);
    if (!is_wanted(heap, sample, verdicts))
      name_filter_empty(sample);
    else if (is_hidden != NULL)
      remove_hidden(heap, sample, is_hidden);
  }
}

/* Where stacks begin. */

/* Of its lines those up to the outermost that was found stay. */
static bool begins_at(const struct finder *from, struct heap_location *location)
{
  if (is_mapping_found(from, location))
    return true;
  for (uint32_t i = location->line_count; i-- > 0;)
    if (is_line_found(from, heap_lines(from->heap, location) + i)) {
      location->line_count = i + 1;
      return true;
    }
  return false;
}

static void cut_outer_ends(struct heap *heap, struct finder *from)
{
  g_autofree bool *is_start = g_new0(bool, heap->locations->len);
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    is_start[i] = begins_at(from, heap_location(heap, i));
    from->has_found |= is_start[i];
  }
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    struct heap_sample *sample = heap_sample(heap, i);
    while (sample->frame_count > 0 && !is_start[heap_frames(heap, sample)[sample->frame_count - 1]])
      sample->frame_count--;
    if (sample->frame_count == 0)
      name_filter_empty(sample);
  }
}

void name_filter_apply(const struct name_filter *filter, struct heap *heap, GString *unmatched)
{
  struct finder *focus = finder_new(heap, filter->focus), *ignore = finder_new(heap, filter->ignore),
                *hide = finder_new(heap, filter->hide), *show = finder_new(heap, filter->show),
                *from = finder_new(heap, filter->show_from);
  if (focus != NULL || ignore != NULL || hide != NULL || show != NULL) {
    g_autofree uint8_t *verdicts = judge_places(heap, focus, ignore);
    g_autofree bool *is_hidden = find_hidden(heap, hide, show);
    choose_stacks(heap, verdicts, is_hidden);
  }
  if (from != NULL)
    cut_outer_ends(heap, from);
  finder_end(focus, "focus", unmatched);
  finder_end(ignore, "ignore", unmatched);
  finder_end(hide, "hide", unmatched);
  finder_end(show, "show", unmatched);
  finder_end(from, "show-from", unmatched);
}
