/* SPDX-License-Identifier: MIT */
#include "tools/record/process_row.h"

#include "tools/heap/load.h"
#include "tools/record/pack.h"

#define PROCESS_ROW_ERROR g_quark_from_static_string("heapprof-process-row")

/* --- the header: what else a profile says that does not change --- */

static GBytes *pack_header(const struct heap *heap)
{
  GByteArray *bytes = g_byte_array_new();
  pack_number(bytes, heap->types->len);
  for (uint32_t i = 0; i < heap->types->len; i++) {
    pack_text(bytes, heap_type(heap, i)->name);
    pack_text(bytes, heap_type(heap, i)->unit);
  }
  pack_text(bytes, heap->period_type.name != NULL ? heap->period_type.name : "");
  pack_text(bytes, heap->period_type.unit != NULL ? heap->period_type.unit : "");
  pack_signed(bytes, heap->period);
  pack_text(bytes, heap->default_type);
  pack_text(bytes, heap->drop_frames);
  pack_text(bytes, heap->keep_frames);
  return g_byte_array_free_to_bytes(bytes);
}

static const char *get_text(struct heap *heap, struct unpack *from)
{
  g_autofree char *text = unpack_text(from);
  return heap_text(heap, text);
}

static bool unpack_header(struct heap *heap, const void *bytes, size_t size)
{
  struct unpack from = {.at = bytes, .end = (const uint8_t *)bytes + size};
  uint32_t types = unpack_index(&from, HEAP_TYPES_MAX + 1);
  for (uint32_t i = 0; i < types && !from.is_broken; i++) {
    struct heap_type type = {.name = get_text(heap, &from)};
    type.unit = get_text(heap, &from);
    g_array_append_val(heap->types, type);
  }
  heap->period_type.name = get_text(heap, &from);
  heap->period_type.unit = get_text(heap, &from);
  heap->period = unpack_signed(&from);
  heap->default_type = get_text(heap, &from);
  heap->drop_frames = get_text(heap, &from);
  heap->keep_frames = get_text(heap, &from);
  return unpack_is_done(&from) && heap->types->len > 0;
}

/* --- rows --- */

static void clear_row(gpointer data)
{
  struct process_row *row = data;
  g_free(row->program);
  g_free(row->command);
}

GArray *process_rows(struct store *store, GError **error)
{
  g_autoptr(GError) problem = NULL;
  GArray *rows = g_array_new(FALSE, FALSE, sizeof(struct process_row));
  g_array_set_clear_func(rows, clear_row);
  g_autoptr(sqlite3_stmt) query =
      store_query(store, &problem,
                  "SELECT process.id, pid, created_unix_ns, program, command, ended_ns, min(time_ns), max(time_ns), "
                  "count(time_ns) FROM process LEFT JOIN moment ON moment.process = process.id GROUP BY process.id "
                  "ORDER BY min(time_ns), process.id",
                  "");
  while (query != NULL && store_next(store, query, &problem)) {
    int64_t ended_ns = MAX(sqlite3_column_int64(query, 5), -INT64_MAX);
    struct process_row row = {.id = sqlite3_column_int64(query, 0),
                              .pid = sqlite3_column_int(query, 1),
                              .created_unix_ns = (uint64_t)sqlite3_column_int64(query, 2),
                              .program = store_text(query, 3),
                              .command = store_text(query, 4),
                              .ended_ns = ABS(ended_ns),
                              .is_left = ended_ns < 0,
                              .first_ns = sqlite3_column_int64(query, 6),
                              .last_ns = sqlite3_column_int64(query, 7),
                              .moments = (uint32_t)sqlite3_column_int64(query, 8)};
    g_array_append_val(rows, row);
  }
  if (problem == NULL)
    return rows;
  g_propagate_error(error, g_steal_pointer(&problem));
  g_array_free(rows, TRUE);
  return NULL;
}

int64_t process_row_find(struct store *store, int pid, uint64_t created_unix_ns, GError **error)
{
  int64_t id;
  (void)store_number(store, error, &id, 0, "SELECT max(id) FROM process WHERE pid = ? AND created_unix_ns = ?", "ii",
                     (int64_t)pid, (int64_t)created_unix_ns);
  return id;
}

