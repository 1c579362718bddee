/* SPDX-License-Identifier: MIT */
#include "core/pprof.h"

#include "core/compiler.h"
#include "core/packer.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

enum {
  OUTPUT_BYTES = 64 << 10,
  INPUT_BYTES = 64 << 10,
  PIECE_BYTES = 1 << 10, /* what one of a profile's messages packs to at most, but for what is counted apart */
  /* A profile up to this is stored: deflate's tables cost a process of a few milliseconds more than two more blocks of
   * the disk. */
  STORED_BYTES_MAX = 16 << 10,
  GZIP_WRAPPER = 16,
  COMPRESSION_LEVEL = 3, /* output a fifth larger than at level 9, in a quarter of the time: a handler waits for it */
  MEMORY_LEVEL = 8,
};

/* Around the one block of a stored profile. Numbers are little-endian. */
struct PACKED stored_head {
  uint8_t magic[2], method, flags, time[4], extra_flags, system;
  uint8_t block; /* the last one, stored */
  uint16_t size, size_inverted;
};

struct PACKED stored_tail {
  uint32_t checksum, size;
};

struct encoder {
  const struct profile *profile;
  struct writer *writer;
  struct arena *arena;
  z_stream stream;
  uint8_t *output; /* NULL: nothing was compressed yet */
  uint8_t *input;  /* packed messages, with room for a stored_head before them and a stored_tail behind */
  size_t input_size;
  int error; /* 0 or -errno; sticky */
};

/* The numbers of the fields in pprof.proto. */

enum profile_field {
  PROFILE_SAMPLE_TYPE = 1,
  PROFILE_SAMPLE,
  PROFILE_MAPPING,
  PROFILE_LOCATION,
  PROFILE_FUNCTION,
  PROFILE_STRING_TABLE,
  PROFILE_DROP_FRAMES,
  PROFILE_TIME_NANOS = 9,
  PROFILE_PERIOD_TYPE = 11,
  PROFILE_PERIOD,
  PROFILE_COMMENT,
  PROFILE_DEFAULT_SAMPLE_TYPE,
};

enum value_type_field { VALUE_TYPE_TYPE = 1, VALUE_TYPE_UNIT };
enum sample_field { SAMPLE_LOCATION_ID = 1, SAMPLE_VALUE, SAMPLE_LABEL, SAMPLE_VARIANCE = 61001 };
enum label_field { LABEL_KEY = 1, LABEL_STR };
enum location_field { LOCATION_ID = 1, LOCATION_MAPPING_ID, LOCATION_ADDRESS, LOCATION_LINE };
enum line_field { LINE_FUNCTION_ID = 1 };
enum function_field { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME };

enum mapping_field {
  MAPPING_ID = 1,
  MAPPING_MEMORY_START,
  MAPPING_MEMORY_LIMIT,
  MAPPING_FILE_OFFSET,
  MAPPING_FILENAME,
  MAPPING_BUILD_ID,
  MAPPING_HAS_FUNCTIONS,
};

/* Packed bytes into the file. */

static voidpf zlib_get(voidpf arena, uInt count, uInt size)
{
  return arena_get_array(arena, count, size);
}

static void zlib_put(voidpf arena, voidpf bytes)
{
  (void)arena, (void)bytes; /* the arena gives everything back at once */
}

