/* SPDX-License-Identifier: MIT */
/* Reading and writing of profiles, and what is done with a message that nobody honest wrote. */
#include "tools/heap/load.h"

#include "core/pprof.pb-c.h"
#include "heaps.h"
#include "tools/heap/encode.h"
#include "tools/heap/input.h"
#include "tools/heap/save.h"

#include <fcntl.h>
#include <zlib.h>

typedef Perftools__Profiles__Profile Message;

/* There and back. */

static struct heap *reload(const struct heap *heap)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) packed = save_bytes(heap, NULL);
  gsize size;
  const uint8_t *bytes = g_bytes_get_data(packed, &size);
  struct heap *back = load_bytes(bytes, size, heap->name, &error);
  if (back == NULL)
    fail_msg("%s", error->message);
  return back;
}

static void assert_same_types(const struct heap *one, const struct heap *other)
{
  assert_int_equal(one->types->len, other->types->len);
  for (uint32_t i = 0; i < one->types->len; i++) {
    assert_string_equal(heap_type(one, i)->name, heap_type(other, i)->name);
    assert_string_equal(heap_type(one, i)->unit, heap_type(other, i)->unit);
  }
}

static void assert_same_mapping(const struct heap_mapping *one, const struct heap_mapping *other)
{
  assert_int_equal(one->start, other->start);
  assert_int_equal(one->limit, other->limit);
  assert_int_equal(one->file_offset, other->file_offset);
  assert_string_equal(one->path, other->path);
  assert_string_equal(one->build_id, other->build_id);
  assert_int_equal(one->has_functions, other->has_functions);
  assert_int_equal(one->has_filenames, other->has_filenames);
  assert_int_equal(one->has_line_numbers, other->has_line_numbers);
  assert_int_equal(one->has_inline_frames, other->has_inline_frames);
}

static void assert_same_place(const struct heap *one, uint32_t index, const struct heap *other, uint32_t other_index)
{
  const struct heap_location *a = heap_location(one, index), *b = heap_location(other, other_index);
  assert_int_equal(a->address, b->address);
  assert_int_equal(a->is_folded, b->is_folded);
  assert_int_equal(a->line_count, b->line_count);
  assert_int_equal(a->mapping == HEAP_NONE, b->mapping == HEAP_NONE);
  if (a->mapping != HEAP_NONE)
    assert_same_mapping(heap_mapping(one, a->mapping), heap_mapping(other, b->mapping));
  for (uint32_t i = 0; i < a->line_count; i++) {
    const struct heap_line *line = heap_lines(one, a) + i, *other_line = heap_lines(other, b) + i;
    const struct heap_function *function = heap_function(one, line->function),
                               *other_function = heap_function(other, other_line->function);
    assert_int_equal(line->line, other_line->line);
    assert_string_equal(function->name, other_function->name);
    assert_string_equal(function->system_name, other_function->system_name);
    assert_string_equal(function->file, other_function->file);
    assert_int_equal(function->start_line, other_function->start_line);
  }
}

static void assert_same_sample(const struct heap *one, const struct heap *other, uint32_t index)
{
  const struct heap_sample *a = heap_sample(one, index), *b = heap_sample(other, index);
  assert_int_equal(a->frame_count, b->frame_count);
  for (uint32_t i = 0; i < a->frame_count; i++)
    assert_same_place(one, heap_frames(one, a)[i], other, heap_frames(other, b)[i]);
  assert_int_equal(a->label_count, b->label_count);
  for (uint32_t i = 0; i < a->label_count; i++) {
    const struct heap_label *label = &g_array_index(one->labels, struct heap_label, a->first_label + i),
                            *other_label = &g_array_index(other->labels, struct heap_label, b->first_label + i);
    assert_string_equal(label->key, other_label->key);
    assert_string_equal(label->text, other_label->text);
    assert_string_equal(label->unit, other_label->unit);
    assert_int_equal(label->number, other_label->number);
  }
  for (uint32_t type = 0; type < one->types->len; type++) {
    assert_int_equal(heap_values(one, index)[type], heap_values(other, index)[type]);
    assert_true(heap_variance(one, index, (int)type) == heap_variance(other, index, (int)type));
  }
}

