/* SPDX-License-Identifier: MIT */
#include "tools/symbols/type_names.h"

#include <dwarf.h>
#include <stdbool.h>
#include <string.h>

enum { DEPTH_MAX = 20, NESTING_MAX = 16 };

struct naming {
  GString *text;
  struct die_parents *parents;
  Dwarf_Die *function;
};

/* False: void, or damaged. */
static bool type_of(Dwarf_Die *die, Dwarf_Die *type)
{
  Dwarf_Attribute attribute;
  return dwarf_attr_integrate(die, DW_AT_type, &attribute) != NULL && dwarf_formref_die(&attribute, type) != NULL;
}

/* gcc's words for what symbols have letters for. */
static const char *base_name(const char *name)
{
  static const char *const words[][2] = {
      {"long int", "long"},           {"long unsigned int", "unsigned long"},
      {"long long int", "long long"}, {"long long unsigned int", "unsigned long long"},
      {"short int", "short"},         {"short unsigned int", "unsigned short"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
    if (strcmp(name, words[i][0]) == 0)
      return words[i][1];
  return name;
}

/* Which of the function's template arguments that nobody wrote it is, from 1; 0: none. gcc numbers them through the
 * unit. */
static unsigned unwritten_argument(struct naming *naming, const Dwarf_Die *type)
{
  Dwarf_Die child, argument, next;
  unsigned number = 0;
  bool has_more = dwarf_child(naming->function, &child) == 0;
  while (has_more) {
    const char *name = dwarf_tag(&child) == DW_TAG_template_type_parameter ? dwarf_diename(&child) : NULL;
    bool is_unwritten = name != NULL && g_str_has_prefix(name, "auto:");
    number += is_unwritten;
    if (is_unwritten && type_of(&child, &argument) && argument.addr == type->addr)
      return number;
    has_more = dwarf_siblingof(&child, &next) == 0 && next.addr > child.addr;
    child = next;
  }
  return 0;
}

static void append_qualified(struct naming *naming, Dwarf_Die *type)
{
  Dwarf_Die around[NESTING_MAX];
  int count = die_parents_get(naming->parents, type, around, NESTING_MAX);
  for (int i = count - 1; i >= 0; i--) {
    const char *name = dwarf_diename(&around[i]);
    g_string_append_printf(naming->text, "%s%s::", name != NULL ? name : "(anonymous namespace)",
                           dwarf_tag(&around[i]) == DW_TAG_subprogram ? "()" : "");
  }
  const char *name = dwarf_diename(type);
  g_string_append(naming->text, name != NULL ? name : "{unnamed}");
}

/* What stands behind the name of the type that it is made of. NULL: it is not made so. */
static const char *behind(int tag)
{
  switch (tag) {
  case DW_TAG_const_type: return " const";
  case DW_TAG_volatile_type: return " volatile";
  case DW_TAG_pointer_type: return "*";
  case DW_TAG_reference_type: return "&";
  case DW_TAG_rvalue_reference_type: return "&&";
  case DW_TAG_typedef: return "";
  default: return NULL;
  }
}

static void append_type(struct naming *naming, Dwarf_Die *type, unsigned depth)
{
  int tag = dwarf_tag(type);
  unsigned unwritten = unwritten_argument(naming, type);
  const char *suffix = behind(tag);
  Dwarf_Die inner;
  if (unwritten > 0) {
    g_string_append_printf(naming->text, "auto:%u", unwritten);
  } else if (suffix != NULL && depth < DEPTH_MAX) {
    if (type_of(type, &inner))
      append_type(naming, &inner, depth + 1);
    else
      g_string_append(naming->text, tag == DW_TAG_typedef ? "{unnamed}" : "void");
    g_string_append(naming->text, suffix);
  } else if (tag == DW_TAG_base_type) {
    const char *name = dwarf_diename(type);
    g_string_append(naming->text, name != NULL ? base_name(name) : "{unnamed}");
  } else if (tag == DW_TAG_subroutine_type) {
    g_string_append(naming->text, "()");
  } else {
    append_qualified(naming, type);
  }
}

void type_names_append(GString *text, struct die_parents *parents, Dwarf_Die *parameter, Dwarf_Die *function)
{
  struct naming naming = {text, parents, function};
  Dwarf_Die type, inner;
  if (!type_of(parameter, &type)) {
    g_string_append(text, "void");
    return;
  }
  /* A parameter that is constant itself has the same symbol as one that is not. */
  if (dwarf_tag(&type) == DW_TAG_const_type && type_of(&type, &inner))
    type = inner;
  append_type(&naming, &type, 0);
}
