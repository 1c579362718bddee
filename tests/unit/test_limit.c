/* SPDX-License-Identifier: MIT */
/* Is a limit that holds called broken by chance, in more than one of 10,000 cases? For groups of objects of one size, by what
 * each outcome of their sampling says, times its probability: nothing here is random. Intervals are the unit. */
#include "tools/views/limit.h"

#include "tools/terminal/say.h"
#include "unit.h"

#include <math.h>

static const double ALLOWED = 1e-4, NEGLIGIBLE = 1e-11;
static const double INTERVAL = 512 << 10;

static const double sizes[] = {0.001, 0.1, 0.5, 1, 2, 3, 5, 7, 8, 9, 9.5, 10, 11, 12, 14, 17};

static const struct limit_kind kinds[] = {
    {.name = "growth", .is_of_bytes = true, .takes_percentages = true}, {.name = "count"}, {.name = NULL}};

static struct limit limit_of(const char *text)
{
  const char *texts[] = {text, NULL};
  g_autoptr(GArray) limits = limits_read(texts, kinds, "what this test gives");
  require(limits != NULL);
  return g_array_index(limits, struct limit, 0);
}

/* Reading. */

static void limits_are_read(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    double bound;
    bool is_percentage;
  } cases[] = {
      {"growth>100M", 100 << 20, false},
      {"growth > 1MB ", 1 << 20, false},
      {"growth>1.5GiB", 1.5 * (1 << 30), false},
      {"growth>0", 0, false},
      {"growth>512", 512, false},
      {"growth>512B", 512, false},
      {"growth>2kb", 2048, false},
      {"growth>1T", 0x1p40, false},
      {"growth>5%", 5, true},
      {"growth>0.25%", 0.25, true},
      {"growth>1000%", 1000, true},
      {"count>12", 12, false},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct limit limit = limit_of(cases[i].text);
    assert_true(limit.bound == cases[i].bound && limit.is_percentage == cases[i].is_percentage);
    assert_string_equal(kinds[limit.kind].name, g_str_has_prefix(cases[i].text, "count") ? "count" : "growth");
  }
}

static void others_are_refused(void **state)
{
  (void)state;
  static const char *const texts[] = {
      "",           "growth",     "growth>",    ">5%",        "growth<5%",   "growth>=5%",      "growth>-1",
      "growth>5 %", "growth>5%%", "growth>x",   "growth>1X",  "growth>1MM",  "growth>1iB",      "growth>0x10",
      "growth>inf", "growth>nan", "growth>1e3", "growth>.5M", "growth>1,5M", "growth>9999999T", "shrinkage>5%",
      "count>5%",   "count>1K",   "growth>1>2", "growth 5%",  "Growth>5%",
  };
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    const char *list[] = {"growth>1", texts[i], NULL};
    assert_null(limits_read(list, kinds, "what this test does not give"));
  }
}

/* Chance. */

/* Objects of one size, each sampled or not. */
struct group {
  double size, weight; /* in intervals; what a sample stands for */
  unsigned count;
  double *probabilities;      /* by how many are sampled */
  unsigned at_least, at_most; /* as many are, but for what is too rare to count */
};

static struct group group_new(double size, unsigned count)
{
  double missed = exp(-size), sampled = -expm1(-size);
  struct group group = {.size = size, .weight = 1 / sampled, .count = count, .probabilities = g_new(double, count + 1)};
  for (unsigned hits = 0; hits <= count; hits++)
    group.probabilities[hits] = exp(lgamma(count + 1.0) - lgamma(hits + 1.0) - lgamma(count - hits + 1.0) +
                                    hits * log(sampled) + (count - hits) * log(missed));
  while (group.probabilities[group.at_least] < NEGLIGIBLE)
    group.at_least++;
  for (group.at_most = count; group.probabilities[group.at_most] < NEGLIGIBLE;)
    group.at_most--;
  return group;
}

/* As docs/sampling.md has them: the estimate, and its variance. */
static double estimate(const struct group *group, unsigned hits)
{
  return hits * group->size * group->weight;
}

static double variance(const struct group *group, unsigned hits)
{
  return hits * group->size * group->size * group->weight * (group->weight - 1);
}

/* How likely two groups are above what they hold, each of them being held to the byte. */
static double broken_values(const struct group *one, const struct group *other, unsigned judged)
{
  double truth = one->count * one->size + other->count * other->size, broken = 0;
  for (unsigned a = one->at_least; a <= one->at_most; a++)
    for (unsigned b = other->at_least; b <= other->at_most; b++)
      if (limit_is_broken(estimate(one, a) + estimate(other, b) - truth, variance(one, a) + variance(other, b), judged))
        broken += one->probabilities[a] * other->probabilities[b];
  return broken;
}

static void values_are_not_broken_by_chance(void **state)
{
  (void)state;
  static const unsigned counts[] = {1, 2, 3, 10, 30, 100, 300, 1000};
  double worst = 0;
  for (size_t i = 0; i < COUNT_OF(sizes); i++)
    for (size_t k = 0; k < COUNT_OF(counts); k++)
      for (size_t j = i; j < COUNT_OF(sizes); j += 3) {
        struct group one = group_new(sizes[i], counts[k]), other = group_new(sizes[j], j == i ? 0 : MIN(counts[k], 30));
        double broken = broken_values(&one, &other, 1), of_five = broken_values(&one, &other, 5);
        if (broken > ALLOWED || 5 * of_five > ALLOWED)
          fail_msg("%u of %g and %u of %g: %g, and %g in one of five", one.count, one.size, other.count, other.size,
                   broken, of_five);
        worst = MAX(worst, broken);
        g_free(one.probabilities);
        g_free(other.probabilities);
      }
  print_message("a value: at most %.2g\n", worst);
}

