/* SPDX-License-Identifier: MIT */
#include "tools/serve/pages.h"

#include "tools/terminal/quantity.h"
#include "tools/terminal/say.h"

static void append_start(GString *page, const char *title)
{
  g_string_append_printf(
      page,
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>%s</title>\n"
      "<style>body { font-family: sans-serif; margin: 2em } td, th { padding: .2em 1em; text-align: left } "
      "td.number { text-align: right }</style>\n</head>\n<body>\n<h1>%s</h1>\n",
      title, title);
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

static void append_target(GString *page, const struct target *target)
{
  g_autofree char *plain = target_command(target), *command = escaped(plain);
  g_autofree char *path = g_strdup_printf("%d/debug/pprof/", target->pid);
  g_string_append_printf(page,
                         "<tr><td class=\"number\"><a href=\"%s\">%d</a></td><td>%s</td><td class=\"number\">%s</td>"
                         "<td class=\"number\">%s</td></tr>\n",
                         path, target->pid, command, quantity(target->summary.in_use_bytes, "bytes").text,
                         quantity(target->summary.allocated_bytes, "bytes").text);
}

GString *pages_list(const GPtrArray *targets)
{
  GString *page = g_string_new(NULL);
  append_start(page, "heapprof");
  if (targets->len == 0)
    g_string_append(page, "<p>No profiled process runs: heapprof run -- COMMAND starts one.</p>\n");
  else
    g_string_append(page, "<table>\n<tr><th>process</th><th>command</th><th>in use</th><th>allocated</th></tr>\n");
  for (guint i = 0; i < targets->len; i++)
    append_target(page, g_ptr_array_index(targets, i));
  if (targets->len > 0)
    g_string_append(page, "</table>\n");
  append_end(page);
  return page;
}

static const struct {
  const char *link, *name, *what;
} profiles[] = {
    {"heap?debug=1", "heap", "memory in use, and all that was allocated since the start"},
    {"allocs?debug=1", "allocs", "the same; readers show what was allocated first"},
    {"heap?seconds=30", "heap-delta", "what is allocated in 30 seconds, and what is in use at their end"},
    {"delta_heap", "delta_heap", "what was allocated since you asked last, and what is in use now"},
    {"peak", "peak", "what was in use when most was"},
    {"cmdline", "cmdline", "the command line"},
    {"symbol", "symbol", "names of addresses in the query, or in what is posted"},
};

GString *pages_index(const struct target *target)
{
  GString *page = g_string_new(NULL);
  g_autofree char *plain = target_command(target), *command = escaped(plain);
  append_start(page, "/debug/pprof/");
  g_string_append_printf(page, "<p>Process %d: %s</p>\n<table>\n", target->pid, command);
  for (size_t i = 0; i < G_N_ELEMENTS(profiles); i++)
    g_string_append_printf(page, "<tr><td><a href=\"%s\">%s</a></td><td>%s</td></tr>\n", profiles[i].link,
                           profiles[i].name, profiles[i].what);
  g_string_append(
      page,
      "</table>\n<p>This is a heap profiler. It knows no goroutines, and measures neither time nor locks: the other "
      "profiles of Go's net/http/pprof are not here.</p>\n");
  append_end(page);
  return page;
}
