/* SPDX-License-Identifier: MIT */
#include "tools/serve/numbers.h"

#include <glib.h>
#include <stdbool.h>

struct digits {
  const char *next, *end;
  unsigned base;
  bool may_have_underscores;
};

/* 0b, 0o, 0x or just 0 in front. */
static struct digits digits_of_any_base(const char *text, size_t size)
{
  struct digits digits = {text, text + size, 10, true};
  if (size < 2 || text[0] != '0')
    return digits;
  int letter = g_ascii_tolower(text[1]);
  bool has_letter = size >= 3 && (letter == 'b' || letter == 'o' || letter == 'x');
  digits.base = letter == 'b' && has_letter ? 2 : letter == 'x' && has_letter ? 16 : 8;
  digits.next += has_letter ? 2 : 1;
  return digits;
}

/* Between digits, or between them and what tells the base. */
static bool is_underscore_in_place(const struct digits *digits, const char *start, const char *at)
{
  bool follows = at > start && at[-1] != '_' && (digits->base != 10 || g_ascii_isdigit(at[-1]));
  return follows && at + 1 < digits->end && g_ascii_isxdigit(at[1]);
}

static enum number_verdict read_digits(struct digits digits, const char *start, uint64_t most, uint64_t *number)
{
  bool fits = true;
  *number = 0;
  if (digits.next == digits.end)
    return NUMBER_SYNTAX;
  for (const char *at = digits.next; at < digits.end; at++) {
    if (*at == '_' && digits.may_have_underscores && is_underscore_in_place(&digits, start, at))
      continue;
    int digit = g_ascii_xdigit_value(*at);
    if (digit < 0 || (unsigned)digit >= digits.base) {
      *number = 0;
      return NUMBER_SYNTAX;
    }
    fits = fits && *number <= (most - (unsigned)digit) / digits.base;
    *number = fits ? *number * digits.base + (unsigned)digit : most;
  }
  return fits ? NUMBER_OK : NUMBER_RANGE;
}

enum number_verdict numbers_unsigned(const char *text, size_t size, uint64_t *number)
{
  return read_digits(digits_of_any_base(text, size), text, UINT64_MAX, number);
}

enum number_verdict numbers_signed(const char *text, size_t size, int64_t *number)
{
  bool has_sign = size > 0 && (text[0] == '-' || text[0] == '+'), is_negative = has_sign && text[0] == '-';
  struct digits digits = {text + has_sign, text + size, 10, false};
  uint64_t magnitude, most = (uint64_t)INT64_MAX + is_negative;
  enum number_verdict verdict = read_digits(digits, digits.next, most, &magnitude);
  *number = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
  return verdict;
}
