/* SPDX-License-Identifier: MIT */
#include "tools/record/tracked.h"

#include <string.h>

enum { DIGEST_BYTES = 16 };

/* Whoever chose the addresses cannot make two stacks one. */
struct digest {
  uint8_t bytes[DIGEST_BYTES];
};

struct place {
  uint64_t address;
  uint32_t mapping, location;
};

/* --- places and stacks --- */

static gint compare_places(gconstpointer a, gconstpointer b, gpointer data)
{
  const struct place *one = a, *other = b;
  (void)data;
  if (one->address != other->address)
    return one->address < other->address ? -1 : 1;
  return (one->mapping > other->mapping) - (one->mapping < other->mapping);
}

static guint hash_digest(gconstpointer key)
{
  guint hash;
  memcpy(&hash, key, sizeof hash);
  return hash;
}

static gboolean is_same_digest(gconstpointer a, gconstpointer b)
{
  return memcmp(a, b, DIGEST_BYTES) == 0;
}

static void add_text(GChecksum *sum, const char *text)
{
  g_checksum_update(sum, (const guchar *)text, (gssize)strlen(text) + 1);
}

static void add_labels(GChecksum *sum, const struct heap *heap, const struct heap_sample *sample)
{
  for (uint32_t i = 0; i < sample->label_count; i++) {
    const struct heap_label *label = &g_array_index(heap->labels, struct heap_label, sample->first_label + i);
    add_text(sum, label->key);
    add_text(sum, label->text);
    add_text(sum, label->unit);
    g_checksum_update(sum, (const guchar *)&label->number, sizeof label->number);
  }
}

/* `mappings`: numbers that those of the heap have among the known; NULL: it is the known heap. Stacks as they are read
 * and as they are stored are told apart. */
static struct digest digest_of(const struct heap *heap, uint32_t index, const uint32_t *mappings)
{
  struct digest digest;
  guint8 whole[32];
  gsize size = sizeof whole;
  const struct heap_sample *sample = heap_sample(heap, index);
  const uint32_t *frames = heap_frames(heap, sample);
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  uint64_t start[] = {mappings != NULL, sample->frame_count};
  g_checksum_update(sum, (const guchar *)start, sizeof start);
  for (uint32_t i = 0; i < sample->frame_count; i++) {
    const struct heap_location *location = heap_location(heap, frames[i]);
    uint64_t frame[] = {mappings != NULL ? location->address : frames[i],
                        mappings != NULL && location->mapping != HEAP_NONE ? mappings[location->mapping] : HEAP_NONE};
    g_checksum_update(sum, (const guchar *)frame, sizeof frame);
  }
  add_labels(sum, heap, sample);
  g_checksum_get_digest(sum, whole, &size);
  memcpy(digest.bytes, whole, sizeof digest.bytes);
  return digest;
}

static void note_stack(struct tracked *tracked, struct digest digest, uint32_t stack)
{
  g_hash_table_replace(tracked->stacks, g_memdup2(&digest, sizeof digest), GUINT_TO_POINTER(stack + 1));
}

/* HEAP_NONE: not known. */
static uint32_t find_stack(const struct tracked *tracked, struct digest digest)
{
  return GPOINTER_TO_UINT(g_hash_table_lookup(tracked->stacks, &digest)) - 1;
}

static void note_place(struct tracked *tracked, uint32_t location)
{
  const struct heap_location *of = heap_location(tracked->known, location);
  struct place place = {of->address, of->mapping, location};
  g_tree_insert(tracked->places, g_memdup2(&place, sizeof place), NULL);
}

static uint32_t find_place(const struct tracked *tracked, uint64_t address, uint32_t mapping)
{
  struct place wanted = {.address = address, .mapping = mapping};
  gpointer found;
  return g_tree_lookup_extended(tracked->places, &wanted, &found, NULL) ? ((const struct place *)found)->location
                                                                        : HEAP_NONE;
}

/* --- what is known --- */

struct tracked *tracked_load(struct store *store, int64_t process, const struct texts *texts, GError **error)
{
  g_autoptr(GError) problem = NULL;
  struct heap *known = process_row_stacks(store, process, texts, error);
  if (known == NULL)
    return NULL;
  struct tracked *tracked = g_new0(struct tracked, 1);
  tracked->process = process;
  tracked->known = known;
  tracked->values = values_new(known->types->len);
  tracked->saved = part_end(known);
  tracked->places = g_tree_new_full(compare_places, NULL, g_free, NULL);
  tracked->stacks = g_hash_table_new_full(hash_digest, is_same_digest, g_free, NULL);
  for (uint32_t i = 0; i < known->locations->len; i++)
    note_place(tracked, i);
  for (uint32_t i = 0; i < known->samples->len; i++)
    note_stack(tracked, digest_of(known, i, NULL), i);
  values_set_count(tracked->values, known->samples->len);
  int64_t time_ns = INT64_MAX;
  bool is_known = chain_find(&tracked->chain, store, process, &problem) &&
                  (chain_read(store, process, tracked->values, &time_ns, &problem) || problem == NULL);
  if (is_known && values_count(tracked->values) > 0)
    memset(tracked->values->changed->data, 0, values_count(tracked->values));
  if (is_known)
    return tracked;
  g_propagate_error(error, g_steal_pointer(&problem));
  tracked_free(tracked);
  return NULL;
}

