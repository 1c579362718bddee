/* SPDX-License-Identifier: MIT */
#include "tools/filter/plumbing.h"

#include "tools/filter/expression.h"

/* Words that say how memory is got, and not for what. */
#define HOW                                                                                                            \
  "(?:arena|basic|block|bump|checked|chunk|cleared|default|do|fast|gc|heap|impl|internal|mem|memory|mm|my|new|obj|"    \
  "object|"                                                                                                            \
  "page|pool|raw|safe|slab|slow|static|sys|try|zone)"
#define SUFFIXES                                                                                                       \
  "(?i:_*(?:" HOW "|[0-9]+|n|nn|z|2d|aligned|align|and_?zero|array|box|cb|callback|check|cleared|common|die|"          \
  "ex|ext|extended|fallback|fatal|func|function|generic|helper|hook|impl|large|nothrow|or_?die|or_?null|perm|"         \
  "rawnn|size|sized|small|small_?memory|type|typed|uninit|usable|wrap|wrapper|zero|zeroed))*(?:\\..*)?"

static GRegex *compile_list(const char *const *expressions, size_t count)
{
  g_autoptr(GString) all = g_string_new("\\A(?:");
  for (size_t i = 0; i < count; i++)
    g_string_append_printf(all, "%s%s", i > 0 ? "|" : "", expressions[i]);
  g_string_append(all, ")\\z");
  return expression_of_ours(all->str);
}

static const GRegex *plumbing(void)
{
  static const char *const expressions[] = {
#define HEAPPROF_PLUMBING(group, expression) expression,
#define HEAPPROF_START(expression)
#include "tools/filter/plumbing.def"
#undef HEAPPROF_PLUMBING
#undef HEAPPROF_START
  };
  static GRegex *compiled;
  if (compiled == NULL)
    compiled = compile_list(expressions, G_N_ELEMENTS(expressions));
  return compiled;
}

static const GRegex *start(void)
{
  static const char *const expressions[] = {
#define HEAPPROF_PLUMBING(group, expression)
#define HEAPPROF_START(expression) expression,
#include "tools/filter/plumbing.def"
#undef HEAPPROF_PLUMBING
#undef HEAPPROF_START
  };
  static GRegex *compiled;
  if (compiled == NULL)
    compiled = compile_list(expressions, G_N_ELEMENTS(expressions));
  return compiled;
}

static bool is_plumbing(const char *name, const GRegex *more)
{
  return (more != NULL && expression_matches(more, name)) || expression_matches(plumbing(), name);
}

static enum function_role role_of(const char *name, const GRegex *more)
{
  if (expression_matches(start(), name))
    return is_plumbing(name, more) ? FUNCTION_RUNTIME : FUNCTION_START;
  return is_plumbing(name, more) ? FUNCTION_PLUMBING : FUNCTION_ORDINARY;
}

void plumbing_mark(struct heap *heap, const GRegex *more)
{
  for (uint32_t i = 0; i < heap->functions->len; i++) {
    struct heap_function *function = heap_function(heap, i);
    function->role = role_of(function->name, more);
  }
}
