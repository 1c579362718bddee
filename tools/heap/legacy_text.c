/* SPDX-License-Identifier: MIT */
#include "tools/heap/legacy_text.h"

#include <glib.h>
#include <string.h>

static void trim(struct legacy_line *line)
{
  while (line->position < line->end && g_ascii_isspace(*line->position))
    line->position++;
  while (line->position < line->end && g_ascii_isspace(line->end[-1]))
    line->end--;
}

bool legacy_text_next(struct legacy_text *text, struct legacy_line *line)
{
  if (text->position == text->end)
    return false;
  size_t left = (size_t)(text->end - text->position);
  const char *newline = memchr(text->position, '\n', left);
  *line = (struct legacy_line){text->position, newline != NULL ? newline : text->end};
  text->position = newline != NULL ? newline + 1 : text->end;
  text->line_number++;
  trim(line);
  return true;
}

static struct legacy_line behind_blanks(const struct legacy_line *line)
{
  struct legacy_line rest = *line;
  while (rest.position < rest.end && g_ascii_isspace(*rest.position))
    rest.position++;
  return rest;
}

bool legacy_line_is_empty(const struct legacy_line *line)
{
  return behind_blanks(line).position == line->end;
}

bool legacy_line_begins(const struct legacy_line *line, const char *start)
{
  size_t length = strlen(start);
  return legacy_line_length(line) >= length && memcmp(line->position, start, length) == 0;
}

bool legacy_line_take(struct legacy_line *line, const char *what)
{
  struct legacy_line rest = behind_blanks(line);
  if (!legacy_line_begins(&rest, what))
    return false;
  line->position = rest.position + strlen(what);
  return true;
}

/* The digits to the base that are next; at least one, and no more than fit below `limit`. */
static bool take_digits(struct legacy_line *line, unsigned base, uint64_t limit, uint64_t *number)
{
  const char *position = line->position;
  uint64_t sum = 0;
  for (; position < line->end; position++) {
    int digit = g_ascii_xdigit_value(*position);
    if (digit < 0 || (unsigned)digit >= base)
      break;
    if (sum > (limit - (unsigned)digit) / base)
      return false;
    sum = sum * base + (unsigned)digit;
  }
  if (position == line->position)
    return false;
  line->position = position;
  *number = sum;
  return true;
}

bool legacy_line_take_number(struct legacy_line *line, int64_t *number)
{
  struct legacy_line rest = behind_blanks(line);
  bool is_negative = rest.position < rest.end && *rest.position == '-';
  uint64_t size;
  rest.position += is_negative;
  if (!take_digits(&rest, 10, INT64_MAX, &size))
    return false;
  *number = is_negative ? -(int64_t)size : (int64_t)size;
  *line = rest;
  return true;
}

bool legacy_line_take_hex(struct legacy_line *line, uint64_t *number)
{
  struct legacy_line rest = behind_blanks(line);
  if (legacy_line_begins(&rest, "0x"))
    rest.position += strlen("0x");
  if (!take_digits(&rest, 16, UINT64_MAX, number))
    return false;
  *line = rest;
  return true;
}

bool legacy_line_take_word(struct legacy_line *line, struct legacy_line *word)
{
  struct legacy_line rest = behind_blanks(line);
  const char *end = rest.position;
  while (end < rest.end && !g_ascii_isspace(*end))
    end++;
  if (end == rest.position)
    return false;
  *word = (struct legacy_line){rest.position, end};
  line->position = end;
  return true;
}
