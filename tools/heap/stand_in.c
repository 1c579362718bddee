/* SPDX-License-Identifier: MIT */
#include "tools/heap/stand_in.h"

#include <string.h>

static const char *base_of(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

char *stand_in_for_mapping(const char *path)
{
  const char *base = base_of(path);
  if (path[0] == '\0')
    return g_strdup("<unknown>");
  return base[0] == '[' ? g_strdup(base) /* [vdso] */ : g_strconcat("[", base, "]", NULL);
}

char *stand_in_for_function(const char *path, uint64_t start)
{
  return g_strdup_printf("%s+0x%" G_GINT64_MODIFIER "x", base_of(path), start);
}

static bool is_hexadecimal(const char *text)
{
  return text[0] != '\0' && text[strspn(text, "0123456789abcdef")] == '\0';
}

bool stand_in_start(const char *name, const char *path, uint64_t *start)
{
  const char *base = base_of(path);
  size_t length = strlen(base);
  if (length == 0 || strncmp(name, base, length) != 0 || !g_str_has_prefix(name + length, "+0x"))
    return false;
  const char *digits = name + length + strlen("+0x");
  *start = g_ascii_strtoull(digits, NULL, 16);
  return is_hexadecimal(digits);
}

static bool is_stand_in(const char *name, const char *path)
{
  uint64_t start;
  if (stand_in_start(name, path, &start))
    return true;
  g_autofree char *of_mapping = stand_in_for_mapping(path);
  return strcmp(name, of_mapping) == 0;
}

bool stand_in_is_all(const struct heap *heap, const struct heap_location *location)
{
  const struct heap_line *lines = heap_lines(heap, location);
  if (location->line_count != 1 || lines->line != 0)
    return location->line_count == 0;
  if (lines->function == HEAP_NONE)
    return true;
  const struct heap_function *function = heap_function(heap, lines->function);
  const char *path = location->mapping < heap->mappings->len ? heap_mapping(heap, location->mapping)->path : "";
  return function->file[0] == '\0' && (function->name[0] == '\0' || is_stand_in(function->name, path));
}