static double broken_growth(const struct limit *limit, const struct group *old, const struct group *new,
                            bool is_of_bytes)
{
  double broken = 0, scale = is_of_bytes ? INTERVAL : 1 / old->size;
  for (unsigned a = old->at_least; a <= old->at_most; a++)
    for (unsigned b = new->at_least; b <= new->at_most; b++) {
      struct growth growth = {.old_total = scale * estimate(old, a),
                              .new_total = scale * estimate(new, b),
                              .old_variance = scale * scale * variance(old, a),
                              .new_variance = scale * scale * variance(new, b),
                              .interval = INTERVAL,
                              .is_of_bytes = is_of_bytes};
      growth.change_variance = growth.old_variance + growth.new_variance;
      if (limit_growth_is_broken(limit, &growth, 1))
        broken += old->probabilities[a] * new->probabilities[b];
    }
  return broken;
}

/* The new profile is just as much larger as it may be. */
static void growth_is_not_broken_by_chance(void **state)
{
  (void)state;
  static const unsigned counts[] = {1, 2, 3, 5, 10, 20, 40, 100, 400};
  static const struct {
    const char *text;
    double times;
  } limits[] = {{"growth>0%", 1}, {"growth>0", 1}, {"growth>10%", 1.1}, {"growth>100%", 2}, {"growth>900%", 10}};
  double worst = 0;
  for (size_t l = 0; l < COUNT_OF(limits); l++)
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
      for (size_t k = 0; k < COUNT_OF(counts); k++) {
        struct limit limit = limit_of(limits[l].text);
        struct group old = group_new(sizes[i], counts[k]),
                     new = group_new(sizes[i], (unsigned)(counts[k] * limits[l].times));
        for (int is_of_bytes = 0; is_of_bytes <= 1; is_of_bytes++) {
          double broken = broken_growth(&limit, &old, &new, is_of_bytes);
          if (broken > ALLOWED)
            fail_msg("%s of %u of %g, %s: %g", limit.text, old.count, old.size, is_of_bytes ? "bytes" : "objects",
                     broken);
          worst = MAX(worst, broken);
        }
        g_free(old.probabilities);
        g_free(new.probabilities);
      }
  print_message("growth: at most %.2g\n", worst);
}

/* The same bytes in objects of other sizes: what one profile may miss, the other tells nothing of. */
static void other_objects_are_no_growth(void **state)
{
  (void)state;
  static const double totals[] = {5, 9, 12, 20, 60, 200};
  struct limit limit = limit_of("growth>0");
  double worst = 0;
  for (size_t t = 0; t < COUNT_OF(totals); t++)
    for (size_t i = 1; i < COUNT_OF(sizes); i++)
      for (size_t j = 1; j < COUNT_OF(sizes); j++) {
        unsigned count = (unsigned)ceil(totals[t] / sizes[i]);
        struct group old = group_new(sizes[i], count),
                     new = group_new(sizes[j], (unsigned)(count * sizes[i] / sizes[j]));
        double broken = broken_growth(&limit, &old, &new, true);
        if (broken > ALLOWED)
          fail_msg("%u of %g after %u of %g: %g", new.count, new.size, old.count, old.size, broken);
        worst = MAX(worst, broken);
        g_free(old.probabilities);
        g_free(new.probabilities);
      }
  print_message("growth of other sizes: at most %.2g\n", worst);
}

/* What is much above is told, however few limits there are. */
static void what_is_above_is_broken(void **state)
{
  (void)state;
  struct limit limit = limit_of("growth>5%");
  struct group old = group_new(0.01, 0), new = group_new(0.01, 0);
  unsigned hits = 1000;
  double of_hits = estimate(&new, hits) * INTERVAL, error = variance(&new, hits) * INTERVAL * INTERVAL;
  assert_true(limit_is_broken(of_hits - 0.85 * of_hits, error, 1));
  assert_false(limit_is_broken(of_hits - 0.95 * of_hits, error, 1));
  struct growth growth = {.old_total = of_hits / 1.5,
                          .new_total = of_hits,
                          .old_variance = error / 1.5,
                          .new_variance = error,
                          .change_variance = error / 1.5 + error,
                          .interval = INTERVAL,
                          .is_of_bytes = true};
  assert_true(limit_growth_is_broken(&limit, &growth, 1));
  growth.old_total = of_hits / 1.1;
  assert_false(limit_growth_is_broken(&limit, &growth, 1));
  growth.change_variance = error / 1000; /* of one process: most is in both */
  assert_true(limit_growth_is_broken(&limit, &growth, 1));
  g_free(old.probabilities);
  g_free(new.probabilities);
}

static void what_is_exact_is_exact(void **state)
{
  (void)state;
  for (unsigned percent = 0; percent <= 300; percent++) {
    g_autofree char *text = g_strdup_printf("growth>%u%%", percent);
    struct limit limit = limit_of(text);
    struct growth growth = {.old_total = 100, .new_total = 100 + percent, .interval = 1, .is_of_bytes = true};
    assert_false(limit_growth_is_broken(&limit, &growth, 1));
    growth.new_total++;
    assert_true(limit_growth_is_broken(&limit, &growth, 1));
  }
  assert_false(limit_is_broken(0, 0, 1));
  assert_true(limit_is_broken(1, 0, 1000));
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(limits_are_read),
      cmocka_unit_test(others_are_refused),
      cmocka_unit_test(values_are_not_broken_by_chance),
      cmocka_unit_test(growth_is_not_broken_by_chance),
      cmocka_unit_test(other_objects_are_no_growth),
      cmocka_unit_test(what_is_above_is_broken),
      cmocka_unit_test(what_is_exact_is_exact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
