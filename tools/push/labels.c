/* SPDX-License-Identifier: MIT */
#include "tools/push/labels.h"

#include <string.h>
#include <unistd.h>

enum { NAME_BYTES_MAX = 128, VALUE_BYTES_MAX = 1024 };

static gint compare_names(gconstpointer a, gconstpointer b, gpointer unused)
{
  (void)unused;
  return strcmp(a, b);
}

GTree *labels_new(void)
{
  return g_tree_new_full(compare_names, NULL, g_free, g_free);
}

static bool is_name(const char *text)
{
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  size_t size = strlen(text);
  return size > 0 && size <= NAME_BYTES_MAX && strspn(text, letters) == size && !g_ascii_isdigit(text[0]);
}

static bool is_value(const char *text)
{
  if (text[0] == '\0' || strlen(text) > VALUE_BYTES_MAX || !g_utf8_validate(text, -1, NULL))
    return false;
  for (; *text != '\0'; text = g_utf8_next_char(text))
    if (g_unichar_iscntrl(g_utf8_get_char(text)))
      return false;
  return true;
}

static bool is_ours(const char *name)
{
  return g_str_has_prefix(name, "__") || strcmp(name, "pid") == 0;
}

static const char *problem_of(GTree *given, const char *name, const char *value)
{
  if (!is_name(name))
    return "its name must be of letters, digits and _";
  if (is_ours(name))
    return "that name is taken";
  if (!is_value(value))
    return "its value must be a line of 1 to 1024 bytes in UTF-8";
  if (g_tree_lookup(given, name) != NULL)
    return "the name was given before";
  return g_tree_nnodes(given) == LABELS_GIVEN_MAX ? "there may be 20" : NULL;
}

bool labels_give(GTree *given, const char *text, GError **error)
{
  const char *sign = strchr(text, '='), *problem = "it must be NAME=VALUE";
  g_autofree char *name = g_strndup(text, sign != NULL ? (size_t)(sign - text) : 0);
  if (sign != NULL)
    problem = problem_of(given, name, sign + 1);
  if (problem == NULL)
    g_tree_insert(given, g_steal_pointer(&name), g_strdup(sign + 1));
  else
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--label '%s': %s", text, problem);
  return problem == NULL;
}

static void add(GTree *labels, const char *name, char *value)
{
  g_tree_replace(labels, g_strdup(name), value);
}

/* What a process calls itself may be any bytes. */
static char *service_of(const struct target *target)
{
  g_autofree char *name = g_utf8_make_valid(target->summary.program, -1);
  return g_strdup(is_value(name) ? name : "unnamed");
}

static char *host_name(void)
{
  char name[256] = "";
  (void)gethostname(name, sizeof name - 1);
  return g_strdup(is_value(name) ? name : "localhost");
}

static gboolean add_given(gpointer name, gpointer value, gpointer labels)
{
  add(labels, name, g_strdup(value));
  return FALSE;
}

GTree *labels_of(GTree *given, const struct target *target)
{
  GTree *labels = labels_new();
  add(labels, "__name__", g_strdup("memory"));
  add(labels, "__delta__",
      g_strdup("false")); /* alloc_* are differences already: the server must not take them again */
  add(labels, "service_name", service_of(target));
  add(labels, "host", host_name());
  g_tree_foreach(given, add_given, labels);
  add(labels, "pid", g_strdup_printf("%d", target->pid));
  return labels;
}

static gboolean add_line(gpointer name, gpointer value, gpointer text)
{
  g_string_append_printf(text, "%s=%s\n", (const char *)name, (const char *)value);
  return FALSE;
}

GString *labels_text(GTree *labels)
{
  GString *text = g_string_new(NULL);
  g_tree_foreach(labels, add_line, text);
  return text;
}

GTree *labels_of_text(const char *text)
{
  GTree *labels = labels_new();
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  guint count = 0;
  bool is_sound = true;
  for (; lines[count] != NULL && lines[count][0] != '\0'; count++) {
    char *sign = strchr(lines[count], '=');
    is_sound = is_sound && sign != NULL;
    if (sign == NULL)
      continue;
    *sign = '\0';
    is_sound = is_sound && is_name(lines[count]) && is_value(sign + 1);
    add(labels, lines[count], g_strdup(sign + 1));
  }
  is_sound = is_sound && count > 0 && lines[count] != NULL && lines[count + 1] == NULL;
  if (is_sound)
    return labels;
  g_tree_unref(labels);
  return NULL;
}
