/* SPDX-License-Identifier: MIT */
#include "core/pprof.h"

#include "core/compiler.h"
#include "core/cuts.h"
#include "core/inherited.h"
#include "core/pprof.pb-c.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

typedef Perftools__Profiles__Profile Message;

enum {
  OUTPUT_BYTES = 64 << 10,
  PIECE_BYTES = 64 << 10, /* more than the longest stack or string packs to */
  GZIP_WRAPPER = 16,
  COMPRESSION_LEVEL = 3, /* output a fifth larger than at level 9, in a quarter of the time: a handler waits for it */
  MEMORY_LEVEL = 8,
};

struct encoder {
  const struct profile *profile;
  struct writer *writer;
  struct arena *arena;
  z_stream stream;
  uint8_t *output;
  uint8_t *piece;
  uint64_t *ids; /* scratch for the locations of a sample */
  size_t ids_capacity;
  int error; /* 0 or -errno; sticky */
};

static voidpf zlib_get(voidpf arena, uInt count, uInt size)
{
  return arena_get_array(arena, count, size);
}

static void zlib_put(voidpf arena, voidpf bytes)
{
  (void)arena, (void)bytes; /* the arena gives everything back at once */
}

static void deflate_some(struct encoder *encoder, const uint8_t *bytes, size_t size, int flush)
{
  encoder->stream.next_in = (uint8_t *)(uintptr_t)bytes;
  encoder->stream.avail_in = (uInt)size;
  int result = Z_OK;
  do {
    encoder->stream.next_out = encoder->output;
    encoder->stream.avail_out = OUTPUT_BYTES;
    result = deflate(&encoder->stream, flush);
    size_t made = OUTPUT_BYTES - encoder->stream.avail_out;
    if (encoder->error == 0)
      encoder->error = writer_put(encoder->writer, encoder->output, made);
  } while (encoder->error == 0 && encoder->stream.avail_out == 0);
  if (encoder->error == 0 && flush == Z_FINISH && result != Z_STREAM_END)
    encoder->error = -EIO;
}

static void put(struct encoder *encoder, const Message *message)
{
  if (encoder->error != 0)
    return;
  size_t size = perftools__profiles__profile__get_packed_size(message);
  if (size > PIECE_BYTES) {
    encoder->error = -EOVERFLOW;
    return;
  }
  perftools__profiles__profile__pack(message, encoder->piece);
  deflate_some(encoder, encoder->piece, size, Z_NO_FLUSH);
}

/* Text that is known to be in the profile's table. */
static int64_t id_of(const struct profile *profile, const char *text)
{
  for (size_t i = 0; i < profile->strings.count; i++)
    if (strcmp(profile->strings.entries[i].text, text) == 0)
      return (int64_t)i;
  return 0;
}

static void put_header(struct encoder *encoder)
{
  const struct profile *profile = encoder->profile;
  Perftools__Profiles__ValueType types[PROFILE_VALUES], *type_pointers[PROFILE_VALUES];
  for (unsigned i = 0; i < PROFILE_VALUES; i++) {
    perftools__profiles__value_type__init(&types[i]);
    types[i].type = id_of(profile, profile_value_names[i]);
    types[i].unit = id_of(profile, profile_value_units[i]);
    type_pointers[i] = &types[i];
  }
  Perftools__Profiles__ValueType period = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
  period.type = id_of(profile, "space");
  period.unit = id_of(profile, "bytes");
  int64_t comments[PROFILE_COMMENTS_MAX];
  for (size_t i = 0; i < profile->comment_count; i++)
    comments[i] = profile->comments[i];
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_sample_type = PROFILE_VALUES;
  message.sample_type = type_pointers;
  message.period_type = &period;
  message.period = (int64_t)profile->period_bytes;
  message.time_nanos = (int64_t)profile->time_unix_ns;
  message.default_sample_type = types[PROFILE_INUSE_SPACE].type;
  message.drop_frames = profile->drop_frames;
  message.n_comment = profile->comment_count;
  message.comment = comments;
  put(encoder, &message);
}

static bool widen_ids(struct encoder *encoder, size_t count)
{
  if (count <= encoder->ids_capacity)
    return true;
  encoder->ids = arena_get_array(encoder->arena, count, sizeof *encoder->ids);
  encoder->ids_capacity = encoder->ids != NULL ? count : 0;
  if (encoder->ids == NULL)
    encoder->error = -ENOMEM;
  return encoder->ids != NULL;
}

static bool is_exact(const struct profile_sample *sample)
{
  for (unsigned i = 0; i < PROFILE_VALUES; i++)
    if (sample->variances[i] > 0)
      return false;
  return true;
}

/* Ids of strings. */
struct label_words {
  int64_t cut_key, inherited_key, inherited_text;
};

enum { LABELS_MAX = 2 };

static size_t set_labels(Perftools__Profiles__Label labels[LABELS_MAX], const struct profile_sample *sample,
                         const struct label_words *words)
{
  size_t count = 0;
  for (size_t i = 0; i < LABELS_MAX; i++)
    labels[i] = (Perftools__Profiles__Label)PERFTOOLS__PROFILES__LABEL__INIT;
  if (sample->cut != 0) {
    labels[count].key = words->cut_key;
    labels[count++].str = sample->cut;
  }
  if (sample->is_inherited) {
    labels[count].key = words->inherited_key;
    labels[count++].str = words->inherited_text;
  }
  return count;
}

