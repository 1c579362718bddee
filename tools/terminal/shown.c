/* SPDX-License-Identifier: MIT */
#include "tools/terminal/shown.h"

#include <glib.h>
#include <string.h>

bool shown_is_utf8(void)
{
  return g_get_charset(NULL);
}

static bool may_be_sent(gunichar c)
{
  switch (g_unichar_type(c)) {
  case G_UNICODE_CONTROL:
  case G_UNICODE_FORMAT: /* turns the direction of writing, or is invisible */
  case G_UNICODE_LINE_SEPARATOR:
  case G_UNICODE_PARAGRAPH_SEPARATOR:
  case G_UNICODE_SURROGATE: return false;
  default: return true;
  }
}

/* For signs of ours; NULL: not one. */
static const char *ascii_for(gunichar c)
{
  static const struct {
    gunichar sign;
    const char *ascii;
  } table[] = {{0xb1, "+/-"}, {0xd7, "x"},   {0x2026, "..."}, {0x2192, "->"},
               {0x2500, "-"}, {0x2502, "|"}, {0x2514, "`"},   {0x251c, "+"}};
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
    if (table[i].sign == c)
      return table[i].ascii;
  return NULL;
}

char *shown_signs(const char *text)
{
  bool is_utf8 = shown_is_utf8();
  GString *shown = g_string_new(NULL);
  while (*text != '\0') {
    gunichar value = g_utf8_get_char_validated(text, -1);
    bool is_valid = (gint32)value >= 0;
    size_t length = is_valid ? (size_t)(g_utf8_next_char(text) - text) : 1;
    const char *ascii = is_utf8 || !is_valid ? NULL : ascii_for(value);
    if (ascii != NULL)
      g_string_append(shown, ascii);
    else
      g_string_append_len(shown, text, (gssize)length);
    text += length;
  }
  return g_string_free(shown, FALSE);
}

char *shown_text(const char *text)
{
  bool is_utf8 = shown_is_utf8();
  GString *shown = g_string_new(NULL);
  for (const char *c = text; *c != '\0';) {
    gunichar value = g_utf8_get_char_validated(c, -1);
    bool is_broken = value == (gunichar)-1 || value == (gunichar)-2;
    const char *ascii = is_utf8 || is_broken ? NULL : ascii_for(value);
    if (is_broken || (value < 0x80 && !may_be_sent(value)))
      g_string_append_printf(shown, "\\x%02x", (unsigned char)*c);
    else if (ascii != NULL)
      g_string_append(shown, ascii);
    else if (!may_be_sent(value))
      g_string_append_printf(shown, "\\u{%x}", value);
    else
      g_string_append_unichar(shown, value);
    c = is_broken ? c + 1 : g_utf8_next_char(c);
  }
  return g_string_free(shown, FALSE);
}

static int width_of(gunichar c)
{
  return g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
}

int shown_width(const char *text)
{
  int width = 0;
  for (; *text != '\0'; text = g_utf8_next_char(text))
    width += width_of(g_utf8_get_char(text));
  return width;
}

static const char *end_of_head(const char *text, int width)
{
  for (; *text != '\0' && width_of(g_utf8_get_char(text)) <= width; text = g_utf8_next_char(text))
    width -= width_of(g_utf8_get_char(text));
  return text;
}

/* Never before `first`. A combining character stays with what it is put on. */
static const char *start_of_tail(const char *text, const char *first, int width)
{
  const char *start = text + strlen(text);
  for (const char *c = start; c > first;) {
    c = g_utf8_prev_char(c);
    int wide = width_of(g_utf8_get_char(c));
    width -= wide;
    if (width < 0)
      break;
    if (wide > 0)
      start = c;
  }
  return start;
}

char *shown_cut_end(const char *text, int width)
{
  return g_strndup(text, (size_t)(end_of_head(text, width) - text));
}

char *shown_cut_middle(const char *text, int width)
{
  if (shown_width(text) <= width)
    return g_strdup(text);
  g_autofree char *dots = shown_text("…");
  int room = width - shown_width(dots);
  if (room <= 0)
    return shown_cut_end(dots, MAX(width, 0));
  const char *head_end = end_of_head(text, room / 2);
  g_autofree char *head = g_strndup(text, (size_t)(head_end - text));
  return g_strconcat(head, dots, start_of_tail(text, head_end, room - room / 2), NULL);
}
