/* SPDX-License-Identifier: MIT */
/* The entries of the message are unpacked one by one, not the message as a whole: unpacked it would take up to
 * seventy times its size at once. */
#include "tools/heap/load.h"

#include "core/pprof.pb-c.h"
#include "tools/heap/ids.h"
#include "tools/heap/input.h"
#include "tools/heap/legacy.h"
#include "tools/heap/wire.h"

#include <math.h>
#include <string.h>

enum {
  /* Field numbers of the message that hold entries. */
  FIELD_SAMPLE = 2,
  FIELD_MAPPING = 3,
  FIELD_LOCATION = 4,
  FIELD_FUNCTION = 5,
  FIELD_STRING = 6,
  FIELD_LAST = 15,
  ENTRY_BYTES_MAX = 4 << 20,
  /* Memory that unpacking takes for a byte of an entry: 72 for a label without any field, the worst case. */
  UNPACKED_RATIO_MAX = 96,
  UNPACKED_BYTES_LEAST = 16 << 10,
};

/* The memory that one entry is unpacked into. */
struct scratch {
  ProtobufCAllocator allocator;
  uint8_t *block;
  size_t size, used;
};

struct loader {
  const uint8_t *bytes, *end;
  struct heap *heap;
  struct scratch scratch;
  GPtrArray *texts; /* const char *, interned: the string table */
  struct ids mapping_ids, function_ids, location_ids;
  GArray *frames, *lines, *variances; /* of the entry at hand */
  GByteArray *header;                 /* the fields that are not entries */
  bool has_variances;
  char *problem;
};

