/* SPDX-License-Identifier: MIT */
#include "tools/views/limit.h"

#include "tools/terminal/amount.h"
#include "tools/terminal/say.h"

#include <math.h>
#include <string.h>

static const double WRONGLY_BROKEN = 1e-4; /* of all commands that check limits */
static const double BOUND_MAX = 0x1p60;

/* Reading. */

static bool read_bound(const char *text, const struct limit_kind *kind, struct limit *limit)
{
  const char *unit = amount_end(text);
  if (unit == NULL)
    return false;
  limit->is_percentage = kind->takes_percentages && strcmp(unit, "%") == 0;
  bool is_number = !kind->is_of_bytes && unit[0] == '\0' && strchr(text, '.') == NULL;
  double factor = limit->is_percentage || is_number ? 1 : 0;
  if (kind->is_of_bytes && !limit->is_percentage)
    factor = amount_factor(unit);
  limit->bound = factor * g_ascii_strtod(text, NULL);
  return factor > 0 && limit->bound <= BOUND_MAX;
}

static bool read_limit(const char *text, const struct limit_kind *kinds, struct limit *limit)
{
  g_auto(GStrv) sides = g_strsplit(text, ">", 2);
  *limit = (struct limit){.text = text};
  if (g_strv_length(sides) != 2)
    return false;
  const char *name = g_strstrip(sides[0]), *bound = g_strstrip(sides[1]);
  for (const struct limit_kind *kind = kinds; kind->name != NULL; kind++, limit->kind++)
    if (strcmp(kind->name, name) == 0)
      return read_bound(bound, kind, limit);
  return false;
}

GArray *limits_read(const char *const *texts, const struct limit_kind *kinds, const char *accepted)
{
  g_autoptr(GArray) limits = g_array_new(FALSE, FALSE, sizeof(struct limit));
  for (; *texts != NULL; texts++) {
    struct limit limit;
    if (!read_limit(*texts, kinds, &limit)) {
      say("--fail-if takes %s, not '%s'", accepted, *texts);
      return NULL;
    }
    g_array_append_val(limits, limit);
  }
  return g_steal_pointer(&limits);
}

/* Outcomes. */

static void clear_outcome(gpointer data)
{
  g_ptr_array_unref(((struct limit_outcome *)data)->lines);
}

GArray *limits_outcomes_new(const GArray *limits)
{
  GArray *outcomes = g_array_new(FALSE, FALSE, sizeof(struct limit_outcome));
  g_array_set_clear_func(outcomes, clear_outcome);
  for (guint i = 0; i < limits->len; i++) {
    struct limit_outcome outcome = {&g_array_index(limits, struct limit, i), LIMIT_HOLDS,
                                    g_ptr_array_new_with_free_func(g_free)};
    g_array_append_val(outcomes, outcome);
  }
  return outcomes;
}

void limits_note(GArray *outcomes, const struct limit *limit, enum limit_verdict verdict, const char *line)
{
  for (guint i = 0; i < outcomes->len; i++) {
    struct limit_outcome *outcome = &g_array_index(outcomes, struct limit_outcome, i);
    if (outcome->limit != limit || (outcome->verdict == LIMIT_BROKEN && verdict != LIMIT_BROKEN))
      continue;
    outcome->verdict = verdict;
    g_ptr_array_add(outcome->lines, g_strdup(line));
  }
}

void limits_note_unknown(GArray *outcomes, const char *why)
{
  for (guint i = 0; i < outcomes->len; i++)
    limits_note(outcomes, g_array_index(outcomes, struct limit_outcome, i).limit, LIMIT_UNKNOWN, why);
}

/* Why it is not known is one reason for all of them. */
void limits_tell(const GArray *outcomes)
{
  for (guint i = 0; i < outcomes->len; i++) {
    const struct limit_outcome *outcome = &g_array_index(outcomes, struct limit_outcome, i);
    for (guint line = 0; line < outcome->lines->len && outcome->verdict == LIMIT_BROKEN; line++)
      say("--fail-if '%s': %s", outcome->limit->text, (const char *)g_ptr_array_index(outcome->lines, line));
  }
  for (guint i = 0; i < outcomes->len; i++) {
    const struct limit_outcome *outcome = &g_array_index(outcomes, struct limit_outcome, i);
    if (outcome->verdict != LIMIT_UNKNOWN)
      continue;
    say("--fail-if could not be checked: %s", (const char *)g_ptr_array_index(outcome->lines, 0));
    return;
  }
}

enum limit_verdict limits_verdict(const GArray *outcomes)
{
  enum limit_verdict verdict = LIMIT_HOLDS;
  for (guint i = 0; i < outcomes->len; i++) {
    enum limit_verdict one = g_array_index(outcomes, struct limit_outcome, i).verdict;
    verdict = verdict == LIMIT_BROKEN || one == LIMIT_HOLDS ? verdict : one;
  }
  return verdict;
}

/* Judging. */

/* How many standard errors a normal variable exceeds with that probability. */
static double normal_quantile(double probability)
{
  double low = 0, high = 40;
  for (int turn = 0; turn < 60; turn++) {
    double middle = (low + high) / 2;
    if (erfc(middle / sqrt(2)) / 2 > probability)
      low = middle;
    else
      high = middle;
  }
  return high;
}

static double allowed(unsigned judged)
{
  return WRONGLY_BROKEN / MAX(judged, 1);
}

bool limit_is_broken(double excess, double variance, unsigned judged)
{
  return excess > 0 && (variance <= 0 || excess > normal_quantile(allowed(judged)) * sqrt(variance));
}

/* By how much the new may be more than the old: 1 + p. */
static double growth_factor(const struct limit *limit)
{
  return limit->is_percentage ? 1 + limit->bound / 100 : 1;
}

double limit_growth_excess(const struct limit *limit, const struct growth *growth)
{
  double change = growth->new_total - growth->old_total;
  if (!limit->is_percentage)
    return change - limit->bound;
  return (100 * change - limit->bound * growth->old_total) / 100; /* whole percentages of whole numbers are exact */
}

/* A sum that came out low has a low variance as well. If the limit was kept, the old one is worth what the new one
 * says, and so is its variance. Samples that both profiles have cancel out. */
static double growth_error(const struct limit *limit, const struct growth *growth)
{
  double factor = growth_factor(limit), old = fmax(growth->old_variance, growth->new_variance / factor);
  double apart = sqrt(growth->new_variance + factor * factor * old);
  double together = sqrt(growth->change_variance) + (factor - 1) * sqrt(old);
  return fmin(apart, together);
}

/* A large object that the old profile missed is no matter of standard errors. That some particular ones are missed,
 * which have so many intervals together, has the probability exp(-intervals). */
static double missed(const struct limit *limit, const struct growth *growth, unsigned judged)
{
  double intervals = log(1 / allowed(judged)), interval = fmax(1, growth->interval);
  if (growth->is_of_bytes)
    intervals += log(fmax(1, growth->new_total / (10 * interval)));
  return growth_factor(limit) * intervals * (growth->is_of_bytes ? interval : 1);
}

bool limit_growth_is_broken(const struct limit *limit, const struct growth *growth, unsigned judged)
{
  double excess = limit_growth_excess(limit, growth);
  if (growth->interval <= 1 && growth->old_variance + growth->new_variance <= 0) /* exact */
    return excess > 0;
  double room = normal_quantile(allowed(judged)) * growth_error(limit, growth) + missed(limit, growth, judged);
  return excess > room;
}
