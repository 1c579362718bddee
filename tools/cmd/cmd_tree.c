/* SPDX-License-Identifier: MIT */
#include "tools/cmd/filter_options.h"
#include "tools/cmd/moment_options.h"
#include "tools/cmd/value_options.h"
#include "tools/terminal/quantity.h"
#include "tools/views/call_tree.h"
#include "tools/views/view.h"

#include <math.h>
#include <string.h>

enum { DEPTH_DEFAULT = 40, DEPTH_MAX = 1000 };
static const double SMALL_PERCENT = 1;

static const struct cmd_option options[] = {
    VALUE_OPTIONS,
    {"depth", 'd', "N", "branch at most N times on a path (default: 40)"},
    {"min", 'm', "PERCENT", "fold what is below PERCENT of the total (default: 1)"},
    {"inverted", 'i', NULL, "begin with the owners, their callers below"},
    MOMENT_OPTIONS,
    FILTER_OPTIONS,
    CMD_OPTIONS_END,
};

struct view {
  const struct call_tree *tree;
  struct table *table;
  uint32_t depth_max;
  double small; /* what is below is folded */
};

/* What stands before the names of a branch, and of what hangs below it. */
struct art {
  const char *branch, *below;
};
static const struct art NO_ART = {"", ""}, MIDDLE = {"├ ", "│ "}, LAST = {"└ ", "  "};

static void put_line(const struct view *view, double value, double variance, const char *prefix, const char *branch,
                     const char *name)
{
  const struct call_tree *tree = view->tree;
  const struct call_node *all = call_tree_node(tree, 0);
  g_autofree char *text = g_strconcat(prefix, branch, name, NULL);
  table_begin_row(view->table, COLOUR_NONE);
  view_put_quantity(view->table, value, tree->unit);
  view_put_error(view->table, view_has_errors(tree->has_variances, all->variance), value, variance, tree->unit);
  view_put_percentage(view->table, value, all->value);
  table_put(view->table, text);
}

/* One more call in a run: the numbers are those above. */
static void put_continued(const struct view *view, const char *prefix, const char *name)
{
  g_autofree char *text = g_strconcat(prefix, name, NULL);
  table_begin_row(view->table, COLOUR_NONE);
  for (int i = 0; i < 3; i++)
    table_put(view->table, "");
  table_put(view->table, text);
}

static char *name_of(const struct view *view, uint32_t number, uint32_t times)
{
  const char *name = call_tree_name(view->tree, number);
  const char *inlined = call_tree_node(view->tree, number)->is_inlined ? " (inline)" : "";
  return times > 1 ? g_strdup_printf("%s%s ×%u", name, inlined, times) : g_strconcat(name, inlined, NULL);
}

/* The only child, if nothing ends or branches here; else HEAP_NONE. */
static uint32_t only_child(const struct view *view, uint32_t number)
{
  const struct call_node *node = call_tree_node(view->tree, number);
  return node->child_count == 1 && node->own == 0 ? node->first_child : HEAP_NONE;
}

/* The end of a run of calls of the same function by itself. */
static uint32_t skip_repeated(const struct view *view, uint32_t number, uint32_t *times)
{
  uint32_t place = call_tree_node(view->tree, number)->place;
  *times = 1;
  for (uint32_t next = only_child(view, number); next != HEAP_NONE; next = only_child(view, number)) {
    if (call_tree_node(view->tree, next)->place != place)
      break;
    number = next;
    ++*times;
  }
  return number;
}

static void put_children(const struct view *view, uint32_t number, const char *prefix, uint32_t depth);

/* A node, the run of single calls that begins with it, and what branches off at its end. */
static void put_run(const struct view *view, uint32_t number, const char *prefix, struct art art, uint32_t depth)
{
  const struct call_node *node = call_tree_node(view->tree, number);
  g_autofree char *below = g_strconcat(prefix, art.below, NULL);
  uint32_t times, end = skip_repeated(view, number, &times);
  g_autofree char *first = name_of(view, number, times);
  put_line(view, node->value, node->variance, prefix, art.branch, first);
  for (uint32_t next = only_child(view, end); next != HEAP_NONE; next = only_child(view, end)) {
    end = skip_repeated(view, next, &times);
    g_autofree char *name = name_of(view, next, times);
    put_continued(view, below, name);
  }
  put_children(view, end, below, depth + 1);
}

/* Those that are large enough, and how many there are of them; the others summed up. */
struct folded {
  uint32_t shown, count;
  double value, variance;
};

static struct folded fold(const struct view *view, GArray *children, uint32_t depth)
{
  struct folded folded = {0};
  for (uint32_t i = 0; i < children->len; i++) {
    const struct call_node *node = call_tree_node(view->tree, g_array_index(children, uint32_t, i));
    if (depth <= view->depth_max && fabs(node->value) >= view->small) {
      folded.shown++;
    } else {
      folded.count++;
      folded.value += node->value;
      folded.variance += node->variance;
    }
  }
  return folded;
}

