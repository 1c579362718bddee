/* SPDX-License-Identifier: MIT */
#include "tools/terminal/quantity.h"

#include <errno.h>
#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double Z_95 = 1.959963985;
static const double DURATION_MAX_S = 1e15;

struct step {
  const char *name;
  double size;
};

static const struct step byte_steps[] = {{"B", 1},       {"kB", 0x1p10}, {"MB", 0x1p20},
                                         {"GB", 0x1p30}, {"TB", 0x1p40}, {"PB", 0x1p50}};
static const struct step time_steps[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"hrs", 3600e9}};

/* Units that are shown in steps, and how many of the first step they are. */
static const struct unit {
  const char *names[2];
  double factor;
  const struct step *steps;
  size_t step_count;
} units[] = {
    {{"bytes", "byte"}, 1, byte_steps, G_N_ELEMENTS(byte_steps)},
    {{"nanoseconds", "ns"}, 1, time_steps, G_N_ELEMENTS(time_steps)},
    {{"microseconds", "us"}, 1e3, time_steps, G_N_ELEMENTS(time_steps)},
    {{"milliseconds", "ms"}, 1e6, time_steps, G_N_ELEMENTS(time_steps)},
    {{"seconds", "s"}, 1e9, time_steps, G_N_ELEMENTS(time_steps)},
};

static const struct unit *find_unit(const char *name)
{
  for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
    if (strcmp(name, units[i].names[0]) == 0 || strcmp(name, units[i].names[1]) == 0)
      return &units[i];
  return NULL;
}

static bool is_zero_text(const char *text)
{
  return strcmp(text, "0") == 0 || strcmp(text, "-0") == 0;
}

struct quantity_text quantity(double value, const char *unit_name)
{
  struct quantity_text result;
  const struct unit *unit = find_unit(unit_name);
  if (unit == NULL) {
    snprintf(result.text, sizeof result.text, "%.0f", value);
    return is_zero_text(result.text) ? (struct quantity_text){"0"} : result;
  }
  value *= unit->factor;
  const struct step *step = unit->steps, *last = unit->steps + unit->step_count - 1;
  while (step < last && fabs(value) >= step[1].size)
    step++;
  snprintf(result.text, sizeof result.text - 4, "%.2f", value / step->size);
  if (g_str_has_suffix(result.text, ".00"))
    result.text[strlen(result.text) - 3] = '\0';
  if (is_zero_text(result.text))
    return (struct quantity_text){"0"};
  strcat(result.text, step->name);
  return result;
}

struct quantity_text quantity_signed(double value, const char *unit)
{
  struct quantity_text plain = quantity(value, unit);
  if (value <= 0)
    return plain;
  struct quantity_text result = {"+"};
  g_strlcat(result.text, plain.text, sizeof result.text);
  return result;
}

double quantity_half_width(double variance)
{
  return variance > 0 ? Z_95 * sqrt(variance) : 0;
}

struct quantity_text quantity_error(double value, double variance, const char *unit)
{
  struct quantity_text result = {""};
  if (variance > 0) {
    struct quantity_text half = quantity(quantity_half_width(variance), unit);
    snprintf(result.text, sizeof result.text, "±%.28s", half.text);
  } else if (value != 0) {
    strcpy(result.text, "exact");
  }
  return result;
}

struct quantity_text quantity_percentage(double part, double whole)
{
  struct quantity_text result;
  double percent = whole != 0 ? 100 * part / whole : 0;
  if (fabs(percent) >= 99.95 && fabs(percent) <= 100.05)
    snprintf(result.text, sizeof result.text, "%.0f%%", percent);
  else if (fabs(percent) >= 1)
    snprintf(result.text, sizeof result.text, "%.2f%%", percent);
  else
    snprintf(result.text, sizeof result.text, "%.2g%%", percent + 0.0); /* -0 is 0 */
  return result;
}

struct quantity_text quantity_duration(double seconds)
{
  struct quantity_text result;
  seconds = seconds > 0 ? MIN(seconds, DURATION_MAX_S) : 0; /* not a number: 0 */
  long whole = (long)seconds;
  if (seconds < 60)
    snprintf(result.text, sizeof result.text, "%.1f s", seconds);
  else if (whole < 3600)
    snprintf(result.text, sizeof result.text, "%ldm %lds", whole / 60, whole % 60);
  else if (whole < 86400)
    snprintf(result.text, sizeof result.text, "%ldh %ldm", whole / 3600, whole / 60 % 60);
  else
    snprintf(result.text, sizeof result.text, "%ldd %ldh", whole / 86400, whole / 3600 % 24);
  return result;
}
