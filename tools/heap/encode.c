/* SPDX-License-Identifier: MIT */
#include "tools/heap/encode.h"

#include "core/pprof.pb-c.h"
#include "tools/heap/load.h"
#include "tools/heap/sums.h"

#include <float.h>
#include <string.h>

typedef Perftools__Profiles__Profile Message;

struct encoder {
  const struct heap *heap;
  GByteArray *bytes;
  GHashTable *string_ids; /* text -> id, as a pointer */
  GPtrArray *strings;     /* by id */
  /* By our index: 0 for what no sample uses, else its id. */
  uint32_t *mapping_ids, *location_ids, *function_ids;
  GArray *sums; /* struct sum */
};

/* What is used. */

static void mark_location(struct encoder *encoder, uint32_t index)
{
  const struct heap_location *location = heap_location(encoder->heap, index);
  const struct heap_line *lines = heap_lines(encoder->heap, location);
  encoder->location_ids[index] = 1;
  if (location->mapping != HEAP_NONE)
    encoder->mapping_ids[location->mapping] = 1;
  for (uint32_t i = 0; i < location->line_count; i++)
    if (lines[i].function != HEAP_NONE)
      encoder->function_ids[lines[i].function] = 1;
}

static void number_marked(uint32_t *ids, uint32_t count)
{
  uint32_t last = 0;
  for (uint32_t i = 0; i < count; i++)
    if (ids[i] != 0)
      ids[i] = ++last;
}

static void assign_ids(struct encoder *encoder)
{
  const struct heap *heap = encoder->heap;
  encoder->mapping_ids = g_new0(uint32_t, heap->mappings->len + 1);
  encoder->location_ids = g_new0(uint32_t, heap->locations->len + 1);
  encoder->function_ids = g_new0(uint32_t, heap->functions->len + 1);
  encoder->mapping_ids[0] = 1; /* the main program, whatever ran in it */
  for (guint i = 0; i < encoder->sums->len; i++) {
    const struct heap_sample *sample = heap_sample(heap, sums_at(encoder->sums, i)->sample);
    const uint32_t *frames = heap_frames(heap, sample);
    for (uint32_t frame = 0; frame < sample->frame_count; frame++)
      if (encoder->location_ids[frames[frame]] == 0)
        mark_location(encoder, frames[frame]);
  }
  number_marked(encoder->mapping_ids, heap->mappings->len);
  number_marked(encoder->location_ids, heap->locations->len);
  number_marked(encoder->function_ids, heap->functions->len);
}

static int64_t string_id(struct encoder *encoder, const char *text)
{
  gpointer found;
  if (g_hash_table_lookup_extended(encoder->string_ids, text, NULL, &found))
    return GPOINTER_TO_UINT(found);
  guint id = encoder->strings->len;
  g_ptr_array_add(encoder->strings, (char *)(uintptr_t)text);
  g_hash_table_insert(encoder->string_ids, (char *)(uintptr_t)text, GUINT_TO_POINTER(id));
  return id;
}

/* Entries, each packed as a message of its own: put behind each other they are one message. */

static void put(struct encoder *encoder, const Message *message)
{
  guint start = encoder->bytes->len;
  if (start > LOAD_BYTES_MAX)
    return;
  size_t size = perftools__profiles__profile__get_packed_size(message);
  g_byte_array_set_size(encoder->bytes, start + (guint)size);
  perftools__profiles__profile__pack(message, encoder->bytes->data + start);
}

static Perftools__Profiles__ValueType value_type(struct encoder *encoder, const struct heap_type *type)
{
  Perftools__Profiles__ValueType result = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
  result.type = string_id(encoder, type->name);
  result.unit = string_id(encoder, type->unit);
  return result;
}

/* Speedscope before 1.25 takes the number of the default's name for the place of its values. So it has that number. */
static void number_default(struct encoder *encoder)
{
  const struct heap *heap = encoder->heap;
  int type = heap_find_type(heap, NULL);
  for (int i = 0; i < type - 1; i++)
    (void)string_id(encoder, heap_type(heap, (uint32_t)i)->name);
  if (type > 0)
    (void)string_id(encoder, heap_type(heap, (uint32_t)type)->name);
}

