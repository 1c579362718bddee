/* SPDX-License-Identifier: MIT */
#include "tools/symbols/closures.h"

#include "tools/symbols/type_names.h"

#include <dwarf.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>

enum { DEPTH_MAX = 100 };

struct closures {
  GHashTable *names;  /* address of a type's entry -> text */
  GHashTable *walked; /* addresses of the entries whose lambdas have names */
  GStringChunk *strings;
  struct die_parents *parents;
};

/* One lambda of those in the same scope. */
struct closure {
  const void *type;
  const char *parameters;
  int line, column;
};

struct closures *closures_new(struct die_parents *parents)
{
  struct closures *closures = g_new(struct closures, 1);
  closures->names = g_hash_table_new(NULL, NULL);
  closures->walked = g_hash_table_new(NULL, NULL);
  closures->strings = g_string_chunk_new(4096);
  closures->parents = parents;
  return closures;
}

void closures_free(struct closures *closures)
{
  g_hash_table_destroy(closures->names);
  g_hash_table_destroy(closures->walked);
  g_string_chunk_free(closures->strings);
  g_free(closures);
}

/* Goes to the next entry beside `die`: one that leads back never ends. */
static bool go_on(Dwarf_Die *die)
{
  Dwarf_Die next;
  if (dwarf_siblingof(die, &next) != 0 || next.addr <= die->addr)
    return false;
  *die = next;
  return true;
}

static bool is_flagged(Dwarf_Die *die, unsigned flag)
{
  Dwarf_Attribute attribute;
  bool is_set = false;
  return dwarf_attr(die, flag, &attribute) != NULL && dwarf_formflag(&attribute, &is_set) == 0 && is_set;
}

static bool is_class(int tag)
{
  return tag == DW_TAG_structure_type || tag == DW_TAG_class_type;
}

/* Its operator(), which the compiler has made. Old ones name the class "<lambda(int)>". */
static bool find_call(Dwarf_Die *type, Dwarf_Die *call)
{
  const char *own = dwarf_diename(type);
  if (!is_class(dwarf_tag(type)) || (own != NULL && own[0] != '\0' && !g_str_has_prefix(own, "<lambda")) ||
      dwarf_child(type, call) != 0)
    return false;
  do {
    const char *name = dwarf_tag(call) == DW_TAG_subprogram ? dwarf_diename(call) : NULL;
    if (name != NULL && g_str_has_prefix(name, "operator()") && is_flagged(call, DW_AT_artificial))
      return true;
  } while (go_on(call));
  return false;
}

static const char *parameters_of(struct closures *closures, Dwarf_Die *call)
{
  g_autoptr(GString) text = g_string_new(NULL);
  Dwarf_Die parameter;
  bool has_more = dwarf_child(call, &parameter) == 0;
  for (; has_more; has_more = go_on(&parameter)) {
    int tag = dwarf_tag(&parameter);
    bool is_typed = tag == DW_TAG_formal_parameter && !is_flagged(&parameter, DW_AT_artificial);
    if (!is_typed && tag != DW_TAG_unspecified_parameters)
      continue;
    if (text->len > 0)
      g_string_append(text, ", ");
    if (is_typed)
      type_names_append(text, closures->parents, &parameter, call);
    else
      g_string_append(text, "...");
  }
  return g_string_chunk_insert_const(closures->strings, text->str);
}

/* Those below `scope`, but not in other scopes in there. */
static void collect(struct closures *closures, GArray *found, Dwarf_Die *scope, unsigned depth)
{
  Dwarf_Die die, call;
  if (depth >= DEPTH_MAX || dwarf_child(scope, &die) != 0)
    return;
  do {
    struct closure closure = {.type = die.addr};
    if (dwarf_tag(&die) == DW_TAG_lexical_block) {
      collect(closures, found, &die, depth + 1);
    } else if (find_call(&die, &call)) {
      closure.parameters = parameters_of(closures, &call);
      (void)dwarf_decl_line(&die, &closure.line);
      (void)dwarf_decl_column(&die, &closure.column);
      g_array_append_val(found, closure);
    }
  } while (go_on(&die));
}

static gint compare(gconstpointer a, gconstpointer b)
{
  const struct closure *one = a, *other = b;
  if (one->line != other->line)
    return one->line < other->line ? -1 : 1;
  if (one->column != other->column)
    return one->column < other->column ? -1 : 1;
  return (one->type > other->type) - (one->type < other->type);
}

static void name_all(struct closures *closures, Dwarf_Die *scope)
{
  g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(struct closure));
  collect(closures, found, scope, 0);
  g_array_sort(found, compare);
  for (guint i = 0; i < found->len; i++) {
    const struct closure *closure = &g_array_index(found, struct closure, i);
    g_autofree char *name = g_strdup_printf("{lambda(%s)#%u}", closure->parameters, i + 1);
    g_hash_table_insert(closures->names, (gpointer)(uintptr_t)closure->type,
                        g_string_chunk_insert_const(closures->strings, name));
  }
}

const char *closures_name(struct closures *closures, Dwarf_Die *type)
{
  Dwarf_Die scope, call;
  if (!find_call(type, &call))
    return NULL;
  if (die_parents_get(closures->parents, type, &scope, 1) == 0 && dwarf_diecu(type, &scope, NULL, NULL) == NULL)
    return NULL;
  if (g_hash_table_add(closures->walked, scope.addr))
    name_all(closures, &scope);
  return g_hash_table_lookup(closures->names, type->addr);
}
