/* SPDX-License-Identifier: MIT */
#include "tools/live/sparklines.h"

#include "tools/live/pulse.h"
#include "tools/terminal/quantity.h"

enum { WIDTH = 160, HEIGHT = 32 };

struct spark {
  int64_t time_unix_ns;
  double bytes;
  uint64_t created_unix_ns;
};

struct sparklines {
  GHashTable *by_pid; /* GArray * of struct spark */
};

static void free_sparks(gpointer sparks)
{
  g_array_free(sparks, TRUE);
}

struct sparklines *sparklines_new(GBytes *pulses)
{
  struct sparklines *sparklines = g_new(struct sparklines, 1);
  struct pulse_reader reader = pulses_begin_kept(pulses);
  struct pulse pulse;
  const void *moment;
  sparklines->by_pid = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, free_sparks);
  while (pulses_next(&reader, &pulse, &moment)) {
    GArray *sparks = g_hash_table_lookup(sparklines->by_pid, GINT_TO_POINTER(pulse.pid));
    struct spark spark = {pulse.time_unix_ns, pulse.in_use_bytes, pulse.created_unix_ns};
    if (sparks == NULL) {
      sparks = g_array_new(FALSE, FALSE, sizeof spark);
      g_hash_table_insert(sparklines->by_pid, GINT_TO_POINTER(pulse.pid), sparks);
    }
    g_array_append_val(sparks, spark);
  }
  return sparklines;
}

void sparklines_free(struct sparklines *sparklines)
{
  g_hash_table_destroy(sparklines->by_pid);
  g_free(sparklines);
}

static void append_point(GString *page, double x, double y)
{
  char number[G_ASCII_DTOSTR_BUF_SIZE];
  g_string_append_printf(page, "%s,", g_ascii_formatd(number, sizeof number, "%.1f", x));
  g_string_append_printf(page, "%s ", g_ascii_formatd(number, sizeof number, "%.1f", y));
}

/* From 0 to the most, so that a flat line is flat whatever its noise. */
static void append_line(GString *page, const GArray *sparks)
{
  const struct spark *all = (const struct spark *)(const void *)sparks->data;
  double start = (double)all[0].time_unix_ns, time = (double)all[sparks->len - 1].time_unix_ns - start, most = 1;
  for (guint i = 0; i < sparks->len; i++)
    most = MAX(most, all[i].bytes);
  for (guint i = 0; i < sparks->len; i++)
    append_point(page, time > 0 ? WIDTH * ((double)all[i].time_unix_ns - start) / time : 0,
                 1 + (HEIGHT - 2) * (1 - all[i].bytes / most));
}

void sparklines_append(GString *page, const struct sparklines *sparklines, int pid, uint64_t created_unix_ns)
{
  const GArray *sparks = g_hash_table_lookup(sparklines->by_pid, GINT_TO_POINTER(pid));
  if (sparks == NULL || sparks->len < 2)
    return;
  const struct spark *first = &g_array_index(sparks, struct spark, 0),
                     *last = &g_array_index(sparks, struct spark, sparks->len - 1);
  if (last->created_unix_ns != created_unix_ns || first->created_unix_ns != created_unix_ns)
    return;
  g_string_append_printf(page,
                         "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"from %s to %s\"><polyline points=\"",
                         WIDTH, HEIGHT, quantity(first->bytes, "bytes").text, quantity(last->bytes, "bytes").text);
  append_line(page, sparks);
  g_string_append(page, "\"/></svg>");
}
