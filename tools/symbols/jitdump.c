/* SPDX-License-Identifier: MIT */
#include "tools/symbols/jitdump.h"

#include <string.h>

enum { MAGIC = 0x4a695444, RECORDS_MAX = 8 << 20 };

enum record_kind { RECORD_LOAD = 0, RECORD_MOVE = 1, RECORD_CLOSE = 3 };

struct file_header {
  uint32_t magic, version, total_bytes, machine, padding, pid;
  uint64_t timestamp, flags;
};

struct record_header {
  uint32_t kind, total_bytes;
  uint64_t timestamp;
};

/* Followed by the name and the code. */
struct load {
  uint32_t pid, tid;
  uint64_t vma, address, size, index;
};

struct move {
  uint32_t pid, tid;
  uint64_t vma, old_address, address, size, index;
};

/* Where code came to lie, in the order of the file. */
struct event {
  uint64_t address, size;
  const char *name;
  size_t length;
};

struct dump {
  GArray *events;
  GHashTable *loads; /* by the number of the code: 1 + the last event that loaded it */
};

static void add_load(struct dump *dump, const uint8_t *bytes, size_t size)
{
  struct load load;
  if (size <= sizeof load)
    return;
  memcpy(&load, bytes, sizeof load);
  const char *name = (const char *)bytes + sizeof load, *end = memchr(name, '\0', size - sizeof load);
  if (end == NULL)
    return;
  struct event event = {load.address, load.size, name, (size_t)(end - name)};
  g_array_append_val(dump->events, event);
  g_hash_table_insert(dump->loads, g_memdup2(&load.index, sizeof load.index), GUINT_TO_POINTER(dump->events->len));
}

static void add_move(struct dump *dump, const uint8_t *bytes, size_t size)
{
  struct move move;
  if (size < sizeof move)
    return;
  memcpy(&move, bytes, sizeof move);
  guint loaded = GPOINTER_TO_UINT(g_hash_table_lookup(dump->loads, &move.index));
  if (loaded == 0)
    return;
  struct event event = g_array_index(dump->events, struct event, loaded - 1);
  event.address = move.address;
  event.size = move.size;
  g_array_append_val(dump->events, event);
}

static void read_records(struct dump *dump, const uint8_t *bytes, size_t size)
{
  struct record_header header;
  for (size_t at = 0; size - at >= sizeof header && dump->events->len < RECORDS_MAX; at += header.total_bytes) {
    memcpy(&header, bytes + at, sizeof header);
    if (header.kind == RECORD_CLOSE || header.total_bytes < sizeof header || header.total_bytes > size - at)
      return;
    const uint8_t *rest = bytes + at + sizeof header;
    size_t rest_bytes = header.total_bytes - sizeof header;
    if (header.kind == RECORD_LOAD)
      add_load(dump, rest, rest_bytes);
    else if (header.kind == RECORD_MOVE)
      add_move(dump, rest, rest_bytes);
  }
}

bool jitdump_read(const uint8_t *bytes, size_t size, struct code_names *names)
{
  struct file_header header;
  if (size < sizeof header)
    return false;
  memcpy(&header, bytes, sizeof header);
  if (header.magic != MAGIC || header.total_bytes < sizeof header || header.total_bytes > size)
    return false;
  struct dump dump = {g_array_new(FALSE, FALSE, sizeof(struct event)), NULL};
  dump.loads = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  read_records(&dump, bytes + header.total_bytes, size - header.total_bytes);
  for (guint i = dump.events->len; i-- > 0 && !code_names_are_complete(names);) {
    const struct event *event = &g_array_index(dump.events, struct event, i);
    code_names_offer(names, event->address, event->size, event->name, event->length);
  }
  g_array_free(dump.events, TRUE);
  g_hash_table_destroy(dump.loads);
  return true;
}