static void assert_same(const struct heap *one, const struct heap *other)
{
  assert_same_types(one, other);
  assert_int_equal(one->samples->len, other->samples->len);
  assert_int_equal(one->variances != NULL, other->variances != NULL);
  for (uint32_t i = 0; i < one->samples->len; i++)
    assert_same_sample(one, other, i);
  assert_int_equal(one->comments->len, other->comments->len);
  for (uint32_t i = 0; i < one->comments->len; i++)
    assert_string_equal(g_ptr_array_index(one->comments, i), g_ptr_array_index(other->comments, i));
  assert_string_equal(one->default_type, other->default_type);
  assert_string_equal(one->drop_frames, other->drop_frames);
  assert_string_equal(one->keep_frames, other->keep_frames);
  assert_string_equal(one->doc_url, other->doc_url);
  assert_string_equal(one->period_type.name, other->period_type.name);
  assert_int_equal(one->period, other->period);
  assert_int_equal(one->time_unix_ns, other->time_unix_ns);
  assert_int_equal(one->duration_ns, other->duration_ns);
}

static void test_round_trip(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  heap->drop_frames = heap_text(heap, "malloc|free");
  heap->keep_frames = heap_text(heap, "mallocator");
  heap->doc_url = heap_text(heap, "https://example.org/");
  heap->duration_ns = 17;
  heap_mapping(heap, 0)->has_functions = heap_mapping(heap, 0)->has_line_numbers = true;
  heap_location(heap, 1)->is_folded = true;
  struct heap *back = reload(heap);
  assert_same(heap, back);
  struct heap *again = reload(back);
  assert_same(back, again);
  heap_free(heap);
  heap_free(back);
  heap_free(again);
}

static void test_inlined_frames(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  struct heap_function function = {.name = "inner", .system_name = "_Z5innerv", .file = "é.c", .start_line = -1};
  struct heap_line lines[] = {{heap_add_function(heap, function), 12}, {1, INT64_MAX}, {0, 0}};
  heap_set_lines(heap, 2, lines, 3);
  struct heap *back = reload(heap);
  assert_same(heap, back);
  assert_int_equal(heap_location(back, 2)->line_count, 3);
  heap_free(heap);
  heap_free(back);
}

static void test_extreme_values(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  const uint32_t frame = 0;
  const int64_t values[] = {INT64_MIN, INT64_MAX, -1, 0};
  const double variances[] = {0, 0.5, 1e30, 0};
  heap_add_sample(heap, &frame, 1, values, variances);
  heap_add_label(heap, "n", "", INT64_MIN, "");
  struct heap *back = reload(heap);
  assert_int_equal(heap_values(back, 2)[0], INT64_MIN);
  assert_int_equal(heap_values(back, 2)[1], INT64_MAX);
  assert_int_equal(heap_values(back, 2)[2], -1);
  assert_true(heap_variance(back, 2, 1) == 0.5);
  assert_true(heap_variance(back, 2, 2) > 0.99e30 && heap_variance(back, 2, 2) < 1.01e30);
  heap_free(heap);
  heap_free(back);
}

/* What a reader must get: nothing unused, nothing twice, nothing zero. */

static void test_only_what_is_used_is_written(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  uint32_t unused = heaps_add_mapping(heap, "/lib/unused.so", 0x900000);
  heaps_add_place(heap, unused, 0x900100, "unused");
  const uint32_t frame = 3;
  heaps_add_sample(heap, &frame, 1, 0, 0); /* all zero */
  struct heap *back = reload(heap);
  assert_int_equal(back->samples->len, 2);
  assert_int_equal(back->mappings->len, 2);
  assert_int_equal(back->locations->len, 3);
  assert_int_equal(back->functions->len, 3);
  heap_free(heap);
  heap_free(back);
}

static void test_main_program_is_written_without_samples(void **state)
{
  (void)state;
  struct heap *heap = heap_new("none");
  heap_set_usual_types(heap);
  heaps_add_mapping(heap, "/bin/app", 0x400000);
  heaps_add_mapping(heap, "/lib/other.so", 0x500000);
  struct heap *back = reload(heap);
  assert_int_equal(back->mappings->len, 1);
  assert_string_equal(heap_mapping(back, 0)->path, "/bin/app");
  heap_free(heap);
  heap_free(back);
}