static bool refuse(struct loader *loader, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool refuse(struct loader *loader, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  if (loader->problem == NULL)
    loader->problem = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  return false;
}

/* Memory of protobuf-c. */

static void *scratch_get(void *data, size_t size)
{
  struct scratch *scratch = data;
  size_t rounded = (size + 15) & ~(size_t)15;
  if (rounded < size || rounded > scratch->size - scratch->used)
    return NULL;
  void *result = scratch->block + scratch->used;
  scratch->used += rounded;
  return result;
}

static void scratch_put(void *data, void *pointer)
{
  (void)data, (void)pointer; /* the next entry takes it all */
}

static void *unpack(struct loader *loader, const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                    size_t size)
{
  struct scratch *scratch = &loader->scratch;
  if (size > ENTRY_BYTES_MAX) {
    refuse(loader, "one of its entries has %zu bytes", size);
    return NULL;
  }
  size_t needed = size * UNPACKED_RATIO_MAX + UNPACKED_BYTES_LEAST;
  if (needed > scratch->size) {
    g_free(scratch->block);
    scratch->block = g_malloc(needed);
    scratch->size = needed;
  }
  scratch->used = 0;
  void *message = protobuf_c_message_unpack(descriptor, &scratch->allocator, size, bytes);
  if (message == NULL)
    refuse(loader, "one of its entries (%s) cannot be decoded", descriptor->short_name);
  return message;
}

/* Fields of the message. */

static bool is_entry(const struct wire_field *field)
{
  return field->number >= FIELD_SAMPLE && field->number <= FIELD_STRING;
}

/* The field at *position, which moves behind it. */
static bool next_field(struct loader *loader, const uint8_t **position, struct wire_field *field)
{
  if (!wire_next(position, loader->end, field))
    return refuse(loader, "it is cut short or no pprof message");
  if (is_entry(field) && field->type != WIRE_BYTES)
    return refuse(loader, "field %d is not of the type it has in pprof", (int)field->number);
  return true;
}

/* Texts and ids. */

static const char *text_of(struct loader *loader, int64_t index)
{
  if (index >= 0 && index < (int64_t)loader->texts->len)
    return g_ptr_array_index(loader->texts, (guint)index);
  refuse(loader, "it refers to string %" G_GINT64_FORMAT " of %u", index, loader->texts->len);
  return "";
}

static bool sort_ids(struct loader *loader, struct ids *ids, const char *what)
{
  uint64_t wrong;
  return ids_sort(ids, &wrong) ||
         refuse(loader, "it has %s %" G_GUINT64_FORMAT " %s", what, wrong, wrong == 0 ? "(0 is not an id)" : "twice");
}

static bool find_id(struct loader *loader, const struct ids *ids, uint64_t id, const char *what, uint32_t *index)
{
  return ids_find(ids, id, index) ||
         refuse(loader, "it refers to %s %" G_GUINT64_FORMAT ", which it does not have", what, id);
}

/* Entries. */

static bool add_string(struct loader *loader, const struct wire_field *field)
{
  g_ptr_array_add(loader->texts, (char *)(uintptr_t)heap_text_of_bytes(loader->heap, (const char *)field->contents,
                                                                       (size_t)(field->end - field->contents)));
  return true;
}

static bool add_mapping(struct loader *loader, const struct wire_field *field)
{
  const Perftools__Profiles__Mapping *mapping = unpack(loader, &perftools__profiles__mapping__descriptor,
                                                       field->contents, (size_t)(field->end - field->contents));
  if (mapping == NULL)
    return false;
  struct heap_mapping added = {.start = mapping->memory_start,
                               .limit = mapping->memory_limit,
                               .file_offset = mapping->file_offset,
                               .path = text_of(loader, mapping->filename),
                               .build_id = text_of(loader, mapping->build_id),
                               .has_functions = mapping->has_functions,
                               .has_filenames = mapping->has_filenames,
                               .has_line_numbers = mapping->has_line_numbers,
                               .has_inline_frames = mapping->has_inline_frames};
  ids_add(&loader->mapping_ids, mapping->id, heap_add_mapping(loader->heap, added));
  return loader->problem == NULL;
}

static bool add_function(struct loader *loader, const struct wire_field *field)
{
  const Perftools__Profiles__Function *function = unpack(loader, &perftools__profiles__function__descriptor,
                                                         field->contents, (size_t)(field->end - field->contents));
  if (function == NULL)
    return false;
  struct heap_function added = {.name = text_of(loader, function->name),
                                .system_name = text_of(loader, function->system_name),
                                .file = text_of(loader, function->filename),
                                .start_line = function->start_line};
  ids_add(&loader->function_ids, function->id, heap_add_function(loader->heap, added));
  return loader->problem == NULL;
}

static bool read_lines(struct loader *loader, const Perftools__Profiles__Location *location)
{
  g_array_set_size(loader->lines, 0);
  for (size_t i = 0; i < location->n_line; i++) {
    struct heap_line line = {.line = location->line[i]->line};
    if (location->line[i]->function_id == 0)
      continue; /* a line of an unknown function tells nothing */
    if (!find_id(loader, &loader->function_ids, location->line[i]->function_id, "function", &line.function))
      return false;
    g_array_append_val(loader->lines, line);
  }
  return true;
}

static bool add_location(struct loader *loader, const struct wire_field *field)
{
  const Perftools__Profiles__Location *location = unpack(loader, &perftools__profiles__location__descriptor,
                                                         field->contents, (size_t)(field->end - field->contents));
  uint32_t mapping = HEAP_NONE;
  if (location == NULL || !read_lines(loader, location))
    return false;
  if (location->mapping_id != 0 && !find_id(loader, &loader->mapping_ids, location->mapping_id, "mapping", &mapping))
    return false;
  uint32_t index = heap_add_location(loader->heap, location->address, mapping);
  heap_location(loader->heap, index)->is_folded = location->is_folded;
  if (loader->lines->len > 0)
    heap_set_lines(loader->heap, index, (const struct heap_line *)(void *)loader->lines->data, loader->lines->len);
  ids_add(&loader->location_ids, location->id, index);
  return true;
}

static bool read_frames(struct loader *loader, const Perftools__Profiles__Sample *sample)
{
  g_array_set_size(loader->frames, 0);
  for (size_t i = 0; i < sample->n_location_id; i++) {
    uint32_t index;
    if (!find_id(loader, &loader->location_ids, sample->location_id[i], "location", &index))
      return false;
    g_array_append_val(loader->frames, index);
  }
  return true;
}

static bool read_variances(struct loader *loader, const Perftools__Profiles__Sample *sample)
{
  g_array_set_size(loader->variances, 0);
  g_array_set_size(loader->variances, loader->heap->types->len); /* zeros */
  if (sample->n_variance == 0)
    return true;
  loader->has_variances = true;
  if (sample->n_variance != loader->heap->types->len)
    return refuse(loader, "a sample has %zu variances for %u values", sample->n_variance, loader->heap->types->len);
  for (size_t i = 0; i < sample->n_variance; i++) {
    if (!isfinite(sample->variance[i]) || sample->variance[i] < 0)
      return refuse(loader, "a sample has a variance of %g", (double)sample->variance[i]);
    g_array_index(loader->variances, double, i) = (double)sample->variance[i];
  }
  return true;
}

static bool add_labels(struct loader *loader, const Perftools__Profiles__Sample *sample)
{
  for (size_t i = 0; i < sample->n_label; i++) {
    const Perftools__Profiles__Label *label = sample->label[i];
    heap_add_label(loader->heap, text_of(loader, label->key), text_of(loader, label->str), label->num,
                   text_of(loader, label->num_unit));
  }
  return loader->problem == NULL;
}

static bool add_sample(struct loader *loader, const struct wire_field *field)
{
  const Perftools__Profiles__Sample *sample =
      unpack(loader, &perftools__profiles__sample__descriptor, field->contents, (size_t)(field->end - field->contents));
  if (sample == NULL || !read_frames(loader, sample) || !read_variances(loader, sample))
    return false;
  if (sample->n_value != loader->heap->types->len)
    return refuse(loader, "a sample has %zu values for %u sample types", sample->n_value, loader->heap->types->len);
  heap_add_sample(loader->heap, (const uint32_t *)(void *)loader->frames->data, loader->frames->len, sample->value,
                  (const double *)(void *)loader->variances->data);
  return add_labels(loader, sample);
}

/* The header: what is in the message once, or not often. */

static bool collect_header(struct loader *loader)
{
  struct wire_field field;
  for (const uint8_t *position = loader->bytes; position < loader->end;) {
    if (!next_field(loader, &position, &field))
      return false;
    if (!is_entry(&field) && field.number <= FIELD_LAST)
      g_byte_array_append(loader->header, field.start, (guint)(field.end - field.start));
    if (loader->header->len > ENTRY_BYTES_MAX)
      return refuse(loader, "its header has more than %d bytes", ENTRY_BYTES_MAX);
  }
  return true;
}

static struct heap_type type_of(struct loader *loader, const Perftools__Profiles__ValueType *type)
{
  return (struct heap_type){text_of(loader, type->type), text_of(loader, type->unit)};
}

static bool add_types(struct loader *loader, const Perftools__Profiles__Profile *header)
{
  if (header->n_sample_type == 0)
    return refuse(loader, "it does not say what its values are");
  if (header->n_sample_type > HEAP_TYPES_MAX)
    return refuse(loader, "it has %zu sample types, more than %d", header->n_sample_type, HEAP_TYPES_MAX);
  for (size_t i = 0; i < header->n_sample_type; i++) {
    struct heap_type type = type_of(loader, header->sample_type[i]);
    g_array_append_val(loader->heap->types, type);
  }
  return true;
}

static bool read_header(struct loader *loader)
{
  if (loader->texts->len > 0 && text_of(loader, 0)[0] != '\0')
    return refuse(loader, "its first string is not empty");
  if (!collect_header(loader))
    return false;
  const Perftools__Profiles__Profile *header =
      unpack(loader, &perftools__profiles__profile__descriptor, loader->header->data, loader->header->len);
  if (header == NULL || !add_types(loader, header))
    return false;
  struct heap *heap = loader->heap;
  for (size_t i = 0; i < header->n_comment; i++)
    g_ptr_array_add(heap->comments, (char *)(uintptr_t)text_of(loader, header->comment[i]));
  heap->drop_frames = text_of(loader, header->drop_frames);
  heap->keep_frames = text_of(loader, header->keep_frames);
  heap->doc_url = text_of(loader, header->doc_url);
  heap->default_type = text_of(loader, header->default_sample_type);
  if (header->period_type != NULL)
    heap->period_type = type_of(loader, header->period_type);
  heap->period = header->period;
  heap->time_unix_ns = header->time_nanos;
  heap->duration_ns = header->duration_nanos;
  heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
  return loader->problem == NULL;
}

/* The whole. */

static bool add_entries(struct loader *loader, uint64_t number, bool (*add)(struct loader *, const struct wire_field *))
{
  struct wire_field field;
  for (const uint8_t *position = loader->bytes; position < loader->end;) {
    if (!next_field(loader, &position, &field) || (field.number == number && !add(loader, &field)))
      return false;
  }
  return true;
}

/* What an entry refers to may stand behind it, so they are read by kind. */
static bool read_message(struct loader *loader)
{
  return add_entries(loader, FIELD_STRING, add_string) && read_header(loader) &&
         add_entries(loader, FIELD_MAPPING, add_mapping) && sort_ids(loader, &loader->mapping_ids, "mapping") &&
         add_entries(loader, FIELD_FUNCTION, add_function) && sort_ids(loader, &loader->function_ids, "function") &&
         add_entries(loader, FIELD_LOCATION, add_location) && sort_ids(loader, &loader->location_ids, "location") &&
         add_entries(loader, FIELD_SAMPLE, add_sample);
}

/* Without the field, variances are known only if every allocation was recorded: 0. */
static void forget_unknown_variances(struct loader *loader)
{
  uint64_t interval_bytes;
  bool is_exact = heap_comment_number(loader->heap, "sampling_interval_bytes", &interval_bytes) && interval_bytes == 1;
  if (loader->has_variances || is_exact)
    return;
  g_array_free(loader->heap->variances, TRUE);
  loader->heap->variances = NULL;
}

static void loader_init(struct loader *loader, const uint8_t *bytes, size_t size, const char *name)
{
  *loader = (struct loader){.bytes = bytes, .end = bytes + size, .heap = heap_new(name)};
  loader->scratch.allocator = (ProtobufCAllocator){scratch_get, scratch_put, &loader->scratch};
  loader->texts = g_ptr_array_new();
  ids_init(&loader->mapping_ids);
  ids_init(&loader->function_ids);
  ids_init(&loader->location_ids);
  loader->frames = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  loader->lines = g_array_new(FALSE, FALSE, sizeof(struct heap_line));
  loader->variances = g_array_new(FALSE, TRUE, sizeof(double));
  loader->header = g_byte_array_new();
}

/* But for the heap. */
static void loader_clear(struct loader *loader)
{
  GArray *arrays[] = {loader->frames, loader->lines, loader->variances};
  for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++)
    g_array_free(arrays[i], TRUE);
  ids_clear(&loader->mapping_ids);
  ids_clear(&loader->function_ids);
  ids_clear(&loader->location_ids);
  g_ptr_array_free(loader->texts, TRUE);
  g_byte_array_unref(loader->header);
  g_free(loader->scratch.block);
  g_free(loader->problem);
}