static void begin_deflate(struct encoder *encoder)
{
  encoder->output = arena_get(encoder->arena, OUTPUT_BYTES);
  encoder->stream = (z_stream){.zalloc = zlib_get, .zfree = zlib_put, .opaque = encoder->arena};
  if (encoder->output == NULL || deflateInit2(&encoder->stream, COMPRESSION_LEVEL, Z_DEFLATED, MAX_WBITS | GZIP_WRAPPER,
                                              MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
    encoder->error = -ENOMEM;
}

/* What is packed so far. */
static void deflate_input(struct encoder *encoder, int flush)
{
  if (encoder->output == NULL)
    begin_deflate(encoder);
  encoder->stream.next_in = encoder->input;
  encoder->stream.avail_in = (uInt)encoder->input_size;
  encoder->input_size = 0;
  int result = Z_OK;
  while (encoder->error == 0) {
    encoder->stream.next_out = encoder->output;
    encoder->stream.avail_out = OUTPUT_BYTES;
    result = deflate(&encoder->stream, flush);
    encoder->error = writer_put(encoder->writer, encoder->output, OUTPUT_BYTES - encoder->stream.avail_out);
    if (encoder->stream.avail_out != 0)
      break;
  }
  if (encoder->error == 0 && flush == Z_FINISH && result != Z_STREAM_END)
    encoder->error = -EIO;
}

static void store_input(struct encoder *encoder)
{
  enum { DEFLATED = 8, UNKNOWN_SYSTEM = 255, LAST = 1 };
  uint16_t size = (uint16_t)encoder->input_size;
  const struct stored_head head = {{0x1f, 0x8b}, DEFLATED, 0, {0}, 0, UNKNOWN_SYSTEM, LAST, size, (uint16_t)~size};
  const struct stored_tail tail = {(uint32_t)crc32(0, encoder->input, size), size};
  memcpy(encoder->input - sizeof head, &head, sizeof head);
  memcpy(encoder->input + size, &tail, sizeof tail);
  encoder->error = writer_put(encoder->writer, encoder->input - sizeof head, sizeof head + size + sizeof tail);
}

/* Room for a piece with `more` bytes. False: it will not be packed. */
static bool begin_piece(struct encoder *encoder, size_t more, struct packer *packer)
{
  if (encoder->error == 0 && more > INPUT_BYTES - PIECE_BYTES)
    encoder->error = -EOVERFLOW;
  if (encoder->error == 0 && PIECE_BYTES + more > INPUT_BYTES - encoder->input_size)
    deflate_input(encoder, Z_NO_FLUSH);
  packer->at = encoder->input + encoder->input_size;
  return encoder->error == 0;
}

static void end_piece(struct encoder *encoder, const struct packer *packer)
{
  encoder->input_size = (size_t)(packer->at - encoder->input);
  INVARIANT(encoder->input_size <= INPUT_BYTES);
}

/* The messages. */

static void put_value_type(struct packer *packer, enum profile_field field, struct profile_value_type type)
{
  uint8_t *begin = packer_begin(packer, field);
  packer_put_number(packer, VALUE_TYPE_TYPE, type.name);
  packer_put_number(packer, VALUE_TYPE_UNIT, type.unit);
  packer_end(packer, begin);
}

static void put_header(struct encoder *encoder)
{
  const struct profile *profile = encoder->profile;
  struct packer packer;
  _Static_assert(PROFILE_COMMENTS_MAX * PACKER_U32_MAX_BYTES + 32 * PACKER_FIELD_MAX_BYTES <= PIECE_BYTES, "it fits");
  if (!begin_piece(encoder, 0, &packer))
    return;
  for (unsigned i = 0; i < PROFILE_VALUES; i++)
    put_value_type(&packer, PROFILE_SAMPLE_TYPE, profile->value_types[i]);
  packer_put_number(&packer, PROFILE_DROP_FRAMES, profile->drop_frames);
  packer_put_number(&packer, PROFILE_TIME_NANOS, profile->time_unix_ns);
  put_value_type(&packer, PROFILE_PERIOD_TYPE, profile->period_type);
  packer_put_number(&packer, PROFILE_PERIOD, profile->period_bytes);
  uint8_t *begin = packer_begin(&packer, PROFILE_COMMENT);
  for (size_t i = 0; i < profile->comment_count; i++)
    packer_put_varint(&packer, profile->comments[i]);
  packer_end(&packer, begin);
  packer_put_number(&packer, PROFILE_DEFAULT_SAMPLE_TYPE, profile->value_types[PROFILE_INUSE_SPACE].name);
  end_piece(encoder, &packer);
}

static bool is_exact(const struct profile_sample *sample)
{
  for (unsigned i = 0; i < PROFILE_VALUES; i++)
    if (sample->variances[i] > 0)
      return false;
  return true;
}

static void put_locations_of(struct packer *packer, const struct profile_sample *sample)
{
  uint8_t *begin = packer_begin(packer, SAMPLE_LOCATION_ID);
  for (size_t i = 0; i < sample->location_count; i++)
    packer_put_varint(packer, sample->locations[i]);
  packer_end(packer, begin);
}

static void put_values_of(struct packer *packer, const struct profile_sample *sample)
{
  uint8_t *begin = packer_begin(packer, SAMPLE_VALUE);
  for (unsigned i = 0; i < PROFILE_VALUES; i++)
    packer_put_varint(packer, (uint64_t)sample->values[i]);
  packer_end(packer, begin);
}

static void put_label(struct packer *packer, profile_string key, profile_string text)
{
  uint8_t *begin = packer_begin(packer, SAMPLE_LABEL);
  packer_put_number(packer, LABEL_KEY, key);
  packer_put_number(packer, LABEL_STR, text);
  packer_end(packer, begin);
}

static void put_sample(struct encoder *encoder, const struct profile_sample *sample)
{
  struct packer packer;
  if (!begin_piece(encoder, (size_t)sample->location_count * PACKER_U32_MAX_BYTES, &packer))
    return;
  uint8_t *begin = packer_begin(&packer, PROFILE_SAMPLE);
  put_locations_of(&packer, sample);
  put_values_of(&packer, sample);
  if (sample->cut != 0)
    put_label(&packer, encoder->profile->cut_key, sample->cut);
  if (sample->is_inherited)
    put_label(&packer, encoder->profile->inherited_key, encoder->profile->inherited_text);
  if (!is_exact(sample))
    packer_put_bytes(&packer, SAMPLE_VARIANCE, sample->variances, sizeof sample->variances);
  packer_end(&packer, begin);
  end_piece(encoder, &packer);
}

static void put_mapping(struct encoder *encoder, const struct profile_mapping *mapping, uint64_t id)
{
  struct packer packer;
  if (!begin_piece(encoder, 0, &packer))
    return;
  uint8_t *begin = packer_begin(&packer, PROFILE_MAPPING);
  packer_put_number(&packer, MAPPING_ID, id);
  packer_put_number(&packer, MAPPING_MEMORY_START, mapping->start);
  packer_put_number(&packer, MAPPING_MEMORY_LIMIT, mapping->limit);
  packer_put_number(&packer, MAPPING_FILE_OFFSET, mapping->file_offset);
  packer_put_number(&packer, MAPPING_FILENAME, mapping->path);
  packer_put_number(&packer, MAPPING_BUILD_ID, mapping->build_id);
  packer_put_number(&packer, MAPPING_HAS_FUNCTIONS, 1); /* readers leave our names alone (docs/decisions.md, 7) */
  packer_end(&packer, begin);
  end_piece(encoder, &packer);
}

static void put_location(struct encoder *encoder, const struct profile_location *location, uint64_t id)
{
  struct packer packer;
  if (!begin_piece(encoder, 0, &packer))
    return;
  uint8_t *begin = packer_begin(&packer, PROFILE_LOCATION);
  packer_put_number(&packer, LOCATION_ID, id);
  packer_put_number(&packer, LOCATION_MAPPING_ID, location->mapping);
  packer_put_number(&packer, LOCATION_ADDRESS, location->address);
  if (location->function != 0) {
    uint8_t *line = packer_begin(&packer, LOCATION_LINE);
    packer_put_number(&packer, LINE_FUNCTION_ID, location->function);
    packer_end(&packer, line);
  }
  packer_end(&packer, begin);
  end_piece(encoder, &packer);
}

static void put_function(struct encoder *encoder, const struct profile_function *function, uint64_t id)
{
  struct packer packer;
  if (!begin_piece(encoder, 0, &packer))
    return;
  uint8_t *begin = packer_begin(&packer, PROFILE_FUNCTION);
  packer_put_number(&packer, FUNCTION_ID, id);
  packer_put_number(&packer, FUNCTION_NAME, function->name);
  packer_put_number(&packer, FUNCTION_SYSTEM_NAME, function->name);
  packer_end(&packer, begin);
  end_piece(encoder, &packer);
}

static void put_string(struct encoder *encoder, const struct string_entry *entry)
{
  struct packer packer;
  if (!begin_piece(encoder, entry->length, &packer))
    return;
  packer_put_bytes(&packer, PROFILE_STRING_TABLE, entry->text, entry->length);
  end_piece(encoder, &packer);
}

static void put_all(struct encoder *encoder)
{
  const struct profile *profile = encoder->profile;
  put_header(encoder);
  for (size_t i = 0; i < profile->sample_count; i++)
    put_sample(encoder, &profile->samples[i]);
  for (size_t i = 0; i < profile->mapping_count; i++)
    put_mapping(encoder, &profile->mappings[i], i + 1);
  for (size_t i = 0; i < profile->location_count; i++)
    put_location(encoder, &profile->locations[i], i + 1);
  for (size_t i = 0; i < profile->function_count; i++)
    put_function(encoder, &profile->functions[i], i + 1);
  for (size_t i = 0; i < profile->strings.count; i++)
    put_string(encoder, &profile->strings.entries[i]);
}

int pprof_write(const struct profile *profile, struct writer *writer, struct arena *arena)
{
  struct encoder encoder = {.profile = profile, .writer = writer, .arena = arena};
  uint8_t *room = arena_get(arena, sizeof(struct stored_head) + INPUT_BYTES + sizeof(struct stored_tail));
  if (room == NULL)
    return -ENOMEM;
  encoder.input = room + sizeof(struct stored_head);
  put_all(&encoder);
  if (encoder.error == 0 && encoder.output == NULL && encoder.input_size <= STORED_BYTES_MAX)
    store_input(&encoder);
  else if (encoder.error == 0)
    deflate_input(&encoder, Z_FINISH);
  return encoder.error;
}
