/* SPDX-License-Identifier: MIT */
#include "tools/serve/sites.h"

#include "core/comments.h"
#include "tools/filter/plumbing.h"
#include "tools/terminal/say.h"
#include "tools/views/rows.h"

#include <string.h>

struct sites_shown {
  GHashTable *then, *now; /* "PID CREATED\tNAME" */
};

static GHashTable *new_lines(void)
{
  return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

struct sites_shown *sites_shown_of(const char *text, size_t size)
{
  struct sites_shown *shown = g_new(struct sites_shown, 1);
  *shown = (struct sites_shown){new_lines(), new_lines()};
  g_autofree char *copy = g_strndup(text, size);
  g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    if ((*line)[0] != '\0')
      g_hash_table_add(shown->then, g_strdup(*line));
  return shown;
}

GString *sites_shown_text(const struct sites_shown *shown)
{
  GString *text = g_string_new(NULL);
  GHashTableIter iterator;
  gpointer line;
  g_hash_table_iter_init(&iterator, shown->now);
  while (g_hash_table_iter_next(&iterator, &line, NULL))
    g_string_append_printf(text, "%s\n", (const char *)line);
  return text;
}

void sites_shown_free(struct sites_shown *shown)
{
  g_hash_table_destroy(shown->then);
  g_hash_table_destroy(shown->now);
  g_free(shown);
}

static char *process_of(const struct heap *heap)
{
  const char *pid = heap_comment(heap, COMMENT_pid), *created = heap_comment(heap, COMMENT_created_unix_ns);
  return g_strdup_printf("%s %s\t", pid != NULL ? pid : "", created != NULL ? created : "");
}

/* Those of the process stay, shown this time or not. Returns how many they are. */
static uint32_t keep_names(struct sites_shown *shown, const char *process)
{
  uint32_t count = 0;
  GHashTableIter iterator;
  gpointer line;
  g_hash_table_iter_init(&iterator, shown->then);
  while (g_hash_table_iter_next(&iterator, &line, NULL))
    if (g_str_has_prefix(line, process)) {
      g_hash_table_add(shown->now, g_strdup(line));
      count++;
    }
  return count;
}

/* May the name be shown: was it before, or is there room for one more? */
static bool may_show(struct sites_shown *shown, const char *process, const char *name, uint32_t *names,
                     uint32_t names_max)
{
  g_autofree char *line = g_strconcat(process, name, NULL);
  if (g_hash_table_contains(shown->now, line))
    return true;
  if (*names >= names_max)
    return false;
  (*names)++;
  g_hash_table_add(shown->now, g_steal_pointer(&line));
  return true;
}

static void free_site(gpointer site)
{
  g_free(((struct site *)site)->name);
}

/* Functions of one name are one, also where one is called as the rest is. NULL: it is not there. */
static struct site *find_site(const GArray *sites, struct site *other, const char *name)
{
  if (strcmp(other->name, name) == 0)
    return other;
  for (guint i = 0; i < sites->len; i++)
    if (strcmp(g_array_index(sites, struct site, i).name, name) == 0)
      return &g_array_index(sites, struct site, i);
  return NULL;
}

GArray *sites_of(struct heap *heap, uint32_t count, struct sites_shown *shown)
{
  GArray *sites = g_array_new(FALSE, FALSE, sizeof(struct site));
  g_array_set_clear_func(sites, free_site);
  g_autofree char *process = process_of(heap);
  uint32_t names = keep_names(shown, process);
  plumbing_mark(heap, NULL);
  struct rows *rows = rows_of(heap, heap_find_type(heap, "inuse_space"), ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  struct site other = {g_strdup("[other]"), 0};
  for (guint i = 0; i < rows->rows->len; i++) {
    const struct row *row = &g_array_index(rows->rows, struct row, i);
    g_autofree char *name = printable(row->name);
    struct site *known = find_site(sites, &other, name);
    if (row->flat <= 0)
      continue;
    if (known != NULL) {
      known->bytes += row->flat;
    } else if (sites->len < count && may_show(shown, process, name, &names, SITES_NAMES_FACTOR * count)) {
      struct site site = {g_steal_pointer(&name), row->flat};
      g_array_append_val(sites, site);
    } else {
      other.bytes += row->flat;
    }
  }
  g_array_append_val(sites, other);
  rows_free(rows);
  return sites;
}