void tracked_free(struct tracked *tracked)
{
  if (tracked == NULL)
    return;
  g_tree_destroy(tracked->places);
  g_hash_table_destroy(tracked->stacks);
  values_free(tracked->values);
  heap_free(tracked->known);
  g_free(tracked);
}

/* --- what is new --- */

static bool is_same_mapping(const struct heap_mapping *one, const struct heap_mapping *other)
{
  return one->start == other->start && one->limit == other->limit && one->file_offset == other->file_offset &&
         strcmp(one->path, other->path) == 0 && strcmp(one->build_id, other->build_id) == 0;
}

/* Latest first: where code was loaded again and again, that is the one. */
static uint32_t known_mapping(const struct tracked *tracked, const struct heap_mapping *mapping)
{
  for (uint32_t i = tracked->known->mappings->len; i-- > 0;)
    if (is_same_mapping(heap_mapping(tracked->known, i), mapping))
      return i;
  return heap_add_mapping(tracked->known, *mapping);
}

/* A new array. */
static uint32_t *known_mappings(const struct tracked *tracked, const struct heap *heap)
{
  uint32_t *mappings = g_new(uint32_t, heap->mappings->len + 1);
  for (uint32_t i = 0; i < heap->mappings->len; i++)
    mappings[i] = known_mapping(tracked, heap_mapping(heap, i));
  return mappings;
}

static void copy_lines(struct heap *to, uint32_t to_location, const struct heap *from, uint32_t from_location)
{
  const struct heap_location *location = heap_location(from, from_location);
  g_autoptr(GArray) lines = g_array_new(FALSE, FALSE, sizeof(struct heap_line));
  for (uint32_t i = 0; i < location->line_count; i++) {
    struct heap_line line = heap_lines(from, location)[i];
    if (line.function == HEAP_NONE)
      continue;
    line.function = heap_add_function(to, *heap_function(from, line.function));
    g_array_append_val(lines, line);
  }
  if (lines->len > 0)
    heap_set_lines(to, to_location, (const struct heap_line *)(void *)lines->data, lines->len);
}

static uint32_t known_mapping_of(const uint32_t *mappings, const struct heap_location *location)
{
  return location->mapping != HEAP_NONE ? mappings[location->mapping] : HEAP_NONE;
}

/* Names are looked up once: places that are known bring theirs. */
static void take_known_names(const struct tracked *tracked, struct heap *heap, const uint32_t *mappings)
{
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    uint32_t known = find_place(tracked, location->address, known_mapping_of(mappings, location));
    if (known != HEAP_NONE && location->line_count == 0)
      copy_lines(heap, i, tracked->known, known);
  }
}

static uint32_t known_location(struct tracked *tracked, const struct heap *heap, uint32_t index,
                               const uint32_t *mappings)
{
  const struct heap_location *location = heap_location(heap, index);
  uint32_t mapping = known_mapping_of(mappings, location), known = find_place(tracked, location->address, mapping);
  if (known != HEAP_NONE)
    return known;
  known = heap_add_location(tracked->known, location->address, mapping);
  heap_location(tracked->known, known)->is_folded = location->is_folded;
  copy_lines(tracked->known, known, heap, index);
  note_place(tracked, known);
  return known;
}

/* With names, and as it is to be stored. */
static uint32_t add_stack(struct tracked *tracked, const struct heap *heap, uint32_t index, const uint32_t *mappings)
{
  static const int64_t zeros[HEAP_TYPES_MAX];
  const struct heap_sample *sample = heap_sample(heap, index);
  g_autofree uint32_t *frames = g_new(uint32_t, sample->frame_count + 1);
  for (uint32_t i = 0; i < sample->frame_count; i++)
    frames[i] = known_location(tracked, heap, heap_frames(heap, sample)[i], mappings);
  uint32_t stack = heap_add_sample(tracked->known, frames, sample->frame_count, zeros, NULL);
  for (uint32_t i = 0; i < sample->label_count; i++) {
    const struct heap_label *label = &g_array_index(heap->labels, struct heap_label, sample->first_label + i);
    heap_add_label(tracked->known, label->key, label->text, label->number, label->unit);
  }
  struct digest digest = digest_of(tracked->known, stack, NULL);
  uint32_t same = find_stack(tracked, digest);
  if (same != HEAP_NONE) { /* another stack, but for frames that nobody sees */
    g_array_set_size(tracked->known->samples, stack);
    g_array_set_size(tracked->known->values, stack * tracked->known->types->len);
    g_array_set_size(tracked->known->variances, stack * tracked->known->types->len);
    return same;
  }
  note_stack(tracked, digest, stack);
  return stack;
}

