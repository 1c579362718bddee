/* SPDX-License-Identifier: MIT */
#include "tools/symbols/function_names.h"

#include "tools/symbols/closures.h"
#include "tools/symbols/demangle.h"
#include "tools/symbols/die_parents.h"

#include <dwarf.h>
#include <stdbool.h>
#include <string.h>

enum { REFERENCES_MAX = 16, NESTING_MAX = 16, QUALIFIED_BYTES_MAX = 64 << 10 };

struct function_names {
  GHashTable *by_die; /* address of the entry -> struct function_name */
  GStringChunk *strings;
  struct die_parents *parents;
  struct closures *closures;
};

struct function_names *function_names_new(void)
{
  struct function_names *names = g_new(struct function_names, 1);
  names->by_die = g_hash_table_new_full(NULL, NULL, NULL, g_free);
  names->strings = g_string_chunk_new(64 << 10);
  names->parents = die_parents_new();
  names->closures = closures_new(names->parents);
  return names;
}

void function_names_free(struct function_names *names)
{
  g_hash_table_destroy(names->by_die);
  g_string_chunk_free(names->strings);
  closures_free(names->closures);
  die_parents_free(names->parents);
  g_free(names);
}

/* NULL if it has none. */
static const char *own_name(Dwarf_Die *die)
{
  const char *name = dwarf_diename(die);
  return name != NULL && name[0] != '\0' ? name : NULL;
}

static const char *linkage_name(Dwarf_Die *die)
{
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) == NULL &&
      dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute) == NULL)
    return NULL;
  return dwarf_formstring(&attribute);
}

/* Languages in which a name is complete. */
static bool has_plain_names(Dwarf_Die *die)
{
  Dwarf_Die unit;
  if (dwarf_diecu(die, &unit, NULL, NULL) == NULL)
    return true;
  switch (dwarf_srclang(&unit)) {
  case DW_LANG_C_plus_plus:
  case DW_LANG_C_plus_plus_03:
  case DW_LANG_C_plus_plus_11:
  case DW_LANG_C_plus_plus_14:
  case DW_LANG_ObjC_plus_plus:
  case DW_LANG_Rust:
  case DW_LANG_D: return false;
  default: return true;
  }
}

/* The entry that declares what `die` is an instance or definition of: it stands where the thing belongs. */
static Dwarf_Die declaration_of(Dwarf_Die die)
{
  for (int i = 0; i < REFERENCES_MAX; i++) {
    Dwarf_Attribute attribute;
    Dwarf_Die referred;
    if ((dwarf_attr(&die, DW_AT_abstract_origin, &attribute) == NULL &&
         dwarf_attr(&die, DW_AT_specification, &attribute) == NULL) ||
        dwarf_formref_die(&attribute, &referred) == NULL)
      break;
    die = referred;
  }
  return die;
}

static const char *unnamed(int tag)
{
  return tag == DW_TAG_namespace ? "(anonymous namespace)" : "{unnamed}";
}

static void append_part(GString *text, const char *name, int tag)
{
  if (text->len > 0)
    g_string_append(text, "::");
  g_string_append(text, name != NULL ? name : unnamed(tag));
}

/* main and C functions have no parameters in symbols. */
static bool has_parameters(Dwarf_Die *function)
{
  Dwarf_Attribute attribute;
  return linkage_name(function) != NULL || dwarf_attr_integrate(function, DW_AT_external, &attribute) == NULL;
}

