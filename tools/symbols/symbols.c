/* SPDX-License-Identifier: MIT */
#include "tools/symbols/symbols.h"

#include "tools/heap/stand_in.h"
#include "tools/symbols/demangle.h"
#include "tools/symbols/symbol_cache.h"
#include "tools/symbols/symbol_worker.h"
#include "tools/terminal/say.h"

#include <string.h>

/* --- what is asked --- */

static bool is_file(const char *path)
{
  return path[0] != '\0' && path[0] != '[' && !g_str_has_prefix(path, "//anon");
}

static bool has_line_number(const struct heap *heap, const struct heap_location *location)
{
  for (uint32_t i = 0; i < location->line_count; i++)
    if (heap_lines(heap, location)[i].line > 0)
      return true;
  return false;
}

static bool has_name(const struct heap *heap, const struct heap_location *location)
{
  return !stand_in_is_all(heap, location);
}

static const struct heap_mapping *file_of(const struct heap *heap, const struct heap_location *location)
{
  if (location->mapping >= heap->mappings->len)
    return NULL;
  const struct heap_mapping *mapping = heap_mapping(heap, location->mapping);
  bool is_inside = location->address >= mapping->start && location->address < mapping->limit;
  return is_inside && is_file(mapping->path) ? mapping : NULL;
}

static uint64_t offset_of(const struct heap_mapping *mapping, const struct heap_location *location)
{
  return location->address - mapping->start + mapping->file_offset;
}

static bool is_wanted(const struct heap *heap, const struct heap_location *location,
                      const struct symbols_options *options)
{
  if (options->replaces)
    return true;
  return options->detail == SYMBOLS_LINES ? !has_line_number(heap, location) : !has_name(heap, location);
}

/* One file, and where the profile needs it: several mappings may be of it. */
struct file_request {
  const char *path, *build_id;
  uint64_t code_offset; /* where the first of its mappings starts */
  uint64_t start, limit;
  GArray *locations; /* uint32_t */
  GArray *offsets;   /* uint64_t, one for each */
};

static void free_request(gpointer data)
{
  struct file_request *request = data;
  g_array_free(request->locations, TRUE);
  g_array_free(request->offsets, TRUE);
  g_free(request);
}

static struct file_request *request_for(GPtrArray *requests, const struct heap_mapping *mapping)
{
  for (uint32_t i = 0; i < requests->len; i++) {
    struct file_request *request = g_ptr_array_index(requests, i);
    if (request->path == mapping->path && request->build_id == mapping->build_id)
      return request;
  }
  struct file_request *request = g_new(struct file_request, 1);
  *request = (struct file_request){.path = mapping->path,
                                   .build_id = mapping->build_id,
                                   .code_offset = mapping->file_offset,
                                   .start = mapping->start,
                                   .limit = mapping->limit,
                                   .locations = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
                                   .offsets = g_array_new(FALSE, FALSE, sizeof(uint64_t))};
  g_ptr_array_add(requests, request);
  return request;
}

static GPtrArray *requests_of(const struct heap *heap, const struct symbols_options *options)
{
  GPtrArray *requests = g_ptr_array_new_with_free_func(free_request);
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    const struct heap_mapping *mapping = file_of(heap, location);
    if (mapping == NULL || !is_wanted(heap, location, options))
      continue;
    struct file_request *request = request_for(requests, mapping);
    uint64_t offset = offset_of(mapping, location);
    request->code_offset = MIN(request->code_offset, mapping->file_offset);
    g_array_append_val(request->locations, i);
    g_array_append_val(request->offsets, offset);
  }
  return requests;
}

/* --- what is known --- */

/* What this process found out about a file: a list that is refreshed asks for little that is new. */
struct known_file {
  struct symbol_set *set;
  bool has_debug;
  char *problem;
  int64_t patience_us, rests_until_us; /* of who has little time: how long it may take next, and when */
};

static void free_known_file(gpointer data)
{
  struct known_file *file = data;
  symbol_set_free(file->set);
  g_free(file->problem);
  g_free(file);
}

static struct known_file *known_file(const struct file_request *request, const struct symbols_options *options)
{
  static GHashTable *files;
  if (files == NULL)
    files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_known_file);
  bool reads_cache = options->detail == SYMBOLS_LINES && !options->skips_cache;
  g_autofree char *key =
      g_strdup_printf("%d %d %u %s\n%s\n%s", options->detail, options->may_download, (unsigned)options->owner,
                      request->build_id, options->root != NULL ? options->root : "", request->path);
  struct known_file *file = g_hash_table_lookup(files, key);
  if (file == NULL) {
    file = g_new0(struct known_file, 1);
    file->set = reads_cache ? symbol_cache_load(request->build_id) : NULL;
    file->has_debug = file->set != NULL; /* else nothing is kept */
    if (file->set == NULL)
      file->set = symbol_set_new();
    g_hash_table_insert(files, g_steal_pointer(&key), file);
  }
  return file;
}

/* --- what is answered --- */

