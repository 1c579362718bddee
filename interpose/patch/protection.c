/* SPDX-License-Identifier: MIT */
#include "interpose/patch/protection.h"

#include "core/descriptor.h"
#include "core/sys.h"

#include <stdbool.h>
#include <string.h>

enum { KIND_BYTES = 4 };

/* A line says START-LIMIT KIND, and more. */
struct reader {
  const uintptr_t *pages;
  size_t count, checked;
  enum field { AT_START, AT_LIMIT, AT_KIND, AT_REST } field;
  uintptr_t start, limit;
  char kind[KIND_BYTES];
  size_t kind_bytes;
  bool is_other;
};

static void begin_line(struct reader *reader)
{
  reader->field = AT_START;
  reader->start = reader->limit = 0;
  reader->kind_bytes = 0;
}

static void check_pages(struct reader *reader)
{
  bool is_code = reader->kind_bytes == KIND_BYTES && memcmp(reader->kind, "r-xp", KIND_BYTES) == 0;
  while (!reader->is_other && reader->checked < reader->count && reader->pages[reader->checked] < reader->limit) {
    reader->is_other = !is_code || reader->pages[reader->checked] < reader->start;
    reader->checked++;
  }
}

static void add_to_field(struct reader *reader, char byte)
{
  uintptr_t *number = reader->field == AT_START ? &reader->start : &reader->limit;
  if (reader->field < AT_KIND)
    *number = *number << 4 | (uintptr_t)(byte <= '9' ? byte - '0' : byte - 'a' + 10);
  else if (reader->field == AT_KIND && reader->kind_bytes < KIND_BYTES)
    reader->kind[reader->kind_bytes++] = byte;
}

static void read_byte(struct reader *reader, char byte)
{
  bool is_end = byte == (reader->field == AT_START ? '-' : ' ') && reader->field < AT_REST;
  if (byte == '\n')
    begin_line(reader);
  else if (is_end && ++reader->field == AT_REST)
    check_pages(reader);
  else if (!is_end)
    add_to_field(reader, byte);
}

/* The kernel goes on behind the last mapping that it told of. False: it did not come to the end. */
static bool read_mappings(struct reader *reader, int file)
{
  static LARGE char buffer[1 << 10];
  long got = 1;
  for (uint64_t offset = 0; got > 0 && reader->checked < reader->count; offset += (uint64_t)got) {
    got = sys_pread(file, buffer, sizeof buffer, offset);
    for (long i = 0; i < got; i++)
      read_byte(reader, buffer[i]);
  }
  return got >= 0;
}

const char *protection_check(const uintptr_t *pages, size_t count)
{
  int file = descriptor_open("/proc/thread-self/maps", O_RDONLY, 0);
  if (file < 0)
    return "/proc does not tell of its memory";
  struct reader reader = {.pages = pages, .count = count};
  begin_line(&reader);
  bool is_read = read_mappings(&reader, file);
  (void)sys_close(file);
  if (!is_read)
    return "/proc does not tell of its memory";
  return reader.is_other || reader.checked < count ? "its code is not in memory that is only read and executed" : NULL;
}