/* A function's own name, behind those of namespaces, classes and functions around it. */
static void append_qualified(struct function_names *names, GString *text, Dwarf_Die *die, int nesting)
{
  Dwarf_Die declaration = declaration_of(*die), around[NESTING_MAX];
  int count = die_parents_get(names->parents, &declaration, around, NESTING_MAX);
  for (int i = count - 1; i >= 0 && nesting < NESTING_MAX; i--) {
    int tag = dwarf_tag(&around[i]);
    if (tag != DW_TAG_subprogram) {
      const char *closure = closures_name(names->closures, &around[i]);
      append_part(text, closure != NULL ? closure : own_name(&around[i]), tag);
      continue;
    }
    g_string_truncate(text, 0);
    append_qualified(names, text, &around[i], nesting + 1);
    if (has_parameters(&around[i]))
      g_string_append(text, "()");
  }
  append_part(text, own_name(&declaration), DW_TAG_subprogram);
}

static char *qualified_name(struct function_names *names, Dwarf_Die *die)
{
  g_autoptr(GString) text = g_string_new(NULL);
  append_qualified(names, text, die, 0);
  if (text->len <= QUALIFIED_BYTES_MAX)
    demangle_simplify(text->str);
  return g_strdup(text->str);
}

static bool is_clone_suffix(const char *text)
{
  static const char *const words[] = {"clone", "cold",       "constprop", "hot",  "isra",
                                      "llvm",  "localalias", "lto_priv",  "part", "unlikely"};
  for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
    if (strcmp(text, words[i]) == 0)
      return true;
  return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* Without what compilers append to parts and variants of a function: ".cold", ".part.0". */
static char *without_clone_suffixes(const char *symbol)
{
  char *base = g_strdup(symbol), *dot;
  while ((dot = strrchr(base, '.')) != NULL && dot > base && is_clone_suffix(dot + 1))
    *dot = '\0';
  return base;
}

/* NULL if neither is mangled. */
static char *mangled_name(Dwarf_Die *die, const char *symbol)
{
  const char *linkage = linkage_name(die);
  if (linkage == NULL)
    linkage = symbol;
  if (linkage == NULL || linkage[0] != '_')
    return NULL;
  g_autofree char *base = without_clone_suffixes(linkage), *demangled = demangle(base);
  return strcmp(base, demangled) != 0 ? g_steal_pointer(&base) : NULL;
}

static struct function_name make_name(struct function_names *names, Dwarf_Die *die,
                                      const struct function_symbol *symbol)
{
  g_autofree char *name = NULL, *system_name = mangled_name(die, symbol->name);
  const char *plain = own_name(die);
  bool is_plain = has_plain_names(die) || linkage_name(die) != NULL || g_strcmp0(plain, symbol->name) == 0;
  if (system_name != NULL) {
    name = demangle(system_name);
  } else if (plain == NULL || (is_plain && symbol->rank >= FUNCTION_SYMBOL_WEAK)) {
    name = symbol->name != NULL ? without_clone_suffixes(symbol->name) : g_strdup("");
  } else {
    name = is_plain ? g_strdup(plain) : qualified_name(names, die);
    system_name = g_strdup(plain);
  }
  int line = 0;
  if (dwarf_decl_line(die, &line) != 0)
    line = 0;
  return (struct function_name){g_string_chunk_insert_const(names->strings, name),
                                g_string_chunk_insert_const(names->strings, system_name != NULL ? system_name : name),
                                line};
}

const struct function_name *function_names_get(struct function_names *names, Dwarf_Die *die,
                                               const struct function_symbol *symbol)
{
  static const struct function_symbol none = {.name = NULL};
  Dwarf_Attribute attribute;
  Dwarf_Die origin = *die;
  /* All calls inlined from one function share its entry. */
  if (dwarf_tag(die) == DW_TAG_inlined_subroutine && dwarf_attr(die, DW_AT_abstract_origin, &attribute) != NULL)
    dwarf_formref_die(&attribute, &origin);
  struct function_name *name = g_hash_table_lookup(names->by_die, origin.addr);
  if (name == NULL) {
    struct function_name made = make_name(names, &origin, symbol != NULL ? symbol : &none);
    name = g_memdup2(&made, sizeof made);
    g_hash_table_insert(names->by_die, origin.addr, name);
  }
  return name;
}
