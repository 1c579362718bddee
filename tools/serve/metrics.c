/* SPDX-License-Identifier: MIT */
#include "tools/serve/metrics.h"

#include "core/losses.h"
#include "tools/scrape/served_heap.h"
#include "tools/state/targets.h"
#include "tools/terminal/say.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_SECONDS_MAX = 5 }; /* to begin looking into files: scrapers wait for ten */

struct metrics_text {
  GString *text;
  bool is_open; /* OpenMetrics */
};

/* Labels. */

/* Between quotes: \ and " escaped, and no line feed is left. People read it, too. */
static char *escaped(const char *text)
{
  g_autofree char *shown = printable(text);
  GString *result = g_string_new(NULL);
  for (const char *c = shown; *c != '\0'; c++) {
    if (*c == '\\' || *c == '"')
      g_string_append_c(result, '\\');
    g_string_append_c(result, *c);
  }
  return g_string_free(result, FALSE);
}

/* name{pid="12",program="redis-server",KEY="TEXT"} VALUE; no key: NULL. */
static void append_sample(GString *text, const char *name, const struct target *target, const char *key,
                          const char *label, double value)
{
  char number[G_ASCII_DTOSTR_BUF_SIZE];
  g_autofree char *program = escaped(target->summary.program);
  g_string_append_printf(text, "heapprof_%s{pid=\"%d\",program=\"%s\"", name, target->pid, program);
  if (key != NULL) {
    g_autofree char *shown = escaped(label);
    g_string_append_printf(text, ",%s=\"%s\"", key, shown);
  }
  g_string_append_printf(text, "} %s\n", g_ascii_dtostr(number, sizeof number, value));
}

static bool is_counter(const char *type)
{
  return strcmp(type, "counter") == 0;
}

/* The older text calls a family of counters as its samples are called, and knows no units. */
static void append_family(struct metrics_text *metrics, const char *name, const char *type, const char *unit,
                          const char *help)
{
  const char *ending = !metrics->is_open && is_counter(type) ? "_total" : "";
  g_string_append_printf(metrics->text, "# TYPE heapprof_%s%s %s\n", name, ending, type);
  if (metrics->is_open && unit[0] != '\0')
    g_string_append_printf(metrics->text, "# UNIT heapprof_%s %s\n", name, unit);
  g_string_append_printf(metrics->text, "# HELP heapprof_%s%s %s\n", name, ending, help);
}

/* Values. */

/* As it is now, of the kernel. */
static double resident_bytes(const struct target *target)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/statm", target->pid), *text = NULL;
  long total_pages, pages;
  if (!g_file_get_contents(path, &text, NULL, NULL) || sscanf(text, "%ld %ld", &total_pages, &pages) != 2)
    return NAN;
  return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double in_use_bytes(const struct target *target)
{
  return target->summary.in_use_bytes;
}
static double in_use_objects(const struct target *target)
{
  return target->summary.in_use_objects;
}
static double in_use_error(const struct target *target)
{
  return sqrt(target->summary.in_use_bytes_variance);
}
static double peak_bytes(const struct target *target)
{
  return target->summary.peak_bytes;
}
static double allocated_bytes(const struct target *target)
{
  return target->summary.allocated_bytes;
}
static double allocated_objects(const struct target *target)
{
  return target->summary.allocated_objects;
}
static double samples(const struct target *target)
{
  return (double)target->summary.samples;
}
static double own_bytes(const struct target *target)
{
  return (double)(target->summary.own_bytes - MIN(target->summary.own_unused_bytes, target->summary.own_bytes));
}
static double sampling_seconds(const struct target *target)
{
  return (double)target->summary.sampling_ns / 1e9;
}
static double interval_bytes(const struct target *target)
{
  return (double)target->summary.sample_interval_bytes;
}
static double start_seconds(const struct target *target)
{
  return (double)target->summary.created_unix_ns / 1e9;
}