/* `functions`: index in the heap of each function of the set, HEAP_NONE as long as it is not there. */
static void set_lines(struct heap *heap, uint32_t location, const struct symbol_set *set,
                      const struct symbol_site *site, uint32_t *functions)
{
  g_autofree struct heap_line *lines = g_new(struct heap_line, site->line_count);
  for (uint32_t i = 0; i < site->line_count; i++) {
    lines[i] = g_array_index(set->lines, struct heap_line, site->first_line + i);
    uint32_t *function = &functions[lines[i].function];
    if (*function == HEAP_NONE)
      *function = heap_add_function(heap, g_array_index(set->functions, struct heap_function, lines[i].function));
    lines[i].function = *function;
  }
  heap_set_lines(heap, location, lines, site->line_count);
}

static void set_stand_in(struct heap *heap, uint32_t location, const char *name)
{
  struct heap_line line = {heap_add_function(heap, (struct heap_function){.name = name, .system_name = name}), 0};
  heap_set_lines(heap, location, &line, 1);
}

/* Of a function that nobody has a name for, in a location that has none. Returns whether that is news. */
static bool name_by_start(struct heap *heap, uint32_t index, uint64_t start)
{
  const struct heap_location *location = heap_location(heap, index);
  if (start == SYMBOL_NO_START || has_name(heap, location))
    return false;
  g_autofree char *name = stand_in_for_function(heap_mapping(heap, location->mapping)->path, start);
  bool is_known = location->line_count == 1 && heap_lines(heap, location)->function != HEAP_NONE &&
                  strcmp(heap_function(heap, heap_lines(heap, location)->function)->name, name) == 0;
  if (!is_known)
    set_stand_in(heap, index, name);
  return !is_known;
}

/* Returns how many locations got lines. */
static uint32_t answer(struct heap *heap, const struct file_request *request, const struct known_file *file)
{
  uint32_t found = 0, functions_known = file->set->functions->len;
  g_autofree uint32_t *functions = g_new(uint32_t, functions_known);
  for (uint32_t i = 0; i < functions_known; i++)
    functions[i] = HEAP_NONE;
  for (uint32_t i = 0; i < request->locations->len; i++) {
    uint32_t index = g_array_index(request->locations, uint32_t, i);
    const struct symbol_site *site = symbol_set_find(file->set, g_array_index(request->offsets, uint64_t, i));
    if (site != NULL && site->line_count == 0)
      found += name_by_start(heap, index, site->start);
    if (site == NULL || site->line_count == 0)
      continue;
    found++;
    set_lines(heap, index, file->set, site, functions);
    struct heap_location *location = heap_location(heap, index);
    struct heap_mapping *mapping = heap_mapping(heap, location->mapping);
    if (has_line_number(heap, location))
      mapping->has_filenames = mapping->has_line_numbers = mapping->has_inline_frames = true;
  }
  return found;
}

/* --- finding out --- */

static void show_progress(uint64_t done, uint64_t total, void *context)
{
  const char *path = context;
  if (path != NULL)
    say_progress(path, done, total);
}

static GArray *offsets_not_in(const struct symbol_set *set, const struct file_request *request)
{
  GArray *unknown = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  for (uint32_t i = 0; i < request->offsets->len; i++) {
    uint64_t offset = g_array_index(request->offsets, uint64_t, i);
    if (symbol_set_find(set, offset) == NULL)
      g_array_append_val(unknown, offset);
  }
  return unknown;
}

/* Only what is final, and from a file that nobody but us or root could have given that build id. */
static void keep(const char *build_id, const struct symbol_reply *reply)
{
  struct symbol_set *kept = symbol_cache_load(build_id);
  if (kept == NULL)
    kept = symbol_set_new();
  uint32_t count = kept->sites->len;
  if (reply->is_trusted && reply->has_debug)
    symbol_set_merge(kept, reply->set, SYMBOL_DEBUG);
  if (kept->sites->len > count)
    symbol_cache_store(build_id, kept);
  symbol_set_free(kept);
}

/* A file that takes long costs whoever has little time a tenth of it at most. */
static const int64_t PATIENCE_US = 2 * (int64_t)G_USEC_PER_SEC, PATIENCE_US_MAX = 64 * (int64_t)G_USEC_PER_SEC;
enum { REST_FACTOR = 10 };

static bool may_ask(const struct known_file *file, const struct symbols_options *options)
{
  int64_t now_us = g_get_monotonic_time();
  return options->until_us == 0 || (now_us < options->until_us && now_us >= file->rests_until_us);
}

static int64_t time_to_leave_us(struct known_file *file, const struct symbols_options *options)
{
  if (options->until_us == 0)
    return 0;
  file->patience_us = file->patience_us != 0 ? MIN(2 * file->patience_us, PATIENCE_US_MAX) : PATIENCE_US;
  return g_get_monotonic_time() + file->patience_us;
}

