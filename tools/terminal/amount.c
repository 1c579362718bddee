/* SPDX-License-Identifier: MIT */
#include "tools/terminal/amount.h"

#include <glib.h>
#include <math.h>
#include <string.h>

struct amount_unit {
  char letter;
  uint64_t factor;
};

static bool read_amount(const char *text, const struct amount_unit *units, uint64_t *amount)
{
  guint64 number, factor = 1;
  size_t digits = strspn(text, "0123456789");
  g_autofree char *plain = g_strndup(text, digits);
  if (!g_ascii_string_to_unsigned(plain, 10, 0, UINT64_MAX, &number, NULL))
    return false;
  if (text[digits] != '\0') {
    while (units->letter != '\0' && units->letter != text[digits])
      units++;
    factor = units->factor;
    if (factor == 0 || text[digits + 1] != '\0')
      return false;
  }
  *amount = number;
  return !__builtin_mul_overflow(*amount, factor, amount);
}

bool amount_seconds(const char *text, uint64_t *seconds)
{
  static const struct amount_unit units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'\0', 0}};
  return read_amount(text, units, seconds);
}

bool amount_bytes(const char *text, uint64_t *bytes)
{
  static const struct amount_unit units[] = {
      {'K', 1 << 10}, {'M', 1 << 20}, {'G', 1 << 30}, {'T', UINT64_C(1) << 40}, {'\0', 0}};
  return read_amount(text, units, bytes);
}

const char *amount_end(const char *text)
{
  size_t whole = strspn(text, "0123456789");
  const char *end = text + whole;
  if (end[0] == '.')
    end += 1 + strspn(end + 1, "0123456789");
  return whole > 0 ? end : NULL;
}

double amount_factor(const char *unit)
{
  static const char steps[] = "KMGT";
  const char *step = unit[0] != '\0' ? strchr(steps, g_ascii_toupper(unit[0])) : NULL;
  const char *rest = step != NULL ? unit + 1 : unit;
  bool is_bytes =
      rest[0] == '\0' || g_ascii_strcasecmp(rest, "B") == 0 || (step != NULL && g_ascii_strcasecmp(rest, "iB") == 0);
  if (!is_bytes)
    return 0;
  return step != NULL ? ldexp(1, 10 * (int)(step - steps + 1)) : 1;
}