static const struct {
  const char *name, *type, *unit, *help;
  double (*value)(const struct target *);
} families[] = {
    {"in_use_bytes", "gauge", "bytes", "Memory in use, estimated.", in_use_bytes},
    {"in_use_objects", "gauge", "objects", "Allocations in use, estimated.", in_use_objects},
    {"in_use_standard_error_bytes", "gauge", "bytes", "Standard error of heapprof_in_use_bytes.", in_use_error},
    {"peak_in_use_bytes", "gauge", "bytes", "The most that was in use at once since the start, estimated.", peak_bytes},
    {"allocated_bytes", "counter", "bytes", "Memory allocated since the start, estimated.", allocated_bytes},
    {"allocated_objects", "counter", "objects", "Allocations since the start, estimated.", allocated_objects},
    {"resident_bytes", "gauge", "bytes", "Memory of the process that is in RAM.", resident_bytes},
    {"samples", "counter", "", "Allocations that were recorded.", samples},
    {"own_bytes", "gauge", "bytes", "Memory that the profiler uses in the process.", own_bytes},
    {"sampling_seconds", "gauge", "seconds", "Time that the process took for samples, estimated.", sampling_seconds},
    {"sample_interval_bytes", "gauge", "bytes", "Mean bytes between samples.", interval_bytes},
    {"start_time_seconds", "gauge", "seconds", "When profiling of the process began, in Unix time.", start_seconds},
};

static void append_values(struct metrics_text *metrics, const GPtrArray *targets)
{
  for (size_t i = 0; i < G_N_ELEMENTS(families); i++) {
    g_autofree char *name = g_strconcat(families[i].name, is_counter(families[i].type) ? "_total" : "", NULL);
    append_family(metrics, families[i].name, families[i].type, families[i].unit, families[i].help);
    for (guint k = 0; k < targets->len; k++) {
      double value = families[i].value(g_ptr_array_index(targets, k));
      if (!isnan(value))
        append_sample(metrics->text, name, g_ptr_array_index(targets, k), NULL, NULL, value);
    }
  }
}

static void append_losses(struct metrics_text *metrics, const GPtrArray *targets)
{
  static const char *const reasons[] = {
#define HEAPPROF_LOSS(identifier, key, what) key,
#include "core/losses.def"
#undef HEAPPROF_LOSS
  };
  append_family(metrics, "lost", "counter", "", "Samples, or parts of stacks, that were lost, by reason.");
  for (guint k = 0; k < targets->len; k++) {
    const struct target *target = g_ptr_array_index(targets, k);
    for (size_t i = 0; i < G_N_ELEMENTS(reasons); i++)
      append_sample(metrics->text, "lost_total", target, "reason", reasons[i], (double)target->summary.lost[i]);
  }
}

/* Without all names only their sum can be told. */
static void append_sites_of(GString *text, const struct target *target, uint32_t count, int64_t until_us,
                            struct sites_shown *shown)
{
  struct heap *heap = served_heap_read(target, REGION_NOW, "serve", NULL);
  if (heap == NULL)
    return;
  bool is_whole = served_heap_finish_by(heap, target, until_us);
  g_autoptr(GArray) sites = sites_of(heap, is_whole ? count : 0, shown);
  for (guint i = 0; i < sites->len; i++) {
    const struct site *site = &g_array_index(sites, struct site, i);
    append_sample(text, "site_in_use_bytes", target, "site", site->name, site->bytes);
  }
  heap_free(heap);
}

GString *metrics_of(const GPtrArray *targets, bool is_open, uint32_t sites, struct sites_shown *shown)
{
  struct metrics_text metrics = {.text = g_string_new(NULL), .is_open = is_open};
  append_family(&metrics, "processes", "gauge", "", "Processes that are served.");
  g_string_append_printf(metrics.text, "heapprof_processes %u\n", targets->len);
  append_values(&metrics, targets);
  append_losses(&metrics, targets);
  if (sites > 0)
    append_family(&metrics, "site_in_use_bytes", "gauge", "bytes", "Memory in use, by the function that owns it.");
  guint start =
      targets->len > 0 ? (guint)g_random_int_range(0, (gint32)targets->len) : 0; /* each is first now and then */
  int64_t until_us = g_get_monotonic_time() + NAMES_SECONDS_MAX * (int64_t)G_USEC_PER_SEC;
  for (guint i = 0; sites > 0 && i < targets->len; i++)
    append_sites_of(metrics.text, g_ptr_array_index(targets, (start + i) % targets->len), sites, until_us, shown);
  if (is_open)
    g_string_append(metrics.text, "# EOF\n");
  return metrics.text;
}