/* Returns whether it was left before it had answered. */
static bool ask(struct known_file *file, const struct file_request *request, const GArray *offsets,
                const struct symbols_options *options)
{
  g_autofree char *proc = g_strdup_printf("/proc/%d", options->pid);
  struct object_source source = {.root = options->root != NULL ? options->root : "",
                                 .path = request->path,
                                 .build_id = request->build_id,
                                 .code_offset = request->code_offset,
                                 .proc = options->pid != 0 ? proc : NULL,
                                 .start = request->start,
                                 .limit = request->limit,
                                 .owner = options->owner,
                                 .until_us = time_to_leave_us(file, options),
                                 .wants_debug = options->detail == SYMBOLS_LINES};
  g_autofree char *name = g_path_get_basename(request->path), *what = g_strconcat("symbols of ", name, NULL);
  struct symbol_reply reply;
  symbol_worker_run(&source, options->may_download && source.wants_debug, (const uint64_t *)(void *)offsets->data,
                    offsets->len, show_progress, options->shows_progress ? what : NULL, &reply);
  symbol_set_merge(file->set, reply.set, SYMBOL_TABLE);
  file->has_debug |= reply.has_debug;
  g_free(file->problem);
  file->problem = g_steal_pointer(&reply.problem);
  if (source.wants_debug && !options->skips_cache)
    keep(request->build_id, &reply);
  if (reply.is_late)
    file->rests_until_us = g_get_monotonic_time() + REST_FACTOR * file->patience_us;
  else
    file->patience_us = 0;
  bool is_late = reply.is_late;
  symbol_reply_clear(&reply);
  return is_late;
}

static void resolve(struct heap *heap, const struct file_request *request, const struct symbols_options *options,
                    struct symbols_result *result)
{
  struct known_file *file = known_file(request, options);
  g_autoptr(GArray) unknown = offsets_not_in(file->set, request);
  if (unknown->len > 0)
    result->is_cut |= !may_ask(file, options) || ask(file, request, unknown, options);
  result->found += answer(heap, request, file);
  if (file->problem != NULL)
    g_ptr_array_add(result->problems, g_strdup_printf("%s: %s", request->path, file->problem));
  else if (!file->has_debug && options->detail == SYMBOLS_LINES)
    g_ptr_array_add(result->without_debug, g_strdup(request->path));
}

/* --- names that stay --- */

/* Profiles have mangled names where nobody else put better ones. */
static bool demangle_line(struct heap *heap, struct heap_line *line)
{
  if (line->function == HEAP_NONE)
    return false;
  struct heap_function function = *heap_function(heap, line->function);
  if (function.name[0] != '_' || function.name != function.system_name)
    return false;
  g_autofree char *name = demangle(function.name);
  bool is_mangled = strcmp(name, function.name) != 0;
  function.name = name;
  if (is_mangled)
    line->function = heap_add_function(heap, function);
  return is_mangled;
}

static void demangle_locations(struct heap *heap)
{
  for (uint32_t i = 0; i < heap->lines->len; i++) {
    struct heap_line line = g_array_index(heap->lines, struct heap_line, i);
    if (demangle_line(heap, &line))
      g_array_index(heap->lines, struct heap_line, i) = line;
  }
}

/* What is left is called after its file. Then every place has a function, and readers that look names up themselves
 * leave it alone: they would open the file that is at the path now, without comparing build ids, or ask the server that
 * the profile came from. Returns how many places had none. */
static uint32_t name_the_rest(struct heap *heap)
{
  uint32_t count = 0;
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    if (location->mapping >= heap->mappings->len)
      continue;
    struct heap_mapping *mapping = heap_mapping(heap, location->mapping);
    mapping->has_functions = true;
    if (location->line_count > 0)
      continue;
    g_autofree char *name = stand_in_for_mapping(mapping->path);
    set_stand_in(heap, i, name);
    count++;
  }
  return count;
}

static void count_locations(const struct heap *heap, struct symbols_result *result)
{
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    if (file_of(heap, location) == NULL)
      continue;
    result->locations++;
    result->named += has_name(heap, location);
    result->with_lines += has_line_number(heap, location);
  }
}

void symbols_add(struct heap *heap, const struct symbols_options *options, struct symbols_result *result)
{
  *result = (struct symbols_result){.problems = g_ptr_array_new_with_free_func(g_free),
                                    .without_debug = g_ptr_array_new_with_free_func(g_free)};
  GPtrArray *requests = requests_of(heap, options);
  for (uint32_t i = 0; i < requests->len; i++)
    resolve(heap, g_ptr_array_index(requests, i), options, result);
  if (options->shows_progress)
    say_progress("symbols", 1, 1);
  g_ptr_array_free(requests, TRUE);
  demangle_locations(heap);
  result->found += name_the_rest(heap);
  count_locations(heap, result);
}

void symbols_result_clear(struct symbols_result *result)
{
  g_ptr_array_free(result->problems, TRUE);
  g_ptr_array_free(result->without_debug, TRUE);
  result->problems = result->without_debug = NULL;
}
