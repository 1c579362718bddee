/* SPDX-License-Identifier: MIT */
#include "tools/symbols/object_symbols.h"

#include "tools/symbols/demangle.h"
#include "tools/symbols/function_names.h"
#include "tools/symbols/function_starts.h"
#include "tools/symbols/function_symbols.h"
#include "tools/symbols/sorted.h"
#include "tools/symbols/unit_ranges.h"
#include "tools/symbols/unit_scopes.h"

#include <dwarf.h>
#include <stdlib.h>

enum { FRAMES_MAX = 256 }; /* of one address */

struct lookup {
  struct object_file *object;
  uint64_t *addresses, *offsets; /* the same places, sorted by address */
  uint32_t count;
  uint64_t to_elf; /* what to add to an address of the debug information */
  struct function_symbol *symbols;
  GStringChunk *strings;
  struct function_names *names;
  struct symbol_set *set;
  GHashTable *functions; /* struct function_key -> index in the set */
  GArray *lines;         /* struct heap_line, of the address at hand */
  uint32_t units, units_without_tree;
  const char *missing; /* file of one of these */
};

/* Where an instruction comes from. */
struct place {
  const char *file;
  int line;
};

/* What the set would find by comparing long texts. */
struct function_key {
  const struct function_name *name;
  const char *file;
};

static guint hash_key(gconstpointer data)
{
  const struct function_key *key = data;
  return g_direct_hash(key->name) * 31 + g_direct_hash(key->file);
}

static gboolean is_same_key(gconstpointer a, gconstpointer b)
{
  const struct function_key *one = a, *other = b;
  return one->name == other->name && one->file == other->file;
}

static uint32_t function_of(struct lookup *lookup, const struct function_name *name, const char *file)
{
  struct function_key key = {name, file};
  gpointer found;
  if (g_hash_table_lookup_extended(lookup->functions, &key, NULL, &found))
    return GPOINTER_TO_UINT(found);
  uint32_t function = symbol_set_function(lookup->set, (struct heap_function){.name = name->name,
                                                                              .system_name = name->system_name,
                                                                              .file = file,
                                                                              .start_line = name->start_line});
  g_hash_table_insert(lookup->functions, g_memdup2(&key, sizeof key), GUINT_TO_POINTER(function));
  return function;
}

static void add_line(struct lookup *lookup, const struct function_name *name, struct place place)
{
  if (name->name[0] == '\0')
    return;
  struct heap_line line = {function_of(lookup, name, place.file), place.line};
  g_array_append_val(lookup->lines, line);
}

static void add_symbol_line(struct lookup *lookup, const char *symbol, struct place place)
{
  g_autofree char *name = demangle(symbol);
  struct heap_function function = {.name = name, .system_name = symbol, .file = place.file};
  struct heap_line line = {symbol_set_function(lookup->set, function), place.line};
  g_array_append_val(lookup->lines, line);
}

/* Paths in debug information are relative to where the compiler ran. */
static const char *absolute(struct lookup *lookup, Dwarf_Die *unit, const char *file)
{
  if (file == NULL || file[0] == '/' || file[0] == '\0')
    return file;
  Dwarf_Attribute attribute;
  const char *folder = dwarf_formstring(dwarf_attr_integrate(unit, DW_AT_comp_dir, &attribute));
  if (folder == NULL)
    return file;
  g_autofree char *path = g_build_filename(folder, file, NULL);
  return g_string_chunk_insert_const(lookup->strings, path);
}

static struct place place_of_address(struct lookup *lookup, Dwarf_Die *unit, uint64_t address)
{
  struct place place = {NULL, 0};
  Dwarf_Line *line = dwarf_getsrc_die(unit, address);
  if (line == NULL || dwarf_lineno(line, &place.line) != 0)
    return place;
  place.file = absolute(lookup, unit, dwarf_linesrc(line, NULL, NULL));
  return place;
}

static Dwarf_Word number_attribute(Dwarf_Die *die, unsigned name)
{
  Dwarf_Attribute attribute;
  Dwarf_Word number;
  return dwarf_formudata(dwarf_attr(die, name, &attribute), &number) == 0 ? number : 0;
}