static struct heap *load_message(const uint8_t *bytes, size_t size, const char *name, GError **error)
{
  if (legacy_is_profile(bytes, size))
    return legacy_load(bytes, size, name, error);
  const char *kind = size > 0 ? input_kind(bytes, size) : "empty";
  if (kind != NULL) {
    g_set_error(error, LOAD_ERROR, 0, "%s is not a profile but %s", name, kind);
    return NULL;
  }
  struct loader loader;
  loader_init(&loader, bytes, size, name);
  struct heap *heap = loader.heap;
  if (read_message(&loader)) {
    forget_unknown_variances(&loader);
  } else {
    g_set_error(error, LOAD_ERROR, 0, "%s is not a profile, or is damaged: %s", name, loader.problem);
    heap_free(heap);
    heap = NULL;
  }
  loader_clear(&loader);
  return heap;
}

struct heap *load_bytes(const uint8_t *bytes, size_t size, const char *name, GError **error)
{
  if (size > LOAD_BYTES_MAX) {
    g_set_error(error, LOAD_ERROR, 0, "%s is too large for a profile", name);
    return NULL;
  }
  if (input_is_state(bytes, size)) {
    g_set_error(error, LOAD_ERROR, 0, "%s is the state of a process, not a profile; heapprof recover makes one of it",
                name);
    return NULL;
  }
  if (!input_is_gzip(bytes, size))
    return load_message(bytes, size, name, error);
  GByteArray *message = input_inflate(bytes, size, LOAD_BYTES_MAX, name, error);
  if (message == NULL)
    return NULL;
  struct heap *heap = load_message(message->data, message->len, name, error);
  g_byte_array_unref(message);
  return heap;
}

struct heap *load_file(const char *path, GError **error)
{
  GByteArray *bytes = input_read(path, LOAD_BYTES_MAX, error);
  if (bytes == NULL)
    return NULL;
  struct heap *heap = load_bytes(bytes->data, bytes->len, strcmp(path, "-") == 0 ? "standard input" : path, error);
  g_byte_array_unref(bytes);
  return heap;
}
