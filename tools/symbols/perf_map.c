/* SPDX-License-Identifier: MIT */
#include "tools/symbols/perf_map.h"

#include <string.h>

struct text {
  const char *at, *end;
};

static void skip_blanks(struct text *text)
{
  while (text->at < text->end && (*text->at == ' ' || *text->at == '\t'))
    text->at++;
}

/* With or without 0x. False: it is none, or too large. */
static bool take_number(struct text *text, uint64_t *number)
{
  unsigned digits = 0;
  *number = 0;
  skip_blanks(text);
  if (text->end - text->at > 2 && text->at[0] == '0' && (text->at[1] == 'x' || text->at[1] == 'X'))
    text->at += 2;
  for (; text->at < text->end && g_ascii_isxdigit(*text->at); text->at++) {
    digits += *number > 0 || digits == 0;
    *number = *number << 4 | (uint64_t)g_ascii_xdigit_value(*text->at);
  }
  bool is_whole = text->at < text->end && (*text->at == ' ' || *text->at == '\t');
  return digits > 0 && digits <= 16 && is_whole;
}

static void read_line(const char *line, const char *end, struct code_names *names)
{
  struct text text = {line, end};
  uint64_t start, size;
  if (!take_number(&text, &start) || !take_number(&text, &size))
    return;
  skip_blanks(&text);
  if (text.end > text.at && text.end[-1] == '\r')
    text.end--;
  code_names_offer(names, start, size, text.at, (size_t)(text.end - text.at));
}

/* The last line first. One without an end is still being written. */
void perf_map_read(const char *text, size_t size, struct code_names *names)
{
  const char *end = size > 0 ? memrchr(text, '\n', size) : NULL;
  while (end != NULL && !code_names_are_complete(names)) {
    const char *before = end > text ? memrchr(text, '\n', (size_t)(end - text)) : NULL;
    read_line(before != NULL ? before + 1 : text, end, names);
    end = before;
  }
}