static struct place place_of_call(struct lookup *lookup, Dwarf_Die *call)
{
  Dwarf_Die unit;
  Dwarf_Files *files;
  size_t count;
  Dwarf_Word line = number_attribute(call, DW_AT_call_line), file = number_attribute(call, DW_AT_call_file);
  struct place place = {NULL, line <= INT_MAX ? (int)line : 0};
  if (dwarf_diecu(call, &unit, NULL, NULL) != NULL && dwarf_getsrcfiles(&unit, &files, &count) == 0 && file < count)
    place.file = absolute(lookup, &unit, dwarf_filesrc(files, file, NULL, NULL));
  return place;
}

static void resolve_address(struct lookup *lookup, Dwarf_Die *unit, const struct unit_scopes *scopes, int32_t scope,
                            uint64_t address, const struct function_symbol *symbol)
{
  struct place place = place_of_address(lookup, unit, address);
  g_array_set_size(lookup->lines, 0);
  for (unsigned frames = 0; scope != UNIT_SCOPE_NONE && frames < FRAMES_MAX; frames++) {
    struct unit_scope *at = &g_array_index(scopes->scopes, struct unit_scope, scope);
    add_line(lookup, function_names_get(lookup->names, &at->die, at->is_inlined ? NULL : symbol), place);
    if (!at->is_inlined)
      break;
    place = place_of_call(lookup, &at->die);
    scope = at->parent;
  }
  if (lookup->lines->len == 0 && symbol->name != NULL && place.line > 0)
    add_symbol_line(lookup, symbol->name, place);
}

static void add_site(struct lookup *lookup, uint32_t index, enum symbol_origin origin)
{
  symbol_set_add(lookup->set, lookup->offsets[index], origin, (const struct heap_line *)(void *)lookup->lines->data,
                 lookup->lines->len);
}

/* The unit itself, or `split`, what it is the skeleton of. NULL: that is in a file that is not there. */
static Dwarf_Die *tree_of(struct lookup *lookup, Dwarf_Die *unit, Dwarf_Die *split)
{
  uint8_t type = 0;
  *split = (Dwarf_Die){.addr = NULL};
  dwarf_cu_info(unit->cu, NULL, &type, NULL, split, NULL, NULL, NULL);
  lookup->units++;
  if (type != DW_UT_skeleton)
    return unit;
  if (dwarf_tag(split) == DW_TAG_compile_unit)
    return split;
  Dwarf_Attribute attribute;
  if (dwarf_attr(unit, DW_AT_dwo_name, &attribute) != NULL || dwarf_attr(unit, DW_AT_GNU_dwo_name, &attribute) != NULL)
    lookup->missing = dwarf_formstring(&attribute);
  lookup->units_without_tree++;
  return NULL;
}

static void resolve_unit(struct lookup *lookup, struct unit *unit)
{
  Dwarf_Die split, *tree = tree_of(lookup, &unit->die, &split);
  const uint64_t *addresses = (const uint64_t *)(void *)unit->addresses->data;
  uint32_t count = unit->addresses->len;
  struct unit_scopes *scopes = tree != NULL ? unit_scopes_find(tree, addresses, count) : NULL;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t k = sorted_lower_bound(lookup->addresses, lookup->count, addresses[i] + lookup->to_elf);
    int32_t scope = scopes != NULL ? scopes->innermost[i] : UNIT_SCOPE_NONE;
    resolve_address(lookup, &unit->die, scopes, scope, addresses[i], &lookup->symbols[k]);
    if (lookup->lines->len > 0)
      add_site(lookup, k, tree != NULL ? SYMBOL_DEBUG : SYMBOL_TABLE);
  }
  if (scopes != NULL)
    unit_scopes_free(scopes);
}

static void resolve_units(struct lookup *lookup, object_symbols_progress progress, void *context)
{
  lookup->to_elf = lookup->object->dwarf_bias - lookup->object->elf_bias;
  g_autofree uint64_t *addresses = g_new(uint64_t, lookup->count);
  for (uint32_t i = 0; i < lookup->count; i++)
    addresses[i] = lookup->addresses[i] - lookup->to_elf;
  GArray *units = unit_ranges_find(lookup->object->dwarf, addresses, lookup->count);
  for (uint32_t i = 0; i < units->len; i++) {
    progress(i, units->len, context);
    resolve_unit(lookup, &g_array_index(units, struct unit, i));
  }
  unit_ranges_free(units);
}

