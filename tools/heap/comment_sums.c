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
struct note {
  char *line; /* RULE_EACH: the text */
  char *key;  /* other rules; NULL: RULE_EACH */
  enum rule rule;
  uint64_t number;
  guint seen; /* in how many profiles */
};

struct notes {
  GPtrArray *notes;               /* struct note, in the order of their first appearance */
  GHashTable *by_text;            /* by key, or by line */
  guint profiles;                 /* added here */
  uint64_t merged;                /* those that they were made of */
  double squares[HEAP_TYPES_MAX]; /* of the standard errors in comments */
  bool lacks_errors;
};

static void note_free(void *data)
{
  struct note *note = data;
  g_free(note->line);
  g_free(note->key);
  g_free(note);
}

struct notes *notes_new(void)
{
  struct notes *notes = g_new0(struct notes, 1);
  notes->notes = g_ptr_array_new_with_free_func(note_free);
  notes->by_text = g_hash_table_new(g_str_hash, g_str_equal);
  return notes;
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

static struct note *find_note(struct notes *notes, const char *text)
{
  return g_hash_table_lookup(notes->by_text, text);
}

static void add_line(struct notes *notes, const char *line)
{
  struct note *note = find_note(notes, line);
  if (note == NULL) {
    note = g_new0(struct note, 1);
    note->line = g_strdup(line);
    g_ptr_array_add(notes->notes, note);
    g_hash_table_insert(notes->by_text, note->line, note);
  }
}

static void add_number(struct notes *notes, const char *key, enum rule rule, uint64_t number)
{
  struct note *note = find_note(notes, key);
  if (note == NULL) {
    note = g_new0(struct note, 1);
    *note = (struct note){.key = g_strdup(key), .rule = rule, .number = rule == RULE_SAME ? number : 0};
    g_ptr_array_add(notes->notes, note);
    g_hash_table_insert(notes->by_text, note->key, note);
  }
  if (rule == RULE_SAME && note->number != number)
    return; /* not seen as often as there are profiles: left out */
  note->seen++;
  if (rule == RULE_LARGEST)
    note->number = MAX(note->number, number);
  else if (rule == RULE_ADD && __builtin_add_overflow(note->number, number, &note->number))
    note->number = UINT64_MAX;
}

static void add_comment(struct notes *notes, const char *line)
{
  const char *separator = g_str_has_prefix(line, start) ? strstr(line, ": ") : NULL;
  if (separator == NULL) {
    add_line(notes, line);
    return;
  }
  g_autofree char *key = g_strndup(line + strlen(start), (gsize)(separator - line) - strlen(start));
  enum rule rule = rule_of(key);
  guint64 number;
  if (rule == RULE_EACH)
    add_line(notes, line);
  else if (rule != RULE_ANEW && g_ascii_string_to_unsigned(separator + 2, 10, 0, UINT64_MAX, &number, NULL))
    add_number(notes, key, rule, number);
}

static void add_squares(struct notes *notes, const struct heap *heap)
{
  for (uint32_t i = 0; i < heap->types->len; i++) {
    g_autofree char *key = g_strconcat(COMMENT_standard_error, heap_type(heap, i)->name, NULL);
    uint64_t error = 0;
    notes->lacks_errors |= !heap_comment_number(heap, key, &error);
    notes->squares[i] += (double)error * (double)error;
  }
}

void notes_add(struct notes *notes, const struct heap *heap)
{
  notes->profiles++;
  for (guint i = 0; i < heap->comments->len; i++)
    add_comment(notes, g_ptr_array_index(heap->comments, i));
  add_squares(notes, heap);
  const char *merged = heap_comment(heap, COMMENT_merged);
  uint64_t count = merged != NULL ? g_ascii_strtoull(merged, NULL, 10) : 1;
  notes->merged += CLAMP(count, 1, UINT32_MAX);
}

static void put_note(const struct notes *notes, const struct note *note, struct heap *heap)
{
  if (note->rule == RULE_EACH)
    g_ptr_array_add(heap->comments, (char *)(uintptr_t)heap_text(heap, note->line));
  else if (note->rule == RULE_ADD || note->seen == notes->profiles)
    heap_add_comment(heap, note->key, "%" G_GUINT64_FORMAT, note->number);
}

static void put_standard_errors(const struct notes *notes, struct heap *heap)
{
  if (heap->variances == NULL && notes->lacks_errors)
    return;
  for (uint32_t type = 0; type < heap->types->len; type++) {
    double variance = notes->squares[type];
    if (heap->variances != NULL) {
      variance = 0;
      for (uint32_t i = 0; i < heap->samples->len; i++)
        variance += heap_variance(heap, i, (int)type);
    }
    g_autofree char *key = g_strconcat(COMMENT_standard_error, heap_type(heap, type)->name, NULL);
    heap_add_comment(heap, key, "%.0f", sqrt(variance));
  }
}

void notes_apply(const struct notes *notes, struct heap *heap)
{
  for (guint i = 0; i < notes->notes->len; i++)
    put_note(notes, g_ptr_array_index(notes->notes, i), heap);
  put_standard_errors(notes, heap);
  if (notes->merged > 1)
    heap_add_comment(heap, COMMENT_merged, "%" G_GUINT64_FORMAT " profiles", notes->merged);
}

void notes_free(struct notes *notes)
{
  g_hash_table_destroy(notes->by_text);
  g_ptr_array_free(notes->notes, TRUE);
  g_free(notes);
}
