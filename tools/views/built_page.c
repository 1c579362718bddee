/* SPDX-License-Identifier: MIT */
#include "tools/views/built_page.h"

GBytes *built_page_with(const char *start, const char *end, const GString *json)
{
  static const char mark[] = "@PROFILE@"; /* there once: the build sees to it */
  const char *place = g_strstr_len(start, end - start, mark);
  const char *rest = place + sizeof mark - 1;
  GByteArray *page = g_byte_array_new();
  g_byte_array_append(page, (const guint8 *)start, (guint)(place - start));
  g_byte_array_append(page, (const guint8 *)json->str, (guint)json->len);
  g_byte_array_append(page, (const guint8 *)rest, (guint)(end - rest));
  return g_byte_array_free_to_bytes(page);
}