/* By symbols. Returns how many have none. */
static uint32_t resolve_rest(struct lookup *lookup, enum symbol_origin origin)
{
  uint32_t nameless = 0;
  for (uint32_t i = 0; i < lookup->count; i++) {
    const char *symbol = lookup->symbols[i].name;
    if (symbol_set_find(lookup->set, lookup->offsets[i]) != NULL)
      continue;
    nameless += symbol == NULL;
    if (symbol == NULL)
      continue;
    g_array_set_size(lookup->lines, 0);
    add_symbol_line(lookup, symbol, (struct place){NULL, 0});
    add_site(lookup, i, origin);
  }
  return nameless;
}

static void add_starts(struct lookup *lookup, enum symbol_origin origin)
{
  g_autofree uint64_t *starts = function_starts_find(lookup->object, lookup->addresses, lookup->count);
  for (uint32_t i = 0; i < lookup->count; i++) /* what has a name keeps it */
    symbol_set_add_nameless(lookup->set, lookup->offsets[i], origin, starts[i]);
}

struct place_in_file {
  uint64_t address, offset;
};

static int compare_places(const void *a, const void *b)
{
  const struct place_in_file *one = a, *other = b;
  return (one->address > other->address) - (one->address < other->address);
}

/* Offsets that are not mapped are left out. */
static void sort_by_address(struct lookup *lookup, const uint64_t *offsets, uint32_t count)
{
  g_autofree struct place_in_file *places = g_new(struct place_in_file, count);
  for (uint32_t i = 0; i < count; i++) {
    places[lookup->count].offset = offsets[i];
    lookup->count += object_file_address(lookup->object, offsets[i], &places[lookup->count].address);
  }
  qsort(places, lookup->count, sizeof *places, compare_places);
  lookup->addresses = g_new(uint64_t, lookup->count);
  lookup->offsets = g_new(uint64_t, lookup->count);
  for (uint32_t i = 0; i < lookup->count; i++) {
    lookup->addresses[i] = places[i].address;
    lookup->offsets[i] = places[i].offset;
  }
}

static char *describe_missing(const struct lookup *lookup)
{
  if (lookup->units_without_tree == 0)
    return NULL;
  return g_strdup_printf("%s is missing, with the inlined functions of %u of %u split units",
                         lookup->missing != NULL ? lookup->missing : "a .dwo file", lookup->units_without_tree,
                         lookup->units);
}

char *object_symbols_find(struct object_file *object, const uint64_t *offsets, uint32_t count, struct symbol_set *set,
                          object_symbols_progress progress, void *context)
{
  struct lookup lookup = {.object = object, .set = set};
  sort_by_address(&lookup, offsets, count);
  lookup.strings = g_string_chunk_new(64 << 10);
  lookup.symbols = function_symbols_find(object, lookup.addresses, lookup.count, lookup.strings);
  lookup.names = function_names_new();
  lookup.functions = g_hash_table_new_full(hash_key, is_same_key, g_free, NULL);
  lookup.lines = g_array_new(FALSE, FALSE, sizeof(struct heap_line));
  if (object->dwarf != NULL)
    resolve_units(&lookup, progress, context);
  bool is_all_there = object->dwarf != NULL && lookup.units_without_tree == 0;
  enum symbol_origin origin = is_all_there ? SYMBOL_DEBUG : SYMBOL_TABLE;
  if (resolve_rest(&lookup, origin) > 0)
    add_starts(&lookup, origin);
  char *missing = describe_missing(&lookup);
  g_array_free(lookup.lines, TRUE);
  g_hash_table_destroy(lookup.functions);
  function_names_free(lookup.names);
  g_free(lookup.symbols);
  g_string_chunk_free(lookup.strings);
  g_free(lookup.addresses);
  g_free(lookup.offsets);
  return missing;
}
