/* SPDX-License-Identifier: MIT */
#include "tools/record/amount.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

enum { DAY_SECONDS = 24 * 3600, MINUTE = 60 };

/* A number and what is behind it. */
static bool split(const char *text, double *number, const char **unit)
{
  char *end;
  if (!g_ascii_isdigit(text[0]))
    return false;
  *number = g_ascii_strtod(text, &end);
  *unit = end;
  return true;
}

bool amount_duration(const char *text, int64_t *ns)
{
  static const struct {
    const char *name;
    double seconds;
  } units[] = {{"", 1}, {"s", 1}, {"m", MINUTE}, {"min", MINUTE}, {"h", 3600}, {"d", DAY_SECONDS}};
  static const double most_seconds = 8e9;
  double number;
  const char *unit;
  if (!split(text, &number, &unit))
    return false;
  for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
    if (strcmp(units[i].name, unit) == 0 && number * units[i].seconds <= most_seconds) {
      *ns = (int64_t)(number * units[i].seconds * (double)AMOUNT_SECOND_NS);
      return *ns > 0;
    }
  return false;
}

bool amount_size(const char *text, uint64_t *bytes)
{
  static const char steps[] = "KMGT";
  static const double most = 0x1p60;
  double number;
  const char *unit;
  if (!split(text, &number, &unit))
    return false;
  const char *step = unit[0] != '\0' ? strchr(steps, g_ascii_toupper(unit[0])) : NULL;
  for (long left = step != NULL ? step - steps + 1 : 0; left > 0; left--)
    number *= 1024;
  const char *rest = step != NULL ? unit + 1 : unit;
  if (rest[0] != '\0' && g_ascii_strcasecmp(rest, "B") != 0 && g_ascii_strcasecmp(rest, "iB") != 0)
    return false;
  *bytes = (uint64_t)MIN(number, most);
  return number >= 1 && number <= most;
}

struct clock_time {
  int year, month, day, hour, minute, second; /* year 0: any day; second -1: the whole minute */
};

static bool read_clock(const char *text, struct clock_time *time)
{
  int length = 0;
  *time = (struct clock_time){.second = -1};
  if (sscanf(text, "%4d-%2d-%2d%*1[T ]%n", &time->year, &time->month, &time->day, &length) == 3 && length > 0)
    text += length;
  else
    time->year = 0;
  if (sscanf(text, "%2d:%2d%n", &time->hour, &time->minute, &length) != 2)
    return false;
  text += length;
  if (text[0] == ':' && sscanf(text, ":%2d%n", &time->second, &length) == 1)
    text += length;
  return text[0] == '\0';
}

/* -1: there is no such time. */
static int64_t seconds_of(const struct clock_time *time)
{
  g_autoptr(GDateTime) local =
      g_date_time_new_local(time->year, time->month, time->day, time->hour, time->minute, MAX(time->second, 0));
  return local != NULL ? g_date_time_to_unix(local) : -1;
}

/* Today or yesterday, seen from then. */
static int64_t last_before(struct clock_time time, int64_t latest)
{
  g_autoptr(GDateTime) day = g_date_time_new_from_unix_local(latest);
  for (int turn = 0; turn < 2 && day != NULL; turn++) {
    g_date_time_get_ymd(day, &time.year, &time.month, &time.day);
    int64_t seconds = seconds_of(&time);
    if (seconds < 0 || seconds <= latest)
      return seconds;
    GDateTime *before = g_date_time_add_days(day, -1);
    g_date_time_unref(day);
    day = before;
  }
  return -1;
}

/* Digits, perhaps with a fraction; *step_ns: what its last digit counts. */
static bool read_unix_time(const char *text, int64_t *time_ns, int64_t *step_ns)
{
  static const int64_t most_seconds = INT64_MAX / AMOUNT_SECOND_NS - 1;
  guint64 seconds;
  g_auto(GStrv) parts = g_strsplit(text, ".", 2);
  if (parts[0] == NULL || !g_ascii_string_to_unsigned(parts[0], 10, 0, (guint64)most_seconds, &seconds, NULL))
    return false;
  *time_ns = (int64_t)seconds * AMOUNT_SECOND_NS;
  *step_ns = AMOUNT_SECOND_NS;
  const char *digit = parts[1] != NULL ? parts[1] : "";
  for (; g_ascii_isdigit(*digit) && *step_ns > 1; digit++) {
    *step_ns /= 10;
    *time_ns += *step_ns * (*digit - '0');
  }
  return *digit == '\0' && (parts[1] == NULL || digit > parts[1]);
}

bool amount_time(const char *text, int64_t latest_ns, int64_t *time_ns)
{
  struct clock_time time;
  int64_t step_ns;
  if (g_str_has_prefix(text, "unix:")) {
    if (!read_unix_time(text + strlen("unix:"), time_ns, &step_ns))
      return false;
    *time_ns += step_ns - 1;
    return true;
  }
  if (!read_clock(text, &time))
    return false;
  int64_t seconds = time.year != 0 ? seconds_of(&time) : last_before(time, latest_ns / AMOUNT_SECOND_NS);
  if (seconds < 0)
    return false;
  *time_ns = (seconds + (time.second < 0 ? MINUTE : 1)) * AMOUNT_SECOND_NS - 1;
  return true;
}

/* On a day on which no clock is changed. */
bool amount_is_moment(const char *text)
{
  static const char *const words[] = {"first", "last", "largest"};
  const int64_t day_ns = 979560000 * AMOUNT_SECOND_NS; /* 2001-01-15 */
  int64_t time_ns;
  guint64 number;
  for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
    if (strcmp(text, words[i]) == 0)
      return true;
  if (g_str_has_prefix(text, AMOUNT_KEPT))
    return g_ascii_string_to_unsigned(text + strlen(AMOUNT_KEPT), 10, 1, G_MAXINT64, &number, NULL);
  return amount_time(text, day_ns, &time_ns);
}

char *amount_shown_time(int64_t time_ns)
{
  g_autoptr(GDateTime) local = g_date_time_new_from_unix_local(time_ns / AMOUNT_SECOND_NS);
  return local != NULL ? g_date_time_format(local, "%Y-%m-%d %H:%M:%S") : g_strdup("?");
}
