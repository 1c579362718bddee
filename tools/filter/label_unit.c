/* SPDX-License-Identifier: MIT */
#include "tools/filter/label_unit.h"

#include <string.h>

static const char bytes[] = "bytes", nanoseconds[] = "nanoseconds";

static const struct unit {
  const char *names[3];
  const char *base;
  double factor;
} units[] = {
    {{"b", "byte", ""}, bytes, 1},
    {{"kb", "kbyte", "kilobyte"}, bytes, 0x1p10},
    {{"mb", "mbyte", "megabyte"}, bytes, 0x1p20},
    {{"gb", "gbyte", "gigabyte"}, bytes, 0x1p30},
    {{"tb", "tbyte", "terabyte"}, bytes, 0x1p40},
    {{"pb", "pbyte", "petabyte"}, bytes, 0x1p50},
    {{"ns", "nanosecond", ""}, nanoseconds, 1},
    {{"us", "microsecond", "μs"}, nanoseconds, 1e3},
    {{"ms", "millisecond", ""}, nanoseconds, 1e6},
    {{"s", "sec", "second"}, nanoseconds, 1e9},
    {{"hr", "hour", ""}, nanoseconds, 3600e9},
};

/* NULL: nobody knows it. */
static const struct unit *find_unit(const char *text)
{
  g_autofree char *name = g_utf8_strdown(text, -1);
  if (strlen(name) > 2 && g_str_has_suffix(name, "s"))
    name[strlen(name) - 1] = '\0';
  for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
    for (size_t k = 0; k < G_N_ELEMENTS(units[i].names); k++)
      if (name[0] != '\0' && strcmp(units[i].names[k], name) == 0)
        return &units[i];
  return NULL;
}

const char *label_unit_base(const char *name, double number, double *value)
{
  const struct unit *unit = find_unit(name);
  *value = unit != NULL ? number * unit->factor : number;
  return unit != NULL ? unit->base : NULL;
}

/* As pprof takes it: "alignment" and "request" are bytes, others are of the unit that they are called. */
const char *label_unit(const struct heap_label *label)
{
  if (label->unit[0] != '\0')
    return label->unit;
  return strcmp(label->key, "alignment") == 0 || strcmp(label->key, "request") == 0 ? "bytes" : label->key;
}