/* By sample: the number of its stack. A new array. */
static uint32_t *stacks_of(struct tracked *tracked, struct heap *heap, tracked_name *name, void *data)
{
  uint32_t *stacks = g_new(uint32_t, heap->samples->len + 1);
  g_autofree uint32_t *mappings = known_mappings(tracked, heap);
  g_autofree struct digest *digests = g_new(struct digest, heap->samples->len + 1);
  bool has_new = false;
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    digests[i] = digest_of(heap, i, mappings);
    stacks[i] = find_stack(tracked, digests[i]);
    has_new |= stacks[i] == HEAP_NONE;
  }
  if (!has_new)
    return stacks;
  take_known_names(tracked, heap, mappings);
  name(heap, data);
  for (uint32_t i = 0; i < heap->samples->len; i++)
    if (stacks[i] == HEAP_NONE) {
      stacks[i] = add_stack(tracked, heap, i, mappings);
      note_stack(tracked, digests[i], stacks[i]);
    }
  return stacks;
}

/* --- moments --- */

static int64_t sum(int64_t one, int64_t other)
{
  int64_t result;
  return __builtin_add_overflow(one, other, &result) ? INT64_MAX : result;
}

/* Several stacks as they were read may be one. */
static void set_values(struct tracked *tracked, const struct heap *heap, const uint32_t *stacks)
{
  unsigned types = heap->types->len;
  uint32_t count = tracked->known->samples->len;
  g_autofree int64_t *numbers = g_new0(int64_t, (size_t)count * types + 1);
  g_autofree double *variances = g_new0(double, (size_t)count *types + 1);
  for (uint32_t i = 0; i < heap->samples->len; i++)
    for (unsigned type = 0; type < types; type++) {
      size_t at = (size_t)stacks[i] * types + type;
      numbers[at] = sum(numbers[at], heap_values(heap, i)[type]);
      variances[at] += heap_variance(heap, i, (int)type);
    }
  values_set_count(tracked->values, count);
  for (uint32_t stack = 0; stack < count; stack++)
    values_set(tracked->values, stack, numbers + (size_t)stack * types, variances + (size_t)stack * types);
}

static void set_comments(struct tracked *tracked, const struct heap *heap)
{
  g_ptr_array_set_size(tracked->values->comments, 0);
  for (guint i = 0; i < heap->comments->len; i++)
    g_ptr_array_add(tracked->values->comments, g_strdup(g_ptr_array_index(heap->comments, i)));
}

static int64_t total_of(const struct heap *heap, const char *name)
{
  int type = heap_find_type(heap, name);
  int64_t total = 0;
  for (uint32_t i = 0; type >= 0 && i < heap->samples->len; i++)
    total = sum(total, heap_values(heap, i)[type]);
  return total;
}

static bool save_new(struct tracked *tracked, struct store *store, struct texts *texts, GError **error)
{
  struct part_start end = part_end(tracked->known);
  if (memcmp(&end, &tracked->saved, sizeof end) == 0)
    return true;
  g_autoptr(GBytes) part = part_pack(tracked->known, &tracked->saved, texts);
  tracked->saved = end;
  return texts_save(texts, store, error) &&
         store_do(store, error, "INSERT INTO part(process, part) VALUES(?, ?)", "ib", tracked->process, part);
}

bool tracked_put(struct tracked *tracked, struct store *store, struct texts *texts, struct heap *heap,
                 int64_t resident_bytes, tracked_name *name, void *data, GError **error)
{
  int64_t time_ns = heap->time_unix_ns;
  struct moment_totals totals = {total_of(heap, "inuse_space"), total_of(heap, "alloc_space"), resident_bytes};
  g_autofree uint32_t *stacks = stacks_of(tracked, heap, name, data);
  set_values(tracked, heap, stacks);
  set_comments(tracked, heap);
  return save_new(tracked, store, texts, error) &&
         chain_add(&tracked->chain, store, tracked->values, &time_ns, &totals, error);
}