static void test_same_stacks_are_added(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  const uint32_t deep[] = {2, 1, 0};
  heaps_add_sample(heap, deep, 3, 5, 500);
  heaps_add_sample(heap, deep, 3, INT64_MAX, 0); /* more than fits */
  heaps_add_sample(heap, deep, 2, 1, 1);         /* another stack */
  heaps_add_sample(heap, deep, 3, 1, 1);         /* another label */
  heap_add_label(heap, "stack", "truncated", 0, "");
  struct heap *back = reload(heap);
  assert_int_equal(back->samples->len, 4);
  assert_int_equal(heap_values(back, 0)[0], INT64_MAX);
  assert_int_equal(heap_values(back, 0)[1], 1500);
  assert_true(heap_variance(back, 0, 1) == 12);
  assert_int_equal(heap_sample(back, 2)->label_count, 0);
  assert_int_equal(heap_sample(back, 3)->label_count, 1);
  heap_free(heap);
  heap_free(back);
}

/* Variances. */

static struct heap *make_exact(const char *interval_bytes, bool has_variances)
{
  struct heap *heap = heap_new("exact");
  heap_set_usual_types(heap);
  if (has_variances)
    heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
  uint32_t frame = heaps_add_place(heap, heaps_add_mapping(heap, "/bin/app", 0x400000), 0x400100, "main");
  heap_add_sample(heap, &frame, 1, (const int64_t[]){1, 2, 1, 2}, NULL);
  heap_add_comment(heap, "sampling_interval_bytes", "%s", interval_bytes);
  return heap;
}

static void check_variances(const char *interval_bytes, bool has_variances, bool expected)
{
  struct heap *heap = make_exact(interval_bytes, has_variances), *back = reload(heap);
  assert_int_equal(back->variances != NULL, expected);
  if (expected)
    assert_true(heap_variance(back, 0, 1) == 0);
  heap_free(heap);
  heap_free(back);
}

static void test_variances_are_known_or_not(void **state)
{
  (void)state;
  check_variances("1", false, true); /* every allocation was recorded */
  check_variances("1", true, true);
  check_variances("512", false, false);
  check_variances("512", true, true); /* zeros, but known */
  check_variances("1x", false, false);
}

/* Messages by hand. */

struct built {
  Message message;
  Perftools__Profiles__ValueType type, *types[1];
  Perftools__Profiles__Sample sample, *samples[1];
  Perftools__Profiles__Mapping mapping, *mappings[2];
  Perftools__Profiles__Location location, *locations[2];
  Perftools__Profiles__Line line, *lines[1];
  Perftools__Profiles__Function function, *functions[2];
  Perftools__Profiles__Label label, *labels[1];
  uint64_t location_ids[1];
  int64_t values[1];
  float variances[1];
  char *strings[3];
};

/* A right one, for tests to spoil. Ids have gaps. */
static void build(struct built *built)
{
  memset(built, 0, sizeof *built);
  perftools__profiles__profile__init(&built->message);
  perftools__profiles__value_type__init(&built->type);
  perftools__profiles__sample__init(&built->sample);
  perftools__profiles__mapping__init(&built->mapping);
  perftools__profiles__location__init(&built->location);
  perftools__profiles__line__init(&built->line);
  perftools__profiles__function__init(&built->function);
  perftools__profiles__label__init(&built->label);
  built->types[0] = &built->type;
  built->samples[0] = &built->sample;
  built->mappings[0] = built->mappings[1] = &built->mapping;
  built->locations[0] = built->locations[1] = &built->location;
  built->lines[0] = &built->line;
  built->functions[0] = built->functions[1] = &built->function;
  built->labels[0] = &built->label;
  built->strings[0] = (char *)(uintptr_t) "";
  built->strings[1] = (char *)(uintptr_t) "name";
  built->strings[2] = (char *)(uintptr_t) "\xff\xfe not UTF-8";
  built->type.type = built->type.unit = built->function.name = built->mapping.filename = 1;
  built->label.key = 1;
  built->label.str = 2;
  built->mapping.id = 900;
  built->function.id = UINT64_MAX;
  built->location.id = built->location_ids[0] = 77;
  built->location.mapping_id = 900;
  built->line.function_id = UINT64_MAX;
  built->location.n_line = 1;
  built->location.line = built->lines;
  built->values[0] = 5;
  built->sample.n_location_id = built->sample.n_value = built->sample.n_label = 1;
  built->sample.location_id = built->location_ids;
  built->sample.value = built->values;
  built->sample.label = built->labels;
  built->sample.variance = built->variances;
  built->message.n_sample_type = built->message.n_sample = built->message.n_mapping = built->message.n_location =
      built->message.n_function = 1;
  built->message.sample_type = built->types;
  built->message.sample = built->samples;
  built->message.mapping = built->mappings;
  built->message.location = built->locations;
  built->message.function = built->functions;
  built->message.n_string_table = 3;
  built->message.string_table = built->strings;
}

