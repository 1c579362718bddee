/* SPDX-License-Identifier: MIT */
#include "tools/record/condition.h"

#include "tools/record/amount.h"
#include "tools/terminal/say.h"

#include <string.h>

static bool read_percentage(const char *text, double *bound)
{
  char *end;
  if (!g_ascii_isdigit(text[0]))
    return false;
  *bound = g_ascii_strtod(text, &end);
  return strcmp(end, "%") == 0 && *bound <= 100;
}

static bool read_size(const char *text, double *bound)
{
  uint64_t bytes;
  if (!amount_size(text, &bytes))
    return false;
  *bound = (double)bytes;
  return true;
}

static bool read_growth(const char *text, struct condition *condition)
{
  g_auto(GStrv) parts = g_strsplit(text, "/", 2);
  return g_strv_length(parts) == 2 && read_size(parts[0], &condition->bound) &&
         amount_duration(parts[1], &condition->window_ns);
}

static bool read_one(const char *text, struct condition *condition)
{
  static const char *const names[] = {"inuse", "growth", "cgroup", "psi"};
  g_auto(GStrv) sides = g_strsplit(text, ">", 2);
  *condition = (struct condition){.text = text};
  if (g_strv_length(sides) != 2)
    return false;
  for (unsigned kind = 0; kind < G_N_ELEMENTS(names); kind++) {
    if (strcmp(sides[0], names[kind]) != 0)
      continue;
    condition->kind = (enum condition_kind)kind;
    return kind == CONDITION_INUSE    ? read_size(sides[1], &condition->bound)
           : kind == CONDITION_GROWTH ? read_growth(sides[1], condition)
                                      : read_percentage(sides[1], &condition->bound);
  }
  return false;
}

GArray *conditions_read(const char *const *texts)
{
  g_autoptr(GArray) conditions = g_array_new(FALSE, FALSE, sizeof(struct condition));
  for (; *texts != NULL; texts++) {
    struct condition condition;
    if (!read_one(*texts, &condition)) {
      say("--at takes inuse>SIZE, growth>SIZE/TIME, cgroup>PERCENT%% or psi>PERCENT%% (inuse>2G, growth>100M/10m, "
          "cgroup>90%%, psi>10%%), in quotes for the shell, not '%s'",
          *texts);
      return NULL;
    }
    g_array_append_val(conditions, condition);
  }
  return g_steal_pointer(&conditions);
}