static void put_sample(struct encoder *encoder, const struct profile_sample *sample, const struct label_words *words)
{
  if (!widen_ids(encoder, sample->location_count))
    return;
  for (size_t i = 0; i < sample->location_count; i++)
    encoder->ids[i] = sample->locations[i];
  Perftools__Profiles__Label labels[LABELS_MAX], *pointers[] = {&labels[0], &labels[1]};
  Perftools__Profiles__Sample packed = PERFTOOLS__PROFILES__SAMPLE__INIT, *samples = &packed;
  packed.n_location_id = sample->location_count;
  packed.location_id = encoder->ids;
  packed.n_value = PROFILE_VALUES;
  packed.value = (int64_t *)(uintptr_t)sample->values;
  packed.n_variance = is_exact(sample) ? 0 : PROFILE_VALUES;
  packed.variance = (float *)(uintptr_t)sample->variances;
  packed.n_label = set_labels(labels, sample, words);
  packed.label = pointers;
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_sample = 1;
  message.sample = &samples;
  put(encoder, &message);
}

static void put_mapping(struct encoder *encoder, const struct profile_mapping *mapping, uint64_t id)
{
  Perftools__Profiles__Mapping packed = PERFTOOLS__PROFILES__MAPPING__INIT, *mappings = &packed;
  packed.id = id;
  packed.memory_start = mapping->start;
  packed.memory_limit = mapping->limit;
  packed.file_offset = mapping->file_offset;
  packed.filename = mapping->path;
  packed.build_id = mapping->build_id;
  packed.has_functions = mapping->has_functions;
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_mapping = 1;
  message.mapping = &mappings;
  put(encoder, &message);
}

static void put_location(struct encoder *encoder, const struct profile_location *location, uint64_t id)
{
  Perftools__Profiles__Line line = PERFTOOLS__PROFILES__LINE__INIT, *lines = &line;
  line.function_id = location->function;
  Perftools__Profiles__Location packed = PERFTOOLS__PROFILES__LOCATION__INIT, *locations = &packed;
  packed.id = id;
  packed.mapping_id = location->mapping;
  packed.address = location->address;
  packed.n_line = location->function != 0;
  packed.line = &lines;
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_location = 1;
  message.location = &locations;
  put(encoder, &message);
}

static void put_function(struct encoder *encoder, const struct profile_function *function, uint64_t id)
{
  Perftools__Profiles__Function packed = PERFTOOLS__PROFILES__FUNCTION__INIT, *functions = &packed;
  packed.id = id;
  packed.name = packed.system_name = function->name;
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_function = 1;
  message.function = &functions;
  put(encoder, &message);
}

static void put_string(struct encoder *encoder, const char *text)
{
  char *strings[] = {(char *)(uintptr_t)text};
  Message message = PERFTOOLS__PROFILES__PROFILE__INIT;
  message.n_string_table = 1;
  message.string_table = strings;
  put(encoder, &message);
}

static void put_all(struct encoder *encoder)
{
  const struct profile *profile = encoder->profile;
  put_header(encoder);
  struct label_words words = {.cut_key = id_of(profile, CUT_LABEL),
                              .inherited_key = id_of(profile, INHERITED_LABEL),
                              .inherited_text = id_of(profile, INHERITED_TEXT)};
  for (size_t i = 0; i < profile->sample_count; i++)
    put_sample(encoder, &profile->samples[i], &words);
  for (size_t i = 0; i < profile->mapping_count; i++)
    put_mapping(encoder, &profile->mappings[i], i + 1);
  for (size_t i = 0; i < profile->location_count; i++)
    put_location(encoder, &profile->locations[i], i + 1);
  for (size_t i = 0; i < profile->function_count; i++)
    put_function(encoder, &profile->functions[i], i + 1);
  for (size_t i = 0; i < profile->strings.count; i++)
    put_string(encoder, profile->strings.entries[i].text);
}

int pprof_write(const struct profile *profile, struct writer *writer, struct arena *arena)
{
  struct encoder encoder = {.profile = profile, .writer = writer, .arena = arena};
  encoder.output = arena_get(arena, OUTPUT_BYTES);
  encoder.piece = arena_get(arena, PIECE_BYTES);
  encoder.stream.zalloc = zlib_get;
  encoder.stream.zfree = zlib_put;
  encoder.stream.opaque = arena;
  if (encoder.output == NULL || encoder.piece == NULL ||
      deflateInit2(&encoder.stream, COMPRESSION_LEVEL, Z_DEFLATED, MAX_WBITS | GZIP_WRAPPER, MEMORY_LEVEL,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    return -ENOMEM;
  put_all(&encoder);
  if (encoder.error == 0)
    deflate_some(&encoder, NULL, 0, Z_FINISH);
  (void)deflateEnd(&encoder.stream);
  return encoder.error;
}
