/* SPDX-License-Identifier: MIT */
#include "tools/serve/pages.h"

#include "core/region_hooks.h"
#include "tools/live/sparklines.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/say.h"

static const char style[] =
    ":root { color-scheme: light dark; font-size: clamp(14px, 11px + 0.23vw, 20px); --line: light-dark(#d9dde3, "
    "#363b46);\n"
    "  --quiet: light-dark(#5a6270, #a2a9b6); --accent: light-dark(#1f5fd0, #7fb0ff) }\n"
    "body { margin: 0; padding: 1.5rem clamp(.75rem, 2vw, 3rem); font: 1rem/1.45 system-ui, sans-serif;\n"
    "  background: light-dark(#fff, #16181d); color: light-dark(#1b1f27, #e6e8ec) }\n"
    "h1, p, .command { overflow-wrap: anywhere }\n"
    "a { color: var(--accent) }\n"
    "table { border-collapse: collapse }\n"
    "td, th { padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: "
    "middle }\n"
    "th { color: var(--quiet) } th, td > a { white-space: nowrap } .number { text-align: right; white-space: nowrap; "
    "font-variant-numeric: tabular-nums "
    "}\n"
    "svg { display: block; width: 10rem; height: 2rem } polyline { fill: none; stroke: var(--accent); stroke-width: "
    "1.5 }\n"
    "@media (max-width: 700px) { thead { display: none } tr { display: block; padding: .5rem 0;\n"
    "  border-bottom: 1px solid var(--line) } td, td.number { display: inline-block; border: 0; padding: 0 1rem 0 0 }\n"
    "  td.command { display: block } td[data-label]::before { content: attr(data-label) \" \"; color: var(--quiet) } "
    "}\n";

static void append_start(GString *page, const char *title, const char *more)
{
  g_string_append_printf(page,
                         "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n%s"
                         "<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n<h1>%s</h1>\n",
                         more, title, style, title);
}

static void append_end(GString *page)
{
  g_string_append(page, "</body>\n</html>\n");
}

static char *escaped(const char *text)
{
  g_autofree char *shown = printable(text);
  return g_markup_escape_text(shown, -1);
}

/* Nothing where they are the usual ones. */
static void append_hooks(GString *page, const struct target *target)
{
  char hooks[REGION_HOOKS_TEXT_BYTES] = "";
  struct text text = TEXT_INIT(hooks);
  region_hooks_put(&text, target->summary.hooks);
  if (hooks[0] != '\0')
    g_string_append_printf(page, "<br><small>hooks: %s</small>", hooks);
}

static void append_target(GString *page, const struct target *target, const struct sparklines *sparklines)
{
  g_autofree char *plain = target_command(target), *command = escaped(plain);
  g_string_append_printf(page, "<tr><td class=\"number\"><a href=\"%d/\">%d</a></td><td class=\"command\">%s",
                         target->pid, target->pid, command);
  append_hooks(page, target);
  g_string_append_printf(page,
                         "</td><td class=\"number\" data-label=\"in use\">%s</td><td class=\"number\" "
                         "data-label=\"allocated\">%s</td><td>",
                         quantity(target->summary.in_use_bytes, "bytes").text,
                         quantity(target->summary.allocated_bytes, "bytes").text);
  sparklines_append(page, sparklines, target->pid, target->summary.created_unix_ns);
  g_string_append_printf(page, "</td><td><a href=\"%d/debug/pprof/\">profiles</a></td></tr>\n", target->pid);
}

static void append_table(GString *page, const GPtrArray *targets, GBytes *past)
{
  struct sparklines *sparklines = sparklines_new(past);
  g_string_append(
      page, "<p>Processes that run under heapprof. A number leads to what the process holds now, and who owns it; "
            "profiles are for go tool pprof and its like.</p>\n");
  g_string_append(page,
                  "<table>\n<thead><tr><th class=\"number\">process</th><th>command</th><th class=\"number\">in use"
                  "</th><th class=\"number\">allocated</th><th>in use, the last hour</th><th></th></tr></thead>\n");
  for (guint i = 0; i < targets->len; i++)
    append_target(page, g_ptr_array_index(targets, i), sparklines);
  g_string_append(page, "</table>\n");
  sparklines_free(sparklines);
}

GString *pages_list(const GPtrArray *targets, GBytes *past)
{
  GString *page = g_string_new(NULL);
  append_start(page, "heapprof", "<meta http-equiv=\"refresh\" content=\"10\">\n");
  if (targets->len == 0)
    g_string_append(page, "<p>No profiled process runs: heapprof run -- COMMAND starts one.</p>\n");
  else
    append_table(page, targets, past);
  append_end(page);
  return page;
}

struct profile_link {
  const char *link, *name, *what;
};

static const struct profile_link profiles[] = {
    {"heap?debug=1", "heap", "memory in use, and all that was allocated since the start"},
    {"allocs?debug=1", "allocs", "the same; readers show what was allocated first"},
    {"heap?seconds=30", "heap-delta", "what is allocated in 30 seconds, and what is in use at their end"},
    {"delta_heap", "delta_heap", "what was allocated since you asked last, and what is in use now"},
    {"peak", "peak", "what was in use when most was"},
    {"cmdline", "cmdline", "the command line"},
    {"symbol", "symbol", "names of addresses in the query, or in what is posted"},
};

