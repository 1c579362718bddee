/* SPDX-License-Identifier: MIT */
#include "tools/push/records.h"

#include <stddef.h>
#include <string.h>

static const char magic[8] = "hpqueue";

struct record_header {
  uint64_t created_unix_ns;
  int32_t pid;
  uint32_t text_size, size;
  uint8_t is_done, unused[3];
};

void records_append(GByteArray *file, struct queue_source source, const char *text, GBytes *bytes)
{
  gsize size = 0;
  const void *data = bytes != NULL ? g_bytes_get_data(bytes, &size) : NULL;
  struct record_header header = {.created_unix_ns = source.created_unix_ns,
                                 .pid = source.pid,
                                 .text_size = (uint32_t)strlen(text),
                                 .size = (uint32_t)size};
  if (file->len == 0)
    g_byte_array_append(file, (const guint8 *)magic, sizeof magic);
  g_byte_array_append(file, (const guint8 *)&header, sizeof header);
  g_byte_array_append(file, (const guint8 *)text, header.text_size);
  if (size > 0)
    g_byte_array_append(file, data, (guint)size);
}

GByteArray *records_part(const GByteArray *file, size_t from, size_t to)
{
  GByteArray *part = g_byte_array_new();
  if (to == from)
    return part;
  if (from > 0)
    g_byte_array_append(part, (const guint8 *)magic, sizeof magic);
  return g_byte_array_append(part, file->data + from, (guint)(to - from));
}

/* Where the record at `at` ends; 0: there is no whole one. */
static size_t read_record(const uint8_t *start, size_t size, size_t at, struct record *record)
{
  struct record_header header;
  if (size - at < sizeof header)
    return 0;
  memcpy(&header, start + at, sizeof header);
  size_t left = size - at - sizeof header;
  if (header.text_size > left || header.size > left - header.text_size)
    return 0;
  *record = (struct record){.source = {header.pid, header.created_unix_ns},
                            .at = at,
                            .bytes_at = at + sizeof header + header.text_size,
                            .text = (const char *)start + at + sizeof header,
                            .text_size = header.text_size,
                            .size = header.size,
                            .is_done = header.is_done == RECORDS_DONE};
  record->bytes = start + record->bytes_at;
  return record->bytes_at + header.size;
}

GArray *records_of(GBytes *file)
{
  gsize size;
  const uint8_t *start = g_bytes_get_data(file, &size);
  GArray *records = g_array_new(FALSE, FALSE, sizeof(struct record));
  size_t at = size > sizeof magic && memcmp(start, magic, sizeof magic) == 0 ? sizeof magic : 0;
  for (struct record record; at > 0 && at < size;) {
    at = read_record(start, size, at, &record);
    if (at > 0)
      g_array_append_val(records, record);
  }
  if (at > 0)
    return records;
  g_array_free(records, TRUE);
  return NULL;
}

size_t records_done_at(const struct record *record)
{
  return record->at + offsetof(struct record_header, is_done);
}
