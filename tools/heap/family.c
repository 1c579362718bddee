/* SPDX-License-Identifier: MIT */
#include "tools/heap/family.h"

#include "core/comments.h"
#include "core/inherited.h"
#include "tools/heap/sums.h"

#include <string.h>

/* Labels of ours while heaps are combined: no profile keeps them. The number tells the processes apart; 0: allocated by
 * itself. */
static const char mark[] = "heapprof family";

char *family_of(const struct heap *heap)
{
  const char *origin = heap_comment(heap, COMMENT_forked_from), *pid = heap_comment(heap, COMMENT_pid),
             *created = heap_comment(heap, COMMENT_created_unix_ns);
  if (heap_comment(heap, COMMENT_merged) != NULL)
    return NULL;
  if (origin != NULL)
    return g_strdup(origin);
  return pid != NULL && created != NULL ? g_strconcat(created, " ", pid, NULL) : NULL;
}

bool family_has_parent(const struct heap *heap)
{
  return heap_comment(heap, COMMENT_forked_from) != NULL && heap_comment(heap, COMMENT_merged) == NULL;
}

static bool is_inherited(const struct heap_label *label)
{
  return strcmp(label->key, INHERITED_LABEL) == 0 && strcmp(label->text, INHERITED_TEXT) == 0;
}

static void subtract(struct heap *heap, const char *key, uint64_t units)
{
  uint64_t number;
  if (!heap_comment_number(heap, key, &number))
    return;
  const char *old = heap_comment(heap, key);
  for (guint i = 0; i < heap->comments->len; i++) {
    const char *line = g_ptr_array_index(heap->comments, i);
    if (line + strlen(line) - strlen(old) == old)
      g_ptr_array_remove_index(heap->comments, i--);
  }
  heap_add_comment(heap, key, "%" G_GUINT64_FORMAT, number > units ? number - units : 0);
}

/* Both begin with what was inherited. */
static void subtract_units(struct heap *heap, double units)
{
  subtract(heap, COMMENT_exact_units, (uint64_t)units);
  subtract(heap, COMMENT_estimated_units, (uint64_t)units);
}

/* Objects and bytes that were allocated. */
static double units_of(const struct heap *heap, uint32_t sample)
{
  double units = 0;
  const char *const types[] = {"alloc_objects", "alloc_space"};
  for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
    int type = heap_find_type(heap, types[i]);
    units += type >= 0 ? (double)heap_values(heap, sample)[type] : 0;
  }
  return MAX(units, 0);
}

void family_mark(struct heap *heap, const char *family, unsigned process, bool is_counted)
{
  GArray *labels = g_array_new(FALSE, FALSE, sizeof(struct heap_label));
  struct heap_label own = {.key = heap_text(heap, mark), .text = heap_text(heap, family), .unit = heap_text(heap, "")};
  double units = 0;
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    struct heap_sample *sample = heap_sample(heap, i);
    struct heap_label added = own;
    guint first = labels->len;
    for (uint32_t k = 0; k < sample->label_count; k++) {
      struct heap_label label = g_array_index(heap->labels, struct heap_label, sample->first_label + k);
      if (is_inherited(&label))
        added.number = process;
      else
        g_array_append_val(labels, label);
    }
    units += added.number != 0 ? units_of(heap, i) : 0;
    g_array_append_val(labels, added);
    sample->first_label = first;
    sample->label_count = labels->len - first;
  }
  g_array_free(heap->labels, TRUE);
  heap->labels = labels;
  if (is_counted)
    subtract_units(heap, units);
}

/* The combined heap. */

/* Samples of one stack and one family. */
struct group {
  const struct heap *heap;
  uint32_t sample; /* any of them */
  int64_t own[HEAP_TYPES_MAX];
  struct {
    uint32_t sample;
    int64_t value;
  } most[HEAP_TYPES_MAX]; /* that one process inherited */
};

static const struct heap_label *label_at(const struct heap *heap, const struct heap_sample *sample, uint32_t index)
{
  return &g_array_index(heap->labels, struct heap_label, sample->first_label + index);
}

