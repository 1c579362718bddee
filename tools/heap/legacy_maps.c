/* SPDX-License-Identifier: MIT */
#include "tools/heap/legacy_maps.h"

#include <limits.h>
#include <string.h>

enum {
  MAPPINGS_MAX = 1 << 16, /* as many as Linux lets a process have; what follows is passed over */
  VARIABLES_MAX = 64,
  BUILD_ID_DIGITS_LEAST = 8,
};

struct variable {
  char *name, *value;
};

struct reader {
  struct heap *heap;
  GArray *variables; /* struct variable */
};

bool legacy_maps_begin(const struct legacy_line *line)
{
  return legacy_line_begins(line, "MAPPED_LIBRARIES:") || legacy_line_begins(line, "--- Memory map:");
}

/* Variables of paths. */

static void free_variable(gpointer data)
{
  struct variable *variable = data;
  g_free(variable->name);
  g_free(variable->value);
}

static void add_variable(struct reader *reader, const struct legacy_line *line)
{
  g_autofree char *text = g_strndup(line->position, legacy_line_length(line));
  char *equals = strchr(text, '=');
  if (equals == NULL || equals == text || reader->variables->len == VARIABLES_MAX)
    return;
  *equals = '\0';
  struct variable variable = {g_strdup(g_strstrip(text)), g_strdup(g_strstrip(equals + 1))};
  g_array_append_val(reader->variables, variable);
}

/* The variable whose name begins the text, NULL if none does. */
static const struct variable *variable_at(const struct reader *reader, const char *text)
{
  for (guint i = 0; i < reader->variables->len; i++) {
    const struct variable *variable = &g_array_index(reader->variables, struct variable, i);
    if (g_str_has_prefix(text, variable->name))
      return variable;
  }
  return NULL;
}

/* No path is longer than one can be, whatever the variables make of it. */
static char *expanded(const struct reader *reader, const char *path)
{
  GString *result = g_string_new(NULL);
  while (*path != '\0' && result->len < PATH_MAX) {
    const struct variable *variable = *path == '$' ? variable_at(reader, path + 1) : NULL;
    if (variable != NULL)
      g_string_append_len(result, variable->value, (gssize)strnlen(variable->value, NAME_MAX));
    else
      g_string_append_c(result, *path);
    path += variable != NULL ? strlen(variable->name) + 1 : 1;
  }
  return g_string_free(result, FALSE);
}

/* Lines. */

static bool take_end(struct legacy_line *line, const char *end)
{
  size_t length = strlen(end);
  if (legacy_line_length(line) < length || memcmp(line->end - length, end, length) != 0)
    return false;
  line->end -= length;
  while (line->end > line->position && g_ascii_isspace(line->end[-1]))
    line->end--;
  return true;
}

/* "start-end", also with a blank between them and a colon behind. */
static bool take_range(struct legacy_line *line, struct heap_mapping *mapping)
{
  if (!legacy_line_take_hex(line, &mapping->start))
    return false;
  legacy_line_take(line, "-");
  if (!legacy_line_take_hex(line, &mapping->limit) || mapping->start >= mapping->limit)
    return false;
  legacy_line_take(line, ":");
  return true;
}

/* "r-xp". */
static bool take_permissions(struct legacy_line *line, bool *is_code)
{
  struct legacy_line rest = *line, word;
  if (!legacy_line_take_word(&rest, &word) || legacy_line_length(&word) < 3)
    return false;
  for (const char *letter = word.position; letter < word.end; letter++)
    if (memchr("-rwxps", *letter, 6) == NULL)
      return false;
  *is_code = memchr(word.position, 'x', legacy_line_length(&word)) != NULL;
  *line = rest;
  return true;
}

/* "00001000 fe:00 4711": the offset, the device and the inode, behind which the path stands. */
static bool take_place_in_file(struct legacy_line *line, uint64_t *offset)
{
  struct legacy_line rest = *line;
  uint64_t number, place;
  int64_t inode;
  if (!legacy_line_take_hex(&rest, &place) || !legacy_line_take_hex(&rest, &number) || !legacy_line_take(&rest, ":") ||
      !legacy_line_take_hex(&rest, &number) || !legacy_line_take_number(&rest, &inode))
    return false;
  *offset = place;
  *line = rest;
  return true;
}

/* "(@1000)" behind a path. */
static void cut_offset(struct legacy_line *line, uint64_t *offset)
{
  struct legacy_line rest;
  for (const char *at = line->position; at + 1 < line->end; at++) {
    if (at[0] != '(' || at[1] != '@')
      continue;
    rest = (struct legacy_line){at + 2, line->end};
    if (!legacy_line_take_hex(&rest, offset))
      continue;
    line->end = at;
    return;
  }
}