static struct heap *load_built(const struct built *built, GError **error)
{
  size_t size = perftools__profiles__profile__get_packed_size(&built->message);
  uint8_t *bytes = g_malloc(size);
  perftools__profiles__profile__pack(&built->message, bytes);
  struct heap *heap = load_bytes(bytes, size, "built", error);
  g_free(bytes);
  return heap;
}

static void assert_refused(const struct built *built, const char *reason)
{
  g_autoptr(GError) error = NULL;
  assert_null(load_built(built, &error));
  if (strstr(error->message, reason) == NULL || strstr(error->message, "built") == NULL)
    fail_msg("'%s' does not name the file, or not why: '%s'", error->message, reason);
}

static void test_ids_in_any_order(void **state)
{
  (void)state;
  struct built built;
  build(&built);
  g_autoptr(GError) error = NULL;
  struct heap *heap = load_built(&built, &error);
  assert_non_null(heap);
  assert_int_equal(heap->samples->len, 1);
  assert_int_equal(heap_values(heap, 0)[0], 5);
  assert_null(heap->variances);
  const struct heap_location *location = heap_location(heap, heap_frames(heap, heap_sample(heap, 0))[0]);
  assert_string_equal(heap_function(heap, heap_lines(heap, location)->function)->name, "name");
  assert_true(g_utf8_validate(g_array_index(heap->labels, struct heap_label, 0).text, -1, NULL));
  heap_free(heap);
}

/* Twice of everything, the larger id first. */
static void test_ids_that_descend(void **state)
{
  (void)state;
  struct built built, other;
  build(&built);
  build(&other);
  built.mappings[1] = &other.mapping;
  built.locations[1] = &other.location;
  built.functions[1] = &other.function;
  other.mapping.id = other.location.mapping_id = 2;
  other.function.id = other.line.function_id = 3;
  other.function.name = 2;
  other.location.id = 4;
  other.location.address = 0x44;
  uint64_t ids[] = {4, 77};
  built.sample.location_id = ids;
  built.sample.n_location_id = 2;
  built.message.n_mapping = built.message.n_location = built.message.n_function = 2;
  struct heap *heap = load_built(&built, NULL);
  assert_non_null(heap);
  const struct heap_location *location = heap_location(heap, heap_frames(heap, heap_sample(heap, 0))[0]);
  assert_int_equal(location->address, 0x44);
  assert_int_equal(location->mapping, 1);
  assert_int_equal(heap_lines(heap, location)->function, 1);
  assert_int_equal(heap_location(heap, heap_frames(heap, heap_sample(heap, 0))[1])->mapping, 0);
  heap_free(heap);
}

#define SPOIL(reason, statement)                                                                                       \
  do {                                                                                                                 \
    struct built built;                                                                                                \
    build(&built);                                                                                                     \
    statement;                                                                                                         \
    assert_refused(&built, reason);                                                                                    \
  } while (0)

static void test_references_that_lead_nowhere(void **state)
{
  (void)state;
  SPOIL("string 3 of 3", built.function.name = 3);
  SPOIL("string -1", built.function.system_name = -1);
  SPOIL("string", built.function.filename = INT64_MIN);
  SPOIL("string", built.mapping.filename = INT64_MAX);
  SPOIL("string", built.mapping.build_id = 3);
  SPOIL("string", built.type.unit = 3);
  SPOIL("string", built.label.key = 3);
  SPOIL("string", built.label.num_unit = 1000000000);
  SPOIL("string", built.message.drop_frames = 3);
  SPOIL("string", built.message.keep_frames = 3);
  SPOIL("string", built.message.doc_url = 3);
  SPOIL("string", built.message.default_sample_type = 3);
  SPOIL("location 78", built.location_ids[0] = 78);
  SPOIL("location 0", built.location_ids[0] = 0);
  SPOIL("mapping 1", built.location.mapping_id = 1);
  SPOIL("function 1", built.line.function_id = 1);
  SPOIL("first string", built.strings[0] = built.strings[1]);
}