static const struct heap_label *mark_of(const struct heap *heap, uint32_t index)
{
  const struct heap_sample *sample = heap_sample(heap, index);
  const struct heap_label *last = sample->label_count > 0 ? label_at(heap, sample, sample->label_count - 1) : NULL;
  return last != NULL && strcmp(last->key, mark) == 0 ? last : NULL;
}

static guint hash_group(gconstpointer key)
{
  const struct group *group = key;
  const struct heap_sample *sample = heap_sample(group->heap, group->sample);
  const uint32_t *frames = heap_frames(group->heap, sample);
  guint hash = sample->label_count;
  for (uint32_t i = 0; i < sample->frame_count; i++)
    hash = (hash ^ frames[i]) * 0x9e3779b1u;
  return hash;
}

static bool has_same_labels(const struct heap *heap, const struct heap_sample *one, const struct heap_sample *other)
{
  if (one->label_count != other->label_count)
    return false;
  for (uint32_t i = 0; i < one->label_count; i++) { /* texts are interned */
    const struct heap_label *a = label_at(heap, one, i), *b = label_at(heap, other, i);
    bool is_mark = i + 1 == one->label_count;
    if (a->key != b->key || a->text != b->text || a->unit != b->unit || (!is_mark && a->number != b->number))
      return false;
  }
  return true;
}

static gboolean is_same_group(gconstpointer a, gconstpointer b)
{
  const struct group *one = a, *two = b;
  const struct heap_sample *sample = heap_sample(one->heap, one->sample), *other = heap_sample(one->heap, two->sample);
  return sample->frame_count == other->frame_count &&
         memcmp(heap_frames(one->heap, sample), heap_frames(one->heap, other),
                sample->frame_count * sizeof(uint32_t)) == 0 &&
         has_same_labels(one->heap, sample, other);
}

static struct group *group_of(GHashTable *groups, const struct heap *heap, uint32_t sample)
{
  struct group key = {.heap = heap, .sample = sample};
  struct group *group = g_hash_table_lookup(groups, &key);
  if (group == NULL) {
    group = g_memdup2(&key, sizeof key);
    g_hash_table_add(groups, group);
  }
  return group;
}

static void add_to_group(struct group *group, struct heap *heap, uint32_t sample, int64_t process)
{
  const int64_t *values = heap_values(heap, sample);
  for (uint32_t type = 0; type < heap->types->len; type++) {
    if (process == 0) {
      group->own[type] = values[type];
    } else if (values[type] > group->most[type].value) {
      group->most[type].value = values[type];
      group->most[type].sample = sample;
    }
  }
}

static void drop_value(struct heap *heap, uint32_t sample, uint32_t type)
{
  heap_values(heap, sample)[type] = 0;
  if (heap->variances != NULL)
    g_array_index(heap->variances, double, (size_t)sample * heap->types->len + type) = 0;
}

static void keep_larger(GHashTable *groups, struct heap *heap, uint32_t sample)
{
  const struct heap_label *label = mark_of(heap, sample);
  if (label == NULL)
    return;
  const struct group *group = group_of(groups, heap, sample);
  for (uint32_t type = 0; type < heap->types->len; type++) {
    bool own_counts = group->own[type] >= group->most[type].value;
    if (label->number == 0 ? !own_counts : own_counts || group->most[type].sample != sample)
      drop_value(heap, sample, type);
  }
}

void family_count_once(struct heap *heap)
{
  GHashTable *groups = g_hash_table_new_full(hash_group, is_same_group, g_free, NULL);
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    const struct heap_label *label = mark_of(heap, i);
    if (label != NULL)
      add_to_group(group_of(groups, heap, i), heap, i, label->number);
  }
  for (uint32_t i = 0; i < heap->samples->len; i++)
    keep_larger(groups, heap, i);
  g_hash_table_destroy(groups);
  for (uint32_t i = 0; i < heap->samples->len; i++)
    heap_sample(heap, i)->label_count -= mark_of(heap, i) != NULL;
  GArray *sums = sums_of(heap);
  sums_apply(heap, sums);
  g_array_free(sums, TRUE);
}
