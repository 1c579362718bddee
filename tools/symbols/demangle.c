/* SPDX-License-Identifier: MIT */
#include "tools/symbols/demangle.h"

#include "tools/symbols/runners.h"

#include <glib.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
  MANGLED_BYTES_MAX = 64 << 10,
  TEXT_BYTES_MAX = 1 << 20,      /* a short name may stand for an endless one */
  SHORT_BYTES_MAX = 1024,        /* libiberty's stack grows with the square of the length when it prints arguments */
  D_BYTES_MAX = 4096,            /* its reader of D has no limit of its own */
  SPINE_MAX = MANGLED_BYTES_MAX, /* steps */
};

/* --- what libiberty prints, up to a length --- */

struct output {
  GString *text;
  jmp_buf too_long;
};

static void append_output(const char *text, size_t length, void *opaque)
{
  struct output *output = opaque;
  if (output->text->len + length > TEXT_BYTES_MAX)
    longjmp(output->too_long, 1);
  g_string_append_len(output->text, text, (gssize)length);
}

/* --- the tree of a C++ name --- */

static bool qualifies_this(enum demangle_component_type type)
{
  switch (type) {
  case DEMANGLE_COMPONENT_RESTRICT_THIS:
  case DEMANGLE_COMPONENT_VOLATILE_THIS:
  case DEMANGLE_COMPONENT_CONST_THIS:
  case DEMANGLE_COMPONENT_REFERENCE_THIS:
  case DEMANGLE_COMPONENT_RVALUE_REFERENCE_THIS: return true;
  default: return false;
  }
}

/* "int outer(int) const" around a local name -> "outer()". */
static void empty_parameters(struct demangle_component *function)
{
  struct demangle_component *type = function->u.s_binary.right;
  while (function->u.s_binary.left != NULL && qualifies_this(function->u.s_binary.left->type))
    function->u.s_binary.left = function->u.s_binary.left->u.s_binary.left;
  while (type != NULL && qualifies_this(type->type))
    type = type->u.s_binary.left;
  if (type == NULL || type->type != DEMANGLE_COMPONENT_FUNCTION_TYPE)
    return;
  type->u.s_binary.left = type->u.s_binary.right = NULL;
  function->u.s_binary.right = type;
}

struct spine {
  unsigned steps_left;
  bool without_arguments; /* of templates and lambdas: for names too long to print them */
};

/* Changes what lies on the way from the root to the last name: the rest is arguments. */
static void simplify_spine(struct demangle_component *part, struct spine *spine)
{
  for (; part != NULL && spine->steps_left > 0; spine->steps_left--) {
    switch (part->type) {
    case DEMANGLE_COMPONENT_QUAL_NAME:
    case DEMANGLE_COMPONENT_LOCAL_NAME:
      simplify_spine(part->u.s_binary.left, spine);
      part = part->u.s_binary.right;
      break;
    case DEMANGLE_COMPONENT_TYPED_NAME:
      empty_parameters(part);
      part = part->u.s_binary.left;
      break;
    case DEMANGLE_COMPONENT_TEMPLATE:
      if (spine->without_arguments && part->u.s_binary.left != NULL)
        *part = *part->u.s_binary.left;
      else
        part = part->u.s_binary.left;
      break;
    case DEMANGLE_COMPONENT_LAMBDA:
      if (spine->without_arguments)
        part->u.s_unary_num.sub = NULL;
      return;
    case DEMANGLE_COMPONENT_TAGGED_NAME: part = part->u.s_binary.left; break;
    case DEMANGLE_COMPONENT_DEFAULT_ARG: part = part->u.s_unary_num.sub; break;
    default: return;
    }
  }
}

static GString *print_tree(struct demangle_component *tree)
{
  struct output output = {.text = g_string_new(NULL)};
  if (setjmp(output.too_long) == 0 && cplus_demangle_print_callback(DMGL_ANSI, tree, append_output, &output) != 0)
    return output.text;
  g_string_free(output.text, TRUE);
  return NULL;
}

static bool is_long(const char *symbol)
{
  return strlen(symbol) > SHORT_BYTES_MAX;
}

static GString *print_type(struct demangle_component *type)
{
  struct spine spine = {SPINE_MAX, false};
  simplify_spine(type, &spine);
  return print_tree(type);
}

static GString *print_type_without_arguments(struct demangle_component *type)
{
  struct spine spine = {SPINE_MAX, true};
  simplify_spine(type, &spine);
  return print_tree(type);
}