static void put_header(struct encoder *encoder)
{
  const struct heap *heap = encoder->heap;
  Perftools__Profiles__ValueType types[HEAP_TYPES_MAX], *type_pointers[HEAP_TYPES_MAX];
  for (uint32_t i = 0; i < heap->types->len; i++) {
    types[i] = value_type(encoder, heap_type(heap, i));
    type_pointers[i] = &types[i];
  }
  Perftools__Profiles__ValueType period_type = value_type(encoder, &heap->period_type);
  g_autofree int64_t *comments = g_new(int64_t, heap->comments->len);
  for (guint i = 0; i < heap->comments->len; i++)
    comments[i] = string_id(encoder, g_ptr_array_index(heap->comments, i));
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_sample_type = heap->types->len;
  message.sample_type = type_pointers;
  message.period_type = &period_type;
  message.period = heap->period;
  message.time_nanos = heap->time_unix_ns;
  message.duration_nanos = heap->duration_ns;
  message.default_sample_type = string_id(encoder, heap->default_type);
  message.drop_frames = string_id(encoder, heap->drop_frames);
  message.keep_frames = string_id(encoder, heap->keep_frames);
  message.doc_url = string_id(encoder, heap->doc_url);
  message.n_comment = heap->comments->len;
  message.comment = comments;
  put(encoder, &message);
}

static bool has_variance(const struct sum *sum)
{
  for (uint32_t type = 0; type < sum->types; type++)
    if (sum_variances(sum)[type] != 0)
      return true;
  return false;
}

/* `variances` has room for all of them. */
static void set_variances(const struct sum *sum, Perftools__Profiles__Sample *packed, float variances[HEAP_TYPES_MAX])
{
  for (uint32_t type = 0; type < sum->types; type++)
    variances[type] = sum_variances(sum)[type] > 0 ? (float)MIN(sum_variances(sum)[type], (double)FLT_MAX) : 0;
  packed->n_variance = sum->types;
  packed->variance = variances;
}

static void set_labels(struct encoder *encoder, const struct heap_sample *sample, Perftools__Profiles__Sample *packed,
                       Perftools__Profiles__Label *labels)
{
  for (uint32_t i = 0; i < sample->label_count; i++) {
    const struct heap_label *label = &g_array_index(encoder->heap->labels, struct heap_label, sample->first_label + i);
    perftools__profiles__label__init(&labels[i]);
    labels[i].key = string_id(encoder, label->key);
    labels[i].str = string_id(encoder, label->text);
    labels[i].num = label->number;
    labels[i].num_unit = string_id(encoder, label->unit);
    packed->label[i] = &labels[i];
  }
  packed->n_label = sample->label_count;
}

static void put_sample(struct encoder *encoder, const struct sum *sum, bool says_that_zero_is_known)
{
  const struct heap *heap = encoder->heap;
  const struct heap_sample *sample = heap_sample(heap, sum->sample);
  const uint32_t *frames = heap_frames(heap, sample);
  g_autofree uint64_t *ids = g_new(uint64_t, sample->frame_count);
  g_autofree Perftools__Profiles__Label *labels = g_new(Perftools__Profiles__Label, sample->label_count);
  g_autofree Perftools__Profiles__Label **label_pointers = g_new(Perftools__Profiles__Label *, sample->label_count);
  float variances[HEAP_TYPES_MAX];
  for (uint32_t i = 0; i < sample->frame_count; i++)
    ids[i] = encoder->location_ids[frames[i]];
  Perftools__Profiles__Sample packed = PERFTOOLS__PROFILES__SAMPLE__INIT, *samples = &packed;
  packed.n_location_id = sample->frame_count;
  packed.location_id = ids;
  packed.n_value = heap->types->len;
  packed.value = (int64_t *)(uintptr_t)sum->values;
  packed.label = label_pointers;
  set_labels(encoder, sample, &packed, labels);
  if (has_variance(sum) || says_that_zero_is_known)
    set_variances(sum, &packed, variances);
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_sample = 1;
  message.sample = &samples;
  put(encoder, &message);
}

static bool all_variances_are_zero(const struct encoder *encoder)
{
  for (guint i = 0; i < encoder->sums->len; i++)
    if (has_variance(sums_at(encoder->sums, i)))
      return false;
  return true;
}

/* Variances that are all zero are not written. But one sample keeps them where they would otherwise count as unknown.
 */
static void put_samples(struct encoder *encoder)
{
  uint64_t interval_bytes;
  bool is_exact = heap_comment_number(encoder->heap, "sampling_interval_bytes", &interval_bytes) && interval_bytes == 1;
  bool must_say = encoder->heap->variances != NULL && !is_exact && all_variances_are_zero(encoder);
  for (guint i = 0; i < encoder->sums->len; i++)
    put_sample(encoder, sums_at(encoder->sums, i), must_say && i == 0);
}

