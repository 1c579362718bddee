/* SPDX-License-Identifier: MIT */
#include "tools/run/tree_moments.h"

/* As of one process: the moments are the same, or near each other, more often than by chance (docs/sampling.md, 9). */
static const double moment_variance = 1.15;

void tree_halves_add(struct tree_halves *sum, const struct tree_halves *held, double sign)
{
  for (unsigned half = 0; half < HALVES; half++) {
    sum->half[half].bytes += sign * held->half[half].bytes;
    sum->half[half].variance += sign * held->half[half].variance;
  }
}

bool tree_moments_is_higher(const struct tree_moments *moments, unsigned chooser, const struct tree_halves *held)
{
  return held->half[chooser].bytes > moments->chosen[chooser];
}

static void choose(struct tree_moments *moments, unsigned chooser, const struct tree_halves *held, bool is_open)
{
  moments->chosen[chooser] = held->half[chooser].bytes;
  moments->read[chooser] = held->half[1 - chooser];
  moments->is_open[chooser] = is_open;
}

void tree_moments_offer(struct tree_moments *moments, unsigned chooser, const struct tree_halves *held)
{
  if (tree_moments_is_higher(moments, chooser, held))
    choose(moments, chooser, held, false);
}

void tree_moments_look(struct tree_moments *moments, const struct tree_halves *held)
{
  for (unsigned chooser = 0; chooser < HALVES; chooser++) {
    moments->is_open[chooser] &= held->half[chooser].bytes >= moments->chosen[chooser] &&
                                 held->half[1 - chooser].bytes >= moments->read[chooser].bytes;
    if (moments->is_open[chooser] || tree_moments_is_higher(moments, chooser, held))
      choose(moments, chooser, held, true);
  }
}

struct region_half tree_moments_peak(const struct tree_moments *moments)
{
  struct region_half peak = {0};
  for (unsigned half = 0; half < HALVES; half++) {
    peak.bytes += moments->read[half].bytes;
    peak.variance += moment_variance * MAX(moments->read[half].variance, 0);
  }
  return peak;
}