/* `types` are those that a runner's name says, to be freed. */
static GString *print_cxx(const char *symbol, char **types)
{
  void *memory = NULL;
  struct demangle_component *tree = cplus_demangle_v3_components(symbol, DMGL_ANSI, &memory);
  if (tree == NULL)
    return NULL;
  *types = runners_find_types(tree, is_long(symbol) ? print_type_without_arguments : print_type);
  struct spine spine = {SPINE_MAX, is_long(symbol)};
  simplify_spine(tree, &spine);
  GString *name = print_tree(tree);
  free(memory);
  return name;
}

/* --- text in brackets --- */

static bool is_identifier(char c)
{
  return g_ascii_isalnum(c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* Behind the ) that closes the ( at `text`; NULL if none does. */
static const char *behind_round(const char *text)
{
  int depth = 0;
  for (; *text != '\0'; text++) {
    depth += (*text == '(') - (*text == ')');
    if (depth == 0)
      return text + 1;
  }
  return NULL;
}

/* Bytes of an operator made of brackets or arrows, "operator<<", that begins at `text` in `name`; 0: none does.
 * "operator<<int>" is operator< of int: a << would be followed by a bracket. */
static size_t operator_at(const char *name, const char *text)
{
  static const char word[] = "operator";
  static const char *const operators[] = {
      "()", "[]", "->*", "->", "<=>", "<<=", ">>=", "<<", ">>", "<=", ">=", "<", ">"};
  if (*text != word[0] || !g_str_has_prefix(text, word) || (text > name && is_identifier(text[-1])))
    return 0;
  text += strlen(word);
  for (size_t i = 0; i < G_N_ELEMENTS(operators); i++) {
    size_t length = strlen(operators[i]);
    if (strncmp(text, operators[i], length) != 0)
      continue;
    bool is_before_name = strcmp(operators[i], "<<") == 0 && is_identifier(text[length]);
    if (!is_before_name)
      return strlen(word) + length;
  }
  return 0;
}

/* Behind the > that closes the < at `text` in `name`. Groups in round brackets are passed over whole: a > in there
 * compares or points. */
static const char *behind_angle(const char *name, const char *text)
{
  int depth = 0;
  while (text != NULL && *text != '\0') {
    size_t operator_bytes = operator_at(name, text);
    if (operator_bytes > 0) {
      text += operator_bytes;
    } else if (*text == '(') {
      text = behind_round(text);
    } else if (g_str_has_prefix(text, "->")) {
      text += 2;
    } else {
      depth += (*text == '<') - (*text == '>');
      text++;
      if (depth == 0)
        return text;
    }
  }
  return NULL;
}

/* --- C++ as text --- */

/* "<lambda(int)>", as gcc names its class in debug information. */
static bool is_unnamed(const char *text)
{
  static const char *const beginnings[] = {"<lambda", "<unnamed", "<anonymous"};
  for (size_t i = 0; i < G_N_ELEMENTS(beginnings); i++)
    if (g_str_has_prefix(text, beginnings[i]))
      return true;
  return false;
}

/* Appends [text, end) unless end is NULL. */
static const char *keep(GString *kept, const char *text, const char *end)
{
  if (end != NULL)
    g_string_append_len(kept, text, end - text);
  return end;
}

/* False: its brackets do not match. */
static bool remove_template_arguments(GString *name)
{
  g_autoptr(GString) kept = g_string_sized_new(name->len);
  const char *text = name->str;
  while (text != NULL && *text != '\0') {
    size_t operator_bytes = operator_at(name->str, text);
    if (operator_bytes > 0) {
      text = keep(kept, text, text + operator_bytes);
    } else if (*text != '<') {
      text = keep(kept, text, text + 1);
    } else if (is_unnamed(text)) {
      text = keep(kept, text, behind_angle(name->str, text));
    } else {
      if (g_str_has_suffix(kept->str, " ")) /* "operator< <int>" */
        g_string_truncate(kept, kept->len - 1);
      text = behind_angle(name->str, text);
    }
  }
  if (text == NULL || kept->len == 0)
    return false;
  g_string_assign(name, kept->str);
  return true;
}

/* Behind what stands in brackets and is no list of parameters. NULL: none such. */
static const char *behind_named_group(const char *name, const char *text)
{
  if (*text == '<') /* what remove_template_arguments left */
    return behind_angle(name, text);
  if (*text == '{')
    return text + strcspn(text, "}");
  if (g_str_has_prefix(text, "(anonymous "))
    return behind_round(text);
  return NULL;
}

/* Behind parameters, with those of a function that something else is local to shown as "()": "f(int) const::x" ->
 * "f()::x". Without such, they end the name. */
static const char *replace_parameters(GString *kept, const char *text)
{
  text = behind_round(text);
  if (text == NULL)
    return NULL;
  const char *local = strstr(text, "::");
  if (local == NULL || strcspn(text, "(<{") < (size_t)(local - text))
    return text + strlen(text);
  g_string_append(kept, "()");
  return local;
}

static void remove_parameters(GString *name)
{
  g_autoptr(GString) kept = g_string_sized_new(name->len);
  const char *text = name->str;
  while (text != NULL && *text != '\0') {
    size_t operator_bytes = operator_at(name->str, text);
    const char *behind = operator_bytes > 0 ? text + operator_bytes : behind_named_group(name->str, text);
    if (behind == NULL && *text == '(')
      text = replace_parameters(kept, text);
    else
      text = keep(kept, text, behind != NULL ? behind : text + 1);
  }
  if (text != NULL && kept->len > 0)
    g_string_assign(name, kept->str);
}

void demangle_simplify(char *name)
{
  if (strpbrk(name, "<(") == NULL)
    return;
  g_autoptr(GString) simple = g_string_new(name);
  if (!remove_template_arguments(simple))
    return;
  remove_parameters(simple);
  g_assert(simple->len <= strlen(name));
  strcpy(name, simple->str);
}

static char *demangle_cxx(const char *symbol)
{
  g_autofree char *types = NULL;
  GString *name = print_cxx(symbol, &types);
  if (name == NULL)
    return NULL;
  remove_template_arguments(name);
  runners_add_types(name, types);
  return g_string_free(name, FALSE);
}

/* --- Rust --- */

static GString *print_rust(const char *symbol)
{
  struct output output = {.text = g_string_new(NULL)};
  if (setjmp(output.too_long) == 0 && rust_demangle_callback(symbol, DMGL_ANSI, append_output, &output) != 0)
    return output.text;
  g_string_free(output.text, TRUE);
  return NULL;
}

/* Of "a::b<T>::c" and "a::b::<T>" arguments go; "<T as Trait>::f" and "a::<impl Trait for T>::f" say where it is. */
static void remove_generic_arguments(GString *name)
{
  g_autoptr(GString) kept = g_string_sized_new(name->len);
  const char *text = name->str;
  while (text != NULL && *text != '\0') {
    if (g_str_has_prefix(text, "::<") && !g_str_has_prefix(text, "::<impl "))
      text = behind_angle(name->str, text + 2);
    else if (*text == '<' && text > name->str && is_identifier(text[-1]))
      text = behind_angle(name->str, text);
    else
      text = keep(kept, text, text + 1);
  }
  if (text != NULL && kept->len > 0)
    g_string_assign(name, kept->str);
}

static char *demangle_rust(const char *symbol)
{
  GString *name = print_rust(symbol);
  if (name == NULL)
    return NULL;
  remove_generic_arguments(name);
  return g_string_free(name, FALSE);
}

/* --- D --- */

/* The function of a template is called like the template: "f!(int).f". Returns what is behind the second. */
static const char *behind_repetition(const GString *kept, const char *text)
{
  const char *dot = strrchr(kept->str, '.'), *last = dot != NULL ? dot + 1 : kept->str;
  size_t length = strlen(last);
  bool is_repeated =
      text != NULL && text[0] == '.' && strncmp(text + 1, last, length) == 0 && !is_identifier(text[1 + length]);
  return is_repeated ? text + 1 + length : text;
}

/* "a.b!(int).b.c(char[]) const" -> "a.b.c" */
static char *without_d_arguments(const char *name)
{
  g_autoptr(GString) kept = g_string_sized_new(strlen(name));
  const char *text = name;
  while (text != NULL && *text != '\0') {
    if (g_str_has_prefix(text, "!("))
      text = behind_repetition(kept, behind_round(text + 1));
    else if (*text == '(')
      text = behind_round(text);
    else if (*text == ' ' && text > name && text[-1] == ')')
      break;
    else
      text = keep(kept, text, text + 1);
  }
  return text != NULL && kept->len > 0 ? g_string_free(g_steal_pointer(&kept), FALSE) : NULL;
}

static char *demangle_d(const char *symbol)
{
  if (strlen(symbol) > D_BYTES_MAX)
    return NULL;
  char *text = dlang_demangle(symbol, DMGL_ANSI);
  char *name = text != NULL && strlen(text) <= TEXT_BYTES_MAX ? without_d_arguments(text) : NULL;
  free(text);
  return name;
}

char *demangle(const char *symbol)
{
  char *name = NULL;
  if (symbol[0] == '_' && strnlen(symbol, MANGLED_BYTES_MAX + 1) <= MANGLED_BYTES_MAX) {
    if (symbol[1] == 'R' || symbol[1] == 'Z')
      name = demangle_rust(symbol);
    if (name == NULL && symbol[1] == 'Z')
      name = demangle_cxx(symbol);
    if (symbol[1] == 'D')
      name = demangle_d(symbol);
  }
  return name != NULL ? name : g_strdup(symbol);
}