static void append_profiles(GString *page, const struct profile_link *links, size_t count)
{
  g_string_append(page, "<table>\n");
  for (size_t i = 0; i < count; i++)
    g_string_append_printf(page, "<tr><td><a href=\"%s\">%s</a></td><td>%s</td></tr>\n", links[i].link, links[i].name,
                           links[i].what);
  g_string_append(
      page,
      "</table>\n<p>This is a heap profiler. It knows no goroutines, and measures neither time nor locks: the other "
      "profiles of Go's net/http/pprof are not here.</p>\n");
}

GString *pages_index(const struct target *target)
{
  GString *page = g_string_new(NULL);
  g_autofree char *plain = target_command(target), *command = escaped(plain);
  append_start(page, "/debug/pprof/", "");
  g_string_append_printf(page, "<p>Process <a href=\"../../../%d/\">%d</a>: %s", target->pid, target->pid, command);
  append_hooks(page, target);
  g_string_append(page, "</p>\n");
  append_profiles(page, profiles, G_N_ELEMENTS(profiles));
  append_end(page);
  return page;
}

/* --- of a recording --- */

static char *shown_time(int64_t time_ms)
{
  g_autoptr(GDateTime) local = g_date_time_new_from_unix_local(time_ms / 1000);
  return local != NULL ? g_date_time_format(local, "%Y-%m-%d %H:%M:%S") : g_strdup("?");
}

static void append_recorded(GString *page, const struct recorded_list *list, const struct recorded_process *process,
                            const struct sparklines *sparklines)
{
  g_autofree char *name = recorded_list_name(list, process), *first = shown_time(process->first_ms),
                  *last = shown_time(process->last_ms),
                  *command = escaped(process->command[0] != '\0' ? process->command : process->program);
  g_string_append_printf(
      page,
      "<tr><td class=\"number\"><a href=\"./%s/\">%d</a></td><td class=\"command\">%s</td>"
      "<td class=\"number\" data-label=\"from\">%s</td><td class=\"number\" data-label=\"to\">%s</td>"
      "<td class=\"number\" data-label=\"moments\">%" G_GINT64_FORMAT
      "</td><td class=\"number\" data-label=\"in use\">%s</td><td>",
      name, process->pid, command, first, last, process->moments, quantity(process->in_use_bytes, "bytes").text);
  sparklines_append(page, sparklines, (int)process->id, 0);
  g_string_append_printf(page, "</td><td><a href=\"./%s/debug/pprof/\">profiles</a></td></tr>\n", name);
}

static void append_processes(GString *page, const struct recorded_list *list)
{
  struct sparklines *sparklines = sparklines_new(list->pulses);
  g_string_append(page,
                  "<table>\n<thead><tr><th class=\"number\">process</th><th>command</th><th class=\"number\">from</th>"
                  "<th class=\"number\">to</th><th class=\"number\">moments</th><th class=\"number\">in use</th>"
                  "<th>in use, over time</th><th></th></tr></thead>\n");
  for (guint i = 0; i < list->processes->len; i++)
    append_recorded(page, list, &g_array_index(list->processes, struct recorded_process, i), sparklines);
  g_string_append(page, "</table>\n");
  sparklines_free(sparklines);
}

static void append_kept(GString *page, const struct recorded_list *list)
{
  g_string_append(page, "<h2>Kept</h2>\n<table>\n");
  for (guint i = 0; i < list->kept->len; i++) {
    const struct recorded_kept *kept = &g_array_index(list->kept, struct recorded_kept, i);
    g_autofree char *time = shown_time(kept->time_ms), *condition = escaped(kept->condition),
                    *program = escaped(kept->program);
    g_string_append_printf(page,
                           "<tr><td><a href=\"debug/pprof/heap?at=kept:%" G_GINT64_FORMAT "\">kept:%" G_GINT64_FORMAT
                           "</a></td><td class=\"number\">%s</td><td>%s</td><td>%s</td></tr>\n",
                           kept->number, kept->number, time, condition, program);
  }
  g_string_append(page, "</table>\n");
}

GString *pages_recorded_list(const struct recorded_list *list)
{
  GString *page = g_string_new(NULL);
  g_autofree char *name = g_path_get_basename(list->path), *shown = escaped(name);
  append_start(page, shown, "<meta http-equiv=\"refresh\" content=\"10\">\n");
  if (list->processes->len == 0)
    g_string_append(page, "<p>It has no processes yet.</p>\n");
  else
    append_processes(page, list);
  if (list->kept->len > 0)
    append_kept(page, list);
  append_end(page);
  return page;
}

static const struct profile_link recorded_profiles[] = {
    {"heap?debug=1", "heap", "memory in use at the last moment, and all that was allocated until then"},
    {"heap?debug=1&amp;at=first", "heap?at=first", "of any other moment: ?at=10:31, first, last, largest"},
    {"allocs?debug=1", "allocs", "the same; readers show what was allocated first"},
    {"peak", "peak", "of the moment when most was in use"},
    {"cmdline", "cmdline", "the command line"},
};

GString *pages_recorded_index(const struct recorded_process *process)
{
  GString *page = g_string_new(NULL);
  g_autofree char *command = escaped(process->command);
  append_start(page, "/debug/pprof/", "");
  g_string_append_printf(page, "<p>Process %d, recorded: %s</p>\n", process->pid, command);
  append_profiles(page, recorded_profiles, G_N_ELEMENTS(recorded_profiles));
  append_end(page);
  return page;
}
