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

static const GRegex *plumbing(void)
{
  static const char *const expressions[] = {
#define HEAPPROF_PLUMBING(group, expression) expression,
#define HEAPPROF_ALLOCATOR(group, expression)
#define HEAPPROF_START(expression)
#include "tools/filter/plumbing.def"
#undef HEAPPROF_PLUMBING
#undef HEAPPROF_ALLOCATOR
#undef HEAPPROF_START
  };
  static GRegex *compiled;
  return expression_of_list(&compiled, expressions, G_N_ELEMENTS(expressions));
}

static const GRegex *allocator(void)
{
  static const char *const expressions[] = {
#define HEAPPROF_PLUMBING(group, expression)
#define HEAPPROF_ALLOCATOR(group, expression) expression,
#define HEAPPROF_START(expression)
#include "tools/filter/plumbing.def"
#undef HEAPPROF_PLUMBING
#undef HEAPPROF_ALLOCATOR
#undef HEAPPROF_START
  };
  static GRegex *compiled;
  return expression_of_list(&compiled, expressions, G_N_ELEMENTS(expressions));
}

static const GRegex *start(void)
{
  static const char *const expressions[] = {
#define HEAPPROF_PLUMBING(group, expression)
#define HEAPPROF_ALLOCATOR(group, expression)
#define HEAPPROF_START(expression) expression,
#include "tools/filter/plumbing.def"
#undef HEAPPROF_PLUMBING
#undef HEAPPROF_ALLOCATOR
#undef HEAPPROF_START
  };
  static GRegex *compiled;
  return expression_of_list(&compiled, expressions, G_N_ELEMENTS(expressions));
}

static enum function_role role_of(const char *name, const GRegex *more)
{
  bool is_allocator = expression_matches(allocator(), name);
  bool is_plumbing =
      is_allocator || (more != NULL && expression_matches(more, name)) || expression_matches(plumbing(), name);
  if (expression_matches(start(), name))
    return is_plumbing ? FUNCTION_RUNTIME : FUNCTION_START;
  if (is_allocator)
    return FUNCTION_ALLOCATOR;
  return is_plumbing ? FUNCTION_PLUMBING : FUNCTION_ORDINARY;
}

void plumbing_mark(struct heap *heap, const GRegex *more)
{
  for (uint32_t i = 0; i < heap->functions->len; i++) {
    struct heap_function *function = heap_function(heap, i);
    function->role = role_of(function->name, more);
  }
}