static void test_ids_that_are_no_ids(void **state)
{
  (void)state;
  SPOIL("mapping 0", built.mapping.id = 0);
  SPOIL("location 0", built.location.id = 0);
  SPOIL("function 0", built.function.id = 0);
  SPOIL("twice", built.message.n_mapping = 2);
  SPOIL("twice", built.message.n_location = 2);
  SPOIL("twice", built.message.n_function = 2);
}

static void test_counts_that_do_not_fit(void **state)
{
  (void)state;
  Perftools__Profiles__ValueType *types[HEAP_TYPES_MAX + 1];
  SPOIL("0 values", built.sample.n_value = 0);
  SPOIL("what its values are", built.message.n_sample_type = 0);
  SPOIL("1 values for 2",
        (types[0] = types[1] = &built.type, built.message.sample_type = types, built.message.n_sample_type = 2));
  struct built built;
  build(&built);
  for (size_t i = 0; i <= HEAP_TYPES_MAX; i++)
    types[i] = &built.type;
  built.message.sample_type = types;
  built.message.n_sample_type = HEAP_TYPES_MAX + 1;
  assert_refused(&built, "17 sample types");
}

static void test_variances_that_are_none(void **state)
{
  (void)state;
  float two[] = {1, 1};
  SPOIL("variance of nan", (built.sample.n_variance = 1, built.variances[0] = strtof("nan", NULL)));
  SPOIL("variance of inf", (built.sample.n_variance = 1, built.variances[0] = strtof("inf", NULL)));
  SPOIL("variance of -1", (built.sample.n_variance = 1, built.variances[0] = -1));
  SPOIL("2 variances", (built.sample.n_variance = 2, built.sample.variance = two));
}

static void test_lines_without_function_are_no_lines(void **state)
{
  (void)state;
  struct built built;
  build(&built);
  built.line.function_id = 0;
  struct heap *heap = load_built(&built, NULL);
  assert_non_null(heap);
  assert_int_equal(heap_location(heap, 0)->line_count, 0);
  heap_free(heap);
}

/* Bytes. */

static GByteArray *sample_of(const uint8_t *contents, size_t size)
{
  static const uint8_t head[] = {0x0a, 0x00, 0x32, 0x00}; /* a sample type, a string */
  GByteArray *bytes = g_byte_array_new();
  g_byte_array_append(bytes, head, sizeof head);
  uint8_t start[8] = {0x12}, *next = start + 1; /* a sample */
  for (size_t rest = size; rest > 0 || next == start + 1; rest >>= 7)
    *next++ = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  g_byte_array_append(bytes, start, (guint)(next - start));
  return g_byte_array_append(bytes, contents, (guint)size);
}

/* Nothing takes more memory unpacked than empty labels, two bytes each. */
static void test_entry_of_many_empty_labels(void **state)
{
  (void)state;
  enum { LABELS = 100000 };
  static uint8_t contents[2 * LABELS + 2];
  for (size_t i = 0; i < LABELS; i++)
    contents[2 * i] = 0x1a;
  contents[2 * LABELS] = 0x10; /* a value */
  contents[2 * LABELS + 1] = 1;
  GByteArray *bytes = sample_of(contents, sizeof contents);
  g_autoptr(GError) error = NULL;
  struct heap *heap = load_bytes(bytes->data, bytes->len, "labels", &error);
  if (heap == NULL)
    fail_msg("%s", error->message);
  assert_int_equal(heap_sample(heap, 0)->label_count, LABELS);
  heap_free(heap);
  g_byte_array_unref(bytes);
}

