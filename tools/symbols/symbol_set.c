/* SPDX-License-Identifier: MIT */
#include "tools/symbols/symbol_set.h"

#include "tools/heap/intern.h"

/* Functions: name, system name, file, start line. Sites: offset, start, origin, lines of function and number. */
#define PACKED_TYPE "(a(sssx)a(ttya(ux)))"

struct symbol_set *symbol_set_new(void)
{
  struct symbol_set *set = g_new0(struct symbol_set, 1);
  set->functions = g_array_new(FALSE, FALSE, sizeof(struct heap_function));
  set->lines = g_array_new(FALSE, FALSE, sizeof(struct heap_line));
  set->sites = g_array_new(FALSE, FALSE, sizeof(struct symbol_site));
  set->site_index = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  set->function_index = intern_index_new();
  set->strings = g_string_chunk_new(64 << 10);
  return set;
}

void symbol_set_free(struct symbol_set *set)
{
  if (set == NULL)
    return;
  g_array_free(set->functions, TRUE);
  g_array_free(set->lines, TRUE);
  g_array_free(set->sites, TRUE);
  g_hash_table_destroy(set->site_index);
  g_hash_table_destroy(set->function_index);
  g_string_chunk_free(set->strings);
  g_free(set);
}

uint32_t symbol_set_function(struct symbol_set *set, struct heap_function function)
{
  return intern_function(set->function_index, set->functions, set->strings, function);
}

/* The site's lines are those given. */
static void add_site(struct symbol_set *set, struct symbol_site site, const struct heap_line *lines, uint32_t count)
{
  if (g_hash_table_contains(set->site_index, &site.offset))
    return;
  g_hash_table_insert(set->site_index, g_memdup2(&site.offset, sizeof site.offset), GUINT_TO_POINTER(set->sites->len));
  site.first_line = set->lines->len;
  site.line_count = count;
  g_array_append_val(set->sites, site);
  if (count > 0)
    g_array_append_vals(set->lines, lines, count);
}

void symbol_set_add(struct symbol_set *set, uint64_t offset, enum symbol_origin origin, const struct heap_line *lines,
                    uint32_t count)
{
  add_site(set, (struct symbol_site){.offset = offset, .start = SYMBOL_NO_START, .origin = origin}, lines, count);
}

void symbol_set_add_nameless(struct symbol_set *set, uint64_t offset, enum symbol_origin origin, uint64_t start)
{
  add_site(set, (struct symbol_site){.offset = offset, .start = start, .origin = origin}, NULL, 0);
}

const struct symbol_site *symbol_set_find(const struct symbol_set *set, uint64_t offset)
{
  gpointer found;
  if (!g_hash_table_lookup_extended(set->site_index, &offset, NULL, &found))
    return NULL;
  return &g_array_index(set->sites, struct symbol_site, GPOINTER_TO_UINT(found));
}

static void copy_site(struct symbol_set *set, const struct symbol_set *other, const struct symbol_site *site)
{
  g_autoptr(GArray) lines = g_array_new(FALSE, FALSE, sizeof(struct heap_line));
  for (uint32_t i = 0; i < site->line_count; i++) {
    struct heap_line line = g_array_index(other->lines, struct heap_line, site->first_line + i);
    line.function = symbol_set_function(set, g_array_index(other->functions, struct heap_function, line.function));
    g_array_append_val(lines, line);
  }
  add_site(set, *site, (const struct heap_line *)(void *)lines->data, lines->len);
}

void symbol_set_merge(struct symbol_set *set, const struct symbol_set *other, enum symbol_origin least)
{
  for (uint32_t i = 0; i < other->sites->len; i++) {
    const struct symbol_site *site = &g_array_index(other->sites, struct symbol_site, i);
    if (site->origin >= least && symbol_set_find(set, site->offset) == NULL)
      copy_site(set, other, site);
  }
}

GBytes *symbol_set_pack(const struct symbol_set *set)
{
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE(PACKED_TYPE));
  g_variant_builder_open(&builder, G_VARIANT_TYPE("a(sssx)"));
  for (uint32_t i = 0; i < set->functions->len; i++) {
    const struct heap_function *function = &g_array_index(set->functions, struct heap_function, i);
    g_variant_builder_add(&builder, "(sssx)", function->name, function->system_name, function->file,
                          function->start_line);
  }
  g_variant_builder_close(&builder);
  g_variant_builder_open(&builder, G_VARIANT_TYPE("a(ttya(ux))"));
  for (uint32_t i = 0; i < set->sites->len; i++) {
    const struct symbol_site *site = &g_array_index(set->sites, struct symbol_site, i);
    GVariantBuilder lines;
    g_variant_builder_init(&lines, G_VARIANT_TYPE("a(ux)"));
    for (uint32_t k = 0; k < site->line_count; k++) {
      const struct heap_line *line = &g_array_index(set->lines, struct heap_line, site->first_line + k);
      g_variant_builder_add(&lines, "(ux)", line->function, line->line);
    }
    g_variant_builder_add(&builder, "(ttya(ux))", site->offset, site->start, (guchar)site->origin, &lines);
  }
  g_variant_builder_close(&builder);
  g_autoptr(GVariant) packed = g_variant_ref_sink(g_variant_builder_end(&builder));
  return g_variant_get_data_as_bytes(packed);
}

/* --- back --- */

static void unpack_functions(struct symbol_set *set, GVariant *functions)
{
  GVariantIter iter;
  g_variant_iter_init(&iter, functions);
  struct heap_function function;
  while (g_variant_iter_next(&iter, "(&s&s&sx)", &function.name, &function.system_name, &function.file,
                             &function.start_line)) {
    function = intern_texts(set->strings, function);
    g_array_append_val(set->functions, function);
  }
}

/* Appends to `lines`; false if one names a function that is not there. */
static bool unpack_lines(const struct symbol_set *set, GVariantIter *packed, GArray *lines)
{
  g_array_set_size(lines, 0);
  struct heap_line line;
  while (g_variant_iter_next(packed, "(ux)", &line.function, &line.line)) {
    if (line.function >= set->functions->len)
      return false;
    g_array_append_val(lines, line);
  }
  return true;
}

static bool unpack_sites(struct symbol_set *set, GVariant *sites)
{
  g_autoptr(GArray) lines = g_array_new(FALSE, FALSE, sizeof(struct heap_line));
  GVariantIter iter;
  g_variant_iter_init(&iter, sites);
  struct symbol_site site = {.offset = 0};
  guchar origin;
  GVariantIter *packed;
  bool is_sound = true;
  while (is_sound && g_variant_iter_next(&iter, "(ttya(ux))", &site.offset, &site.start, &origin, &packed)) {
    is_sound = origin <= SYMBOL_DEBUG && unpack_lines(set, packed, lines);
    g_variant_iter_free(packed);
    site.origin = origin;
    if (is_sound)
      add_site(set, site, (const struct heap_line *)(void *)lines->data, lines->len);
  }
  return is_sound;
}

struct symbol_set *symbol_set_unpack(GBytes *bytes)
{
  g_autoptr(GVariant) packed = g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE(PACKED_TYPE), bytes, FALSE));
  if (!g_variant_is_normal_form(packed))
    return NULL;
  g_autoptr(GVariant) functions = g_variant_get_child_value(packed, 0), sites = g_variant_get_child_value(packed, 1);
  struct symbol_set *set = symbol_set_new();
  unpack_functions(set, functions);
  if (unpack_sites(set, sites))
    return set;
  symbol_set_free(set);
  return NULL;
}