static void put_mapping(struct encoder *encoder, const struct heap_mapping *mapping, uint64_t id)
{
  Perftools__Profiles__Mapping packed = PERFTOOLS__PROFILES__MAPPING__INIT, *mappings = &packed;
  packed.id = id;
  packed.memory_start = mapping->start;
  packed.memory_limit = mapping->limit;
  packed.file_offset = mapping->file_offset;
  packed.filename = string_id(encoder, mapping->path);
  packed.build_id = string_id(encoder, mapping->build_id);
  packed.has_functions = mapping->has_functions;
  packed.has_filenames = mapping->has_filenames;
  packed.has_line_numbers = mapping->has_line_numbers;
  packed.has_inline_frames = mapping->has_inline_frames;
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_mapping = 1;
  message.mapping = &mappings;
  put(encoder, &message);
}

static void put_location(struct encoder *encoder, const struct heap_location *location, uint64_t id)
{
  const struct heap_line *lines = heap_lines(encoder->heap, location);
  g_autofree Perftools__Profiles__Line *packed_lines = g_new(Perftools__Profiles__Line, location->line_count);
  g_autofree Perftools__Profiles__Line **line_pointers = g_new(Perftools__Profiles__Line *, location->line_count);
  for (uint32_t i = 0; i < location->line_count; i++) {
    perftools__profiles__line__init(&packed_lines[i]);
    packed_lines[i].function_id = lines[i].function != HEAP_NONE ? encoder->function_ids[lines[i].function] : 0;
    packed_lines[i].line = lines[i].line;
    line_pointers[i] = &packed_lines[i];
  }
  Perftools__Profiles__Location packed = PERFTOOLS__PROFILES__LOCATION__INIT, *locations = &packed;
  packed.id = id;
  packed.mapping_id = location->mapping != HEAP_NONE ? encoder->mapping_ids[location->mapping] : 0;
  packed.address = location->address;
  packed.n_line = location->line_count;
  packed.line = line_pointers;
  packed.is_folded = location->is_folded;
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_location = 1;
  message.location = &locations;
  put(encoder, &message);
}

static void put_function(struct encoder *encoder, const struct heap_function *function, uint64_t id)
{
  Perftools__Profiles__Function packed = PERFTOOLS__PROFILES__FUNCTION__INIT, *functions = &packed;
  packed.id = id;
  packed.name = string_id(encoder, function->name);
  packed.system_name = string_id(encoder, function->system_name);
  packed.filename = string_id(encoder, function->file);
  packed.start_line = function->start_line;
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_function = 1;
  message.function = &functions;
  put(encoder, &message);
}

static void put_all(struct encoder *encoder)
{
  const struct heap *heap = encoder->heap;
  (void)string_id(encoder, ""); /* string 0 */
  number_default(encoder);
  put_header(encoder);
  put_samples(encoder);
  for (uint32_t i = 0; i < heap->mappings->len; i++)
    if (encoder->mapping_ids[i] != 0)
      put_mapping(encoder, heap_mapping(heap, i), encoder->mapping_ids[i]);
  for (uint32_t i = 0; i < heap->locations->len; i++)
    if (encoder->location_ids[i] != 0)
      put_location(encoder, heap_location(heap, i), encoder->location_ids[i]);
  for (uint32_t i = 0; i < heap->functions->len; i++)
    if (encoder->function_ids[i] != 0)
      put_function(encoder, heap_function(heap, i), encoder->function_ids[i]);
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_string_table = encoder->strings->len;
  message.string_table = (char **)encoder->strings->pdata;
  put(encoder, &message);
}

GByteArray *encode(const struct heap *heap)
{
  struct encoder encoder = {.heap = heap, .bytes = g_byte_array_new()};
  encoder.string_ids = g_hash_table_new(g_str_hash, g_str_equal);
  encoder.strings = g_ptr_array_new();
  encoder.sums = sums_of(heap);
  assign_ids(&encoder);
  put_all(&encoder);
  g_hash_table_destroy(encoder.string_ids);
  g_ptr_array_free(encoder.strings, TRUE);
  g_array_free(encoder.sums, TRUE);
  g_free(encoder.mapping_ids);
  g_free(encoder.location_ids);
  g_free(encoder.function_ids);
  return encoder.bytes;
}