int64_t process_row_add(struct store *store, const struct heap *heap, int pid, uint64_t created_unix_ns,
                        const char *program, const char *command, GError **error)
{
  g_autoptr(GBytes) header = pack_header(heap);
  g_autofree char *valid_program = g_utf8_make_valid(program, -1), *valid_command = g_utf8_make_valid(command, -1);
  bool is_added = store_do(store, error,
                           "INSERT INTO process(pid, created_unix_ns, program, command, header) VALUES(?, ?, ?, ?, ?)",
                           "iittb", (int64_t)pid, (int64_t)created_unix_ns, valid_program, valid_command, header);
  return is_added ? sqlite3_last_insert_rowid(store->database) : 0;
}

static bool add_parts(struct heap *heap, struct store *store, int64_t process, const struct texts *texts,
                      GError **error)
{
  size_t total = 0;
  g_autoptr(GError) problem = NULL;
  g_autoptr(sqlite3_stmt) query =
      store_query(store, &problem, "SELECT part FROM part WHERE process = ? ORDER BY id", "i", process);
  while (query != NULL && store_next(store, query, &problem)) {
    size_t size;
    const void *bytes = store_blob(query, 0, &size);
    if (!part_unpack(heap, bytes, size, texts, &problem))
      break;
    total = heap->lines->len + heap->frames->len + heap->labels->len;
    if (total > LOAD_BYTES_MAX / 8) {
      g_set_error(&problem, PROCESS_ROW_ERROR, 0, "%s has more stacks of one process than can be read", heap->name);
      break;
    }
  }
  if (problem == NULL)
    return true;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}

/* What readers want to know of the names that a file has. */
static void describe_mappings(struct heap *heap)
{
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    if (location->mapping == HEAP_NONE || location->line_count == 0)
      continue;
    struct heap_mapping *mapping = heap_mapping(heap, location->mapping);
    const struct heap_line *line = heap_lines(heap, location);
    mapping->has_functions = true;
    mapping->has_filenames |= heap_function(heap, line->function)->file[0] != '\0';
    mapping->has_line_numbers |= line->line > 0;
    mapping->has_inline_frames |= location->line_count > 1;
  }
}

/* A heap with nothing but that. */
static struct heap *read_header(struct store *store, int64_t process, GError **error)
{
  g_autoptr(GError) problem = NULL;
  struct heap *heap = heap_new(store->path);
  heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
  g_autoptr(sqlite3_stmt) query = store_query(store, &problem, "SELECT header FROM process WHERE id = ?", "i", process);
  size_t size = 0;
  bool is_there = query != NULL && store_next(store, query, &problem);
  const void *bytes = is_there ? store_blob(query, 0, &size) : NULL;
  if (is_there && unpack_header(heap, bytes, size))
    return heap;
  if (problem == NULL)
    g_set_error(&problem, PROCESS_ROW_ERROR, 0, "%s is damaged: what a process is cannot be read", store->path);
  g_propagate_error(error, g_steal_pointer(&problem));
  heap_free(heap);
  return NULL;
}

unsigned process_row_types(struct store *store, int64_t process, GError **error)
{
  struct heap *heap = read_header(store, process, error);
  unsigned types = heap != NULL ? heap->types->len : 0;
  if (heap != NULL)
    heap_free(heap);
  return types;
}

struct heap *process_row_stacks(struct store *store, int64_t process, const struct texts *texts, GError **error)
{
  struct heap *heap = read_header(store, process, error);
  if (heap == NULL)
    return NULL;
  if (add_parts(heap, store, process, texts, error)) {
    describe_mappings(heap);
    return heap;
  }
  heap_free(heap);
  return NULL;
}

bool process_row_remove(struct store *store, int64_t process, GError **error)
{
  return store_do(store, error, "DELETE FROM moment WHERE process = ?", "i", process) &&
         store_do(store, error, "DELETE FROM part WHERE process = ?", "i", process) &&
         store_do(store, error, "DELETE FROM process WHERE id = ?", "i", process);
}
