/* SPDX-License-Identifier: MIT */
#include "tools/serve/uri.h"

#include "tools/serve/numbers.h"

#include <glib.h>
#include <string.h>

/* A proxy is asked for "http://host/path". */
static const char *path_start(const char *uri)
{
  static const char scheme[] = "http://";
  if (g_ascii_strncasecmp(uri, scheme, sizeof scheme - 1) != 0)
    return uri;
  uri += sizeof scheme - 1;
  return uri + strcspn(uri, "/?#");
}

static void pop_element(GPtrArray *elements)
{
  if (elements->len > 0)
    g_ptr_array_remove_index(elements, elements->len - 1);
}

char *uri_path(const char *uri)
{
  const char *start = path_start(uri);
  g_autofree char *path = g_strndup(start, strcspn(start, "?#"));
  g_auto(GStrv) parts = g_strsplit(path, "/", -1);
  g_autoptr(GPtrArray) elements = g_ptr_array_new();
  for (char **part = parts; *part != NULL; part++) {
    if (strcmp(*part, "..") == 0)
      pop_element(elements);
    else if ((*part)[0] != '\0' && strcmp(*part, ".") != 0)
      g_ptr_array_add(elements, *part);
  }
  GString *cleaned = g_string_new(NULL);
  for (guint i = 0; i < elements->len; i++)
    g_string_append_printf(cleaned, "/%s", (const char *)g_ptr_array_index(elements, i));
  if (elements->len == 0 || g_str_has_suffix(path, "/"))
    g_string_append_c(cleaned, '/');
  return g_string_free(cleaned, FALSE);
}

const char *uri_query(const char *uri)
{
  const char *mark = strchr(uri, '?');
  return mark != NULL ? mark + 1 : "";
}

/* NULL: a % that is no escape, or an escaped NUL. */
static char *decode(const char *text, size_t size, bool plus_is_space)
{
  g_autofree char *decoded = g_malloc(size + 1);
  size_t length = 0;
  for (size_t i = 0; i < size; i++) {
    char byte = text[i];
    if (byte == '+' && plus_is_space)
      byte = ' ';
    if (byte == '%') {
      int high = size - i > 2 ? g_ascii_xdigit_value(text[i + 1]) : -1,
          low = high >= 0 ? g_ascii_xdigit_value(text[i + 2]) : -1;
      if (low < 0 || (high == 0 && low == 0))
        return NULL;
      byte = (char)(high << 4 | low);
      i += 2;
    }
    decoded[length++] = byte;
  }
  decoded[length] = '\0';
  return g_steal_pointer(&decoded);
}

char *uri_decoded(const char *element)
{
  return decode(element, strlen(element), false);
}

char *uri_value(const char *query, const char *key)
{
  for (const char *part = query, *end; *part != '\0'; part = *end != '\0' ? end + 1 : end) {
    end = part + strcspn(part, "&");
    const char *equals = memchr(part, '=', (size_t)(end - part));
    if (memchr(part, ';', (size_t)(end - part)) != NULL)
      continue;
    g_autofree char *name = decode(part, (size_t)((equals != NULL ? equals : end) - part), true);
    if (name == NULL || strcmp(name, key) != 0)
      continue;
    const char *start = equals != NULL ? equals + 1 : end;
    char *value = decode(start, (size_t)(end - start), true);
    if (value != NULL)
      return value;
  }
  return NULL;
}

long uri_number(const char *query, const char *key)
{
  g_autofree char *value = uri_value(query, key);
  int64_t number = 0;
  if (value != NULL)
    (void)numbers_signed(value, strlen(value), &number);
  return number;
}