static void test_entry_that_is_too_large(void **state)
{
  (void)state;
  size_t size = 5 << 20;
  uint8_t *contents = g_malloc0(size);
  GByteArray *bytes = sample_of(contents, size);
  g_autoptr(GError) error = NULL;
  assert_null(load_bytes(bytes->data, bytes->len, "large", &error));
  assert_non_null(strstr(error->message, "5242880 bytes"));
  g_byte_array_unref(bytes);
  g_free(contents);
}

static void test_string_with_a_zero_byte(void **state)
{
  (void)state;
  static const uint8_t bytes[] = {0x0a, 0x02, 0x08, 0x01, 0x32, 0x00, 0x32, 0x03, 'a', 0, 'b'};
  struct heap *heap = load_bytes(bytes, sizeof bytes, "zero", NULL);
  assert_non_null(heap);
  assert_string_equal(heap_type(heap, 0)->name, "a\xef\xbf\xbd"
                                                "b");
  heap_free(heap);
}

static void load_and_forget(const uint8_t *bytes, size_t size)
{
  GError *error = NULL;
  uint8_t *copy = g_memdup2(bytes, size); /* so that a sanitizer sees a read behind it */
  struct heap *heap = load_bytes(copy, size, "spoiled", &error);
  assert_true((heap == NULL) == (error != NULL));
  assert_true(error == NULL || strchr(error->message, '\n') == NULL);
  if (heap != NULL)
    heap_free(reload(heap));
  heap_free(heap);
  g_clear_error(&error);
  g_free(copy);
}