/* Children are sorted, so those shown come first. What a function allocates itself is like one more of them. */
static void put_children(const struct view *view, uint32_t number, const char *prefix, uint32_t depth)
{
  const struct call_node *node = call_tree_node(view->tree, number);
  if (node->child_count == 0)
    return;
  g_autoptr(GArray) children = call_tree_children(view->tree, number);
  struct folded folded = fold(view, children, depth);
  bool has_own = node->own != 0 && number != 0, has_folded = folded.count > 0, is_top = depth == 0;
  for (uint32_t i = 0; i < folded.shown; i++) {
    bool is_last = i + 1 == folded.shown && !has_own && !has_folded;
    put_run(view, g_array_index(children, uint32_t, i), prefix, is_top ? NO_ART : is_last ? LAST : MIDDLE, depth);
  }
  if (has_own)
    put_line(view, node->own, node->own_variance, prefix, has_folded ? MIDDLE.branch : LAST.branch,
             view->tree->is_inverted ? "(no caller)" : "(itself)");
  if (has_folded) {
    g_autofree char *text = g_strdup_printf("… %u more", folded.count);
    put_line(view, folded.value, folded.variance, prefix, is_top ? "" : LAST.branch, text);
  }
}

static void print_tree(const struct heap *heap, int type, const struct call_tree *tree, uint32_t depth_max,
                       double percent)
{
  const struct call_node *all = call_tree_node(tree, 0);
  struct view view = {
      .tree = tree, .table = table_new(), .depth_max = depth_max, .small = fabs(all->value) * percent / 100};
  g_autoptr(GString) header = g_string_new(NULL);
  view_append_header(header, heap, type);
  view_append_certainty(header, heap, type, all->value, all->variance);
  struct cut_share cut = cut_share_of(heap, type, NULL);
  view_append_cut(header, "Cut stacks", &cut, tree->type_name);
  (void)fputs(header->str, stdout);
  table_add_column(view.table, tree->type_name, TABLE_RIGHT);
  table_add_column_of_rank(view.table, view_has_errors(tree->has_variances, all->variance) ? "±95%" : "", TABLE_RIGHT,
                           1);
  table_add_column_of_rank(view.table, "%", TABLE_RIGHT, 2);
  table_add_column(view.table, "", TABLE_LEFT);
  put_children(&view, 0, "", 0);
  table_print(view.table, stdout);
  table_free(view.table);
}

static bool parse_percent(const struct cmd_line *line, double *percent)
{
  const char *text = cmd_value(line, "min");
  *percent = SMALL_PERCENT;
  if (text == NULL)
    return true;
  char *end;
  *percent = g_ascii_strtod(text, &end);
  if (end != text && strcmp(end, "%") == 0)
    end++;
  if (end != text && *end == '\0' && *percent >= 0 && *percent <= 100)
    return true;
  say("--min takes a percentage from 0 to 100, not '%s'", text);
  return false;
}

static int show(const struct cmd_line *line, const struct heap *heap, uint32_t depth_max, double percent)
{
  int type;
  if (!view_find_type(heap, value_options_type(line), &type))
    return EXIT_FAILED;
  struct call_tree *tree = call_tree_of(heap, type, cmd_has(line, "inverted"));
  if (tree->is_cut)
    say("%s: it has more than %d different paths; some of them end early", heap->name, CALL_NODES_MAX);
  bool has_any = call_tree_node(tree, 0)->child_count > 0;
  if (has_any)
    print_tree(heap, type, tree, depth_max, percent);
  call_tree_free(tree);
  return has_any ? finish_output(EXIT_OK) : view_tell_nothing(heap, type);
}

static int run(const struct cmd_line *line)
{
  uint64_t depth_max;
  double percent;
  struct filter *filter;
  if (line->count != 1)
    return cmd_takes(line, 1, "one process or profile");
  if (!cmd_number(line, "depth", 0, DEPTH_MAX, DEPTH_DEFAULT, &depth_max) || !parse_percent(line, &percent))
    return EXIT_USAGE;
  if (!value_options_agree(line) || !moment_options_check(line, "at") || !filter_options(line, &filter))
    return EXIT_USAGE;
  g_autofree char *name = moment_options(line, line->operands[0]);
  struct heap *heap = name != NULL ? view_open(name, filter) : NULL;
  int status = heap != NULL ? show(line, heap, (uint32_t)depth_max, percent) : EXIT_FAILED;
  heap_free(heap);
  filter_free(filter);
  return status;
}

const struct command cmd_tree = {
    .name = "tree",
    .operands = "PID|NAME|FILE",
    .summary = "Show the call tree",
    .options = options,
    .run = run,
};
