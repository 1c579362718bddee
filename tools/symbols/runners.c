/* SPDX-License-Identifier: MIT */
#include "tools/symbols/runners.h"

#include <stdbool.h>
#include <string.h>

enum {
  STEPS_MAX = 2000, /* parts refer to each other: a short name may stand for an endless one */
  DEPTH_MAX = 100,
  TYPES_MAX = 3,
};

struct search {
  GString *(*print)(struct demangle_component *type);
  GPtrArray *types;
  unsigned steps_left;
};

/* The outermost name: "std" of std::thread::_State_impl. NULL: it has none. */
static const struct demangle_component *outermost(const struct demangle_component *part)
{
  for (int i = 0; part != NULL && i < DEPTH_MAX; i++) {
    switch (part->type) {
    case DEMANGLE_COMPONENT_QUAL_NAME:
    case DEMANGLE_COMPONENT_LOCAL_NAME:
    case DEMANGLE_COMPONENT_TYPED_NAME:
    case DEMANGLE_COMPONENT_TAGGED_NAME:
    case DEMANGLE_COMPONENT_TEMPLATE: part = part->u.s_binary.left; break;
    case DEMANGLE_COMPONENT_NAME:
    case DEMANGLE_COMPONENT_SUB_STD: return part;
    default: return NULL;
    }
  }
  return NULL;
}

static bool is_standard(const struct demangle_component *name)
{
  static const char *const spaces[] = {"std", "__gnu_cxx"};
  if (name->type == DEMANGLE_COMPONENT_SUB_STD)
    return true;
  for (size_t i = 0; i < G_N_ELEMENTS(spaces); i++)
    if ((size_t)name->u.s_name.len == strlen(spaces[i]) && strncmp(name->u.s_name.s, spaces[i], strlen(spaces[i])) == 0)
      return true;
  return false;
}

static void take(struct search *search, struct demangle_component *type)
{
  GString *text = search->types->len < TYPES_MAX ? search->print(type) : NULL;
  if (text == NULL)
    return;
  if (g_ptr_array_find_with_equal_func(search->types, text->str, g_str_equal, NULL))
    g_string_free(text, TRUE);
  else
    g_ptr_array_add(search->types, g_string_free(text, FALSE));
}

static bool is_made_of_another(enum demangle_component_type type)
{
  switch (type) {
  case DEMANGLE_COMPONENT_POINTER:
  case DEMANGLE_COMPONENT_REFERENCE:
  case DEMANGLE_COMPONENT_RVALUE_REFERENCE:
  case DEMANGLE_COMPONENT_CONST:
  case DEMANGLE_COMPONENT_PTRMEM_TYPE: return true;
  default: return false;
  }
}

/* Of types of the standard library the arguments are looked at, others are taken whole. */
static void find(struct search *search, struct demangle_component *part, unsigned depth)
{
  if (part == NULL || depth > DEPTH_MAX || search->steps_left == 0)
    return;
  search->steps_left--;
  if (part->type == DEMANGLE_COMPONENT_TEMPLATE_ARGLIST) {
    find(search, part->u.s_binary.left, depth + 1);
    find(search, part->u.s_binary.right, depth + 1);
    return;
  }
  if (is_made_of_another(part->type)) {
    find(search, part->u.s_binary.left, depth + 1);
    return;
  }
  const struct demangle_component *name = outermost(part);
  if (name == NULL)
    return;
  if (!is_standard(name)) {
    take(search, part);
  } else if (part != name) {
    find(search, part->u.s_binary.left, depth + 1);
    if (part->type == DEMANGLE_COMPONENT_TEMPLATE)
      find(search, part->u.s_binary.right, depth + 1);
  }
}

char *runners_find_types(struct demangle_component *tree, GString *(*print)(struct demangle_component *type))
{
  g_autoptr(GPtrArray) types = g_ptr_array_new_with_free_func(g_free);
  struct search search = {print, types, STEPS_MAX};
  const struct demangle_component *name = outermost(tree);
  if (name != NULL && is_standard(name))
    find(&search, tree, 0);
  g_ptr_array_add(types, NULL);
  return g_strjoinv(", ", (char **)types->pdata);
}

void runners_add_types(GString *name, const char *types)
{
  static const struct {
    const char *template, *rest; /* a name is both together */
  } runners[] = {
      {"std::thread::_State_impl", "::_M_run"},         {"std::thread::_Impl", "::_M_run"}, /* of the old ABI */
      {"std::_Function_handler", "::_M_invoke"},        {"std::__future_base::_Async_state_impl", "::_M_run"},
      {"std::__future_base::_Task_state", "::_M_run"},  {"std::__1::__thread_proxy", ""},
      {"std::__1::__function::__func", "::operator()"}, {"std::__1::__async_assoc_state", "::__execute"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(runners) && types[0] != '\0'; i++) {
    size_t length = strlen(runners[i].template);
    if (!g_str_has_prefix(name->str, runners[i].template) || strcmp(name->str + length, runners[i].rest) != 0)
      continue;
    g_string_insert(name, (gssize)length, ">");
    g_string_insert(name, (gssize)length, types);
    g_string_insert(name, (gssize)length, "<");
    return;
  }
}