/* The word behind the path, if it looks like one; NULL: there is none. */
static char *cut_build_id(struct legacy_line *line)
{
  const char *start = line->end;
  while (start > line->position && g_ascii_isxdigit(start[-1]))
    start--;
  size_t length = (size_t)(line->end - start);
  if (length < BUILD_ID_DIGITS_LEAST || start == line->position || !g_ascii_isspace(start[-1]))
    return NULL;
  char *build_id = g_ascii_strdown(start, (gssize)length);
  line->end = start;
  return build_id;
}

static char *path_of(const struct reader *reader, struct legacy_line *line)
{
  struct legacy_line rest = *line;
  while (rest.position < rest.end && g_ascii_isspace(*rest.position))
    rest.position++;
  while (rest.end > rest.position && g_ascii_isspace(rest.end[-1]))
    rest.end--;
  take_end(&rest, "(deleted)");
  g_autofree char *text = g_strndup(rest.position, MIN(legacy_line_length(&rest), PATH_MAX));
  return text[0] != '\0' ? expanded(reader, text) : g_strdup("//anon");
}

/* False: it is no mapping. */
static bool add_mapping(struct reader *reader, struct legacy_line line)
{
  struct heap_mapping mapping = {.build_id = ""};
  bool is_code = true;
  g_autofree char *build_id = NULL;
  if (!take_range(&line, &mapping))
    return false;
  if (!take_permissions(&line, &is_code) || !take_place_in_file(&line, &mapping.file_offset)) {
    const char *end = line.end;
    cut_offset(&line, &mapping.file_offset);
    struct legacy_line behind = {line.end, end};
    build_id = cut_build_id(line.end < end ? &behind : &line);
  }
  if (!is_code || reader->heap->mappings->len == MAPPINGS_MAX)
    return true;
  g_autofree char *path = path_of(reader, &line);
  mapping.path = path;
  mapping.build_id = build_id;
  heap_add_mapping(reader->heap, mapping);
  return true;
}

/* The whole. */

static gint compare_starts(gconstpointer a, gconstpointer b)
{
  const struct heap_mapping *one = a, *other = b;
  return one->start < other->start ? -1 : one->start > other->start;
}

/* One file whose code is in several adjacent mappings, as with huge pages. */
static bool continues(const struct heap_mapping *first, const struct heap_mapping *second)
{
  return first->limit == second->start && first->path == second->path && first->build_id == second->build_id &&
         first->file_offset + (first->limit - first->start) == second->file_offset;
}

static void join_adjacent(GArray *mappings)
{
  guint kept = 0;
  for (guint i = 0; i < mappings->len; i++) {
    struct heap_mapping mapping = g_array_index(mappings, struct heap_mapping, i);
    struct heap_mapping *last = kept > 0 ? &g_array_index(mappings, struct heap_mapping, kept - 1) : NULL;
    if (last != NULL && continues(last, &mapping))
      last->limit = mapping.limit;
    else
      g_array_index(mappings, struct heap_mapping, kept++) = mapping;
  }
  g_array_set_size(mappings, kept);
}

static bool is_program(const struct heap_mapping *mapping)
{
  const char *slash = strrchr(mapping->path, '/');
  bool is_file = mapping->path[0] != '[' && !g_str_has_prefix(mapping->path, "//");
  return is_file && strstr(slash != NULL ? slash : mapping->path, ".so") == NULL;
}

static void put_program_first(GArray *mappings)
{
  for (guint i = 0; i < mappings->len; i++) {
    struct heap_mapping mapping = g_array_index(mappings, struct heap_mapping, i);
    if (!is_program(&mapping))
      continue;
    g_array_remove_index(mappings, i);
    g_array_prepend_val(mappings, mapping);
    return;
  }
}

void legacy_maps_read(struct legacy_text *text, struct heap *heap)
{
  struct reader reader = {heap, g_array_new(FALSE, FALSE, sizeof(struct variable))};
  g_array_set_clear_func(reader.variables, free_variable);
  struct legacy_line line;
  while (legacy_text_next(text, &line))
    if (!add_mapping(&reader, line))
      add_variable(&reader, &line);
  g_array_unref(reader.variables);
  g_array_sort(heap->mappings, compare_starts);
  join_adjacent(heap->mappings);
  put_program_first(heap->mappings);
}

static bool holds(const struct heap *heap, uint32_t index, uint64_t address)
{
  const struct heap_mapping *mapping = heap_mapping(heap, index);
  return mapping->start <= address && address < mapping->limit;
}

uint32_t legacy_maps_find(const struct heap *heap, uint64_t address)
{
  if (heap->mappings->len == 0)
    return HEAP_NONE;
  if (holds(heap, 0, address))
    return 0;
  uint32_t low = 1, high = heap->mappings->len; /* the last that starts no later is below high */
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (heap_mapping(heap, middle)->start <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low > 1 && holds(heap, low - 1, address) ? low - 1 : HEAP_NONE;
}