static void spoil_everywhere(uint8_t *bytes, size_t size)
{
  for (size_t length = 0; length < size; length++)
    load_and_forget(bytes, length);
  for (size_t bit = 0; bit < 8 * size; bit++) {
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    load_and_forget(bytes, size);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
}

/* What is written can be read, so recover may remove the state that it was made from. */
static void test_too_large_to_be_read_again(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  g_autofree char *text = g_strnfill(LOAD_BYTES_MAX, 'x');
  heap_add_comment(heap, "long", "%s", text);
  g_autoptr(GError) error = NULL;
  assert_null(save_bytes(heap, &error));
  assert_non_null(strstr(error->message, "would have more than 256 MiB, which is more than can be read again"));
  heap_free(heap);
}

static void test_every_truncation_and_every_flipped_bit(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  GByteArray *message = encode(heap);
  assert_in_range(message->len, 100, 2000);
  spoil_everywhere(message->data, message->len);
  GBytes *packed = save_bytes(heap, NULL);
  gsize size;
  uint8_t *bytes = g_bytes_unref_to_data(packed, &size);
  spoil_everywhere(bytes, size);
  g_free(bytes);
  g_byte_array_unref(message);
  heap_free(heap);
}

/* gzip. */

static GByteArray *gzip(const void *bytes, size_t size)
{
  z_stream stream = {.next_in = (uint8_t *)(uintptr_t)bytes, .avail_in = (uInt)size};
  GByteArray *packed = g_byte_array_new();
  assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
  g_byte_array_set_size(packed, (guint)deflateBound(&stream, size));
  stream.next_out = packed->data;
  stream.avail_out = packed->len;
  assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
  g_byte_array_set_size(packed, (guint)stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/* A message may come in several members, cut anywhere. */
static void test_gzip_members(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  GByteArray *message = encode(heap), *packed = gzip(message->data, 33),
             *rest = gzip(message->data + 33, message->len - 33);
  g_byte_array_append(packed, rest->data, rest->len);
  struct heap *back = load_bytes(packed->data, packed->len, "members", NULL);
  assert_non_null(back);
  assert_same(heap, back);
  static const uint8_t more[] = "more";
  g_byte_array_append(packed, more, sizeof more);
  g_autoptr(GError) error = NULL;
  assert_null(load_bytes(packed->data, packed->len, "members", &error));
  assert_non_null(strstr(error->message, "members is damaged"));
  heap_free(heap);
  heap_free(back);
  g_byte_array_unref(message);
  g_byte_array_unref(packed);
  g_byte_array_unref(rest);
}

static void test_inflation_is_limited(void **state)
{
  (void)state;
  enum { LIMIT = 1 << 20 };
  uint8_t *zeros = g_malloc0(LIMIT + 1);
  g_autoptr(GError) error = NULL;
  GByteArray *packed = gzip(zeros, LIMIT), *too_large = gzip(zeros, LIMIT + 1);
  assert_in_range(too_large->len, 1, LIMIT / 500);
  GByteArray *bytes = input_inflate(packed->data, packed->len, LIMIT, "bomb", NULL);
  assert_non_null(bytes);
  assert_int_equal(bytes->len, LIMIT);
  assert_null(input_inflate(too_large->data, too_large->len, LIMIT, "bomb", &error));
  assert_non_null(strstr(error->message, "bomb holds more than 1 MiB"));
  g_byte_array_unref(bytes);
  g_byte_array_unref(packed);
  g_byte_array_unref(too_large);
  g_free(zeros);
}

/* Files that are something else. */

static void assert_said(const void *bytes, size_t size, const char *what)
{
  g_autoptr(GError) error = NULL;
  assert_null(load_bytes(bytes, size, "a/file", &error));
  if (strstr(error->message, what) == NULL || !g_str_has_prefix(error->message, "a/file "))
    fail_msg("'%s' is called: '%s'", what, error->message);
}

static void test_other_files_are_recognised(void **state)
{
  (void)state;
  static const char *const files[][2] = {
      {"<!DOCTYPE html>", "HTML"},
      {"<HTML>", "HTML"},
      {"\x7f"
       "ELF\2\1\1",
       "a program or library"},
      {"#!/bin/sh", "a script"},
      {"HEAPPROF", "heapprof recover"},
      {"root:x:0:0\n", "a text"},
      {"{\"a\": 1}", "a text"},
      {"\x89PNG", "a picture"},
      {"PERFILE2", "perf"},
      {"\xff\xff\xff\xff", "damaged"},
      {"", "empty"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(files); i++)
    assert_said(files[i][0], strlen(files[i][0]), files[i][1]);
  GByteArray *nothing = gzip("", 0), *page = gzip("<html>", 6);
  assert_said(nothing->data, nothing->len, "empty");
  assert_said(page->data, page->len, "HTML");
  assert_said(page->data, page->len - 9, "ends early");
  g_byte_array_unref(nothing);
  g_byte_array_unref(page);
}

static void test_files_that_cannot_be_read(void **state)
{
  (void)state;
  g_autoptr(GError) missing = NULL, directory = NULL;
  assert_null(load_file("/nowhere/at.all", &missing));
  assert_string_equal(missing->message, "/nowhere/at.all: No such file or directory");
  assert_null(load_file("/tmp", &directory));
  assert_string_equal(directory->message, "/tmp is a directory, not a profile");
}

/* Writing. */

static char *in_directory(const char *name)
{
  return g_build_filename(unit_directory(), name, NULL);
}

static void assert_holds(const char *path, const struct heap *heap)
{
  struct stat status;
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 07777, 0600);
  struct heap *back = load_file(path, NULL);
  assert_non_null(back);
  assert_same(heap, back);
  heap_free(back);
}

static void test_new_files_take_no_names(void **state)
{
  (void)state;
  g_autofree char *path = in_directory("new.pb.gz");
  struct heap *heap = heaps_make();
  g_autoptr(GError) error = NULL;
  assert_true(save_new(heap, path, &error));
  assert_holds(path, heap);
  struct heap *other = make_exact("1", true);
  assert_false(save_new(other, path, &error));
  assert_true(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_EXIST));
  assert_holds(path, heap);
  assert_true(save_replacing(other, path, NULL));
  assert_holds(path, other);
  assert_int_equal(unit_count_files(unit_directory()), 1);
  assert_int_equal(unlink(path), 0);
  heap_free(heap);
  heap_free(other);
}

static void test_links_stay(void **state)
{
  (void)state;
  g_autofree char *path = in_directory("file.pb.gz"), *link = in_directory("link.pb.gz");
  struct heap *heap = heaps_make();
  assert_true(save_new(heap, path, NULL));
  assert_int_equal(symlink("file.pb.gz", link), 0);
  g_autoptr(GError) error = NULL;
  assert_false(save_new(heap, link, &error));
  assert_true(save_replacing(heap, link, NULL));
  assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
  assert_holds(path, heap);
  assert_int_equal(unlink(path) + unlink(link), 0);
  heap_free(heap);
}

static void test_devices_are_not_replaced(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  struct stat status;
  assert_true(save_replacing(heap, "/dev/null", NULL));
  assert_true(save_new(heap, "/dev/null", NULL));
  assert_int_equal(stat("/dev/null", &status), 0);
  assert_true(S_ISCHR(status.st_mode));
  g_autoptr(GError) error = NULL;
  assert_false(save_new(heap, "/dev/full", &error));
  assert_string_equal(error->message, "/dev/full: No space left on device");
  heap_free(heap);
}

static void test_what_cannot_be_written_leaves_nothing(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  g_autofree char *nowhere = in_directory("no/where.pb.gz");
  g_autoptr(GError) error = NULL, directory = NULL, taken = NULL;
  assert_false(save_replacing(heap, nowhere, &error));
  assert_non_null(strstr(error->message, "no/where.pb.gz: No such file or directory"));
  assert_false(save_replacing(heap, unit_directory(), &directory));
  assert_non_null(strstr(directory->message, "Is a directory"));
  assert_false(save_new(heap, unit_directory(), &taken));
  assert_int_equal(unit_count_files(unit_directory()), 0);
  heap_free(heap);
}

/* A file system that is full when the file is half written. */
CHILD_TEST(test_short_files_are_removed)
{
  struct heap *heap = heaps_make();
  g_autofree char *path = in_directory("short.pb.gz");
  require(signal(SIGXFSZ, SIG_IGN) == SIG_DFL);
  unit_limit(RLIMIT_FSIZE, 100);
  GError *error = NULL;
  require(!save_new(heap, path, &error) && strstr(error->message, "File too large") != NULL);
  require(!save_replacing(heap, path, NULL));
  require(unit_count_files(unit_directory()) == 0);
  g_error_free(error);
  heap_free(heap);
}

static void test_free_names(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  g_autofree char *first = save_under_free_name(heap, unit_directory(), "-ba/sh", 12, NULL),
                  *second = save_under_free_name(heap, unit_directory(), "-ba/sh", 12, NULL);
  g_autofree char *expected = in_directory("heapprof.-ba_sh.12.1.pb.gz"),
                  *next = in_directory("heapprof.-ba_sh.12.2.pb.gz");
  assert_string_equal(first, expected);
  assert_string_equal(second, next);
  assert_holds(first, heap);
  assert_int_equal(unlink(first) + unlink(second), 0);
  g_autoptr(GError) error = NULL;
  assert_null(save_under_free_name(heap, "/nowhere", "app", 12, &error));
  assert_non_null(strstr(error->message, "/nowhere/heapprof.app.12"));
  heap_free(heap);
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_inlined_frames),
      cmocka_unit_test(test_extreme_values),
      cmocka_unit_test(test_only_what_is_used_is_written),
      cmocka_unit_test(test_main_program_is_written_without_samples),
      cmocka_unit_test(test_same_stacks_are_added),
      cmocka_unit_test(test_variances_are_known_or_not),
      cmocka_unit_test(test_ids_in_any_order),
      cmocka_unit_test(test_ids_that_descend),
      cmocka_unit_test(test_references_that_lead_nowhere),
      cmocka_unit_test(test_ids_that_are_no_ids),
      cmocka_unit_test(test_counts_that_do_not_fit),
      cmocka_unit_test(test_variances_that_are_none),
      cmocka_unit_test(test_lines_without_function_are_no_lines),
      cmocka_unit_test(test_entry_of_many_empty_labels),
      cmocka_unit_test(test_entry_that_is_too_large),
      cmocka_unit_test(test_string_with_a_zero_byte),
      cmocka_unit_test(test_every_truncation_and_every_flipped_bit),
      cmocka_unit_test(test_gzip_members),
      cmocka_unit_test(test_inflation_is_limited),
      cmocka_unit_test(test_other_files_are_recognised),
      cmocka_unit_test(test_files_that_cannot_be_read),
      cmocka_unit_test(test_new_files_take_no_names),
      cmocka_unit_test(test_links_stay),
      cmocka_unit_test(test_devices_are_not_replaced),
      cmocka_unit_test(test_what_cannot_be_written_leaves_nothing),
      cmocka_unit_test(test_short_files_are_removed),
      cmocka_unit_test(test_too_large_to_be_read_again),
      cmocka_unit_test(test_free_names),
  };
  return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
