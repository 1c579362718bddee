/* SPDX-License-Identifier: MIT */
#include "core/prng.h"

#include "unit.h"

#include <math.h>

static double relative_error(double got, double expected)
{
  return fabs(got - expected) / fabs(expected);
}

static void knows_splitmix64(void **state)
{
  (void)state;
  uint64_t zero = 0, other = 1234567;
  assert_int_equal(prng_next(&zero), 0xe220a8397b1dcdafu);
  assert_int_equal(prng_next(&zero), 0x6e789e6aa1b965f4u);
  assert_int_equal(prng_next(&zero), 0x06c45d188009454fu);
  assert_int_equal(prng_next(&other), 6457827717110365317u);
}

static void log_agrees_with_libm(void **state)
{
  (void)state;
  uint64_t random = 1;
  double worst = 0;
  for (int i = 0; i < 500000; i++) {
    double x = ((double)(prng_next(&random) >> 11) + 1) * 0x1p-53;
    double scaled = ldexp(x, -(int)(prng_next(&random) % 50)), near_one = 1 - (i + 1) * 0x1p-53;
    double samples[] = {x, scaled, near_one};
    for (unsigned k = 0; k < 3; k++)
      if (samples[k] < 1)
        worst = fmax(worst, relative_error(prng_log(samples[k]), log(samples[k])));
  }
  assert_true(worst < 1e-13);
  assert_true(prng_log(1) == 0);
  assert_true(relative_error(prng_log(0x1p-53), -53 * log(2)) < 1e-13);
}

static void one_minus_exp_agrees_with_libm(void **state)
{
  (void)state;
  double worst = 0;
  for (double x = 1e-18; x < 100; x *= 1.0001)
    worst = fmax(worst, relative_error(prng_one_minus_exp(x), -expm1(-x)));
  assert_true(worst < 1e-13);
  assert_true(prng_one_minus_exp(0) == 0);
  assert_true(prng_one_minus_exp(1e300) == 1);
}

static int compare(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void exponential_has_its_distribution(void **state)
{
  (void)state;
  enum { DRAWS = 400000 };
  static double draws[DRAWS];
  const double mean = 524288;
  uint64_t random = 2718281828;
  double sum = 0, squares = 0, distance = 0;
  for (int i = 0; i < DRAWS; i++) {
    draws[i] = prng_exponential(&random, mean) / mean;
    assert_true(draws[i] >= 0 && draws[i] < 36.8);
    sum += draws[i];
    squares += draws[i] * draws[i];
  }
  double average = sum / DRAWS, variance = squares / DRAWS - average * average;
  assert_true(fabs(average - 1) < 4 / sqrt(DRAWS));
  assert_true(fabs(variance - 1) < 4 * sqrt(8.0 / DRAWS)); /* the fourth central moment is 9 */
  qsort(draws, DRAWS, sizeof *draws, compare);
  for (int i = 0; i < DRAWS; i++) { /* Kolmogorov and Smirnov */
    double cumulative = -expm1(-draws[i]);
    distance = fmax(distance, fmax(cumulative - (double)i / DRAWS, (i + 1.0) / DRAWS - cumulative));
  }
  assert_true(distance * sqrt(DRAWS) < 1.95); /* passed by 999 of 1000 seeds */
}

static void derived_streams_are_unrelated(void **state)
{
  (void)state;
  unsigned different_bits = 0;
  for (uint64_t salt = 0; salt < 10000; salt++) {
    different_bits += (unsigned)__builtin_popcountll(prng_derive(7, salt) ^ prng_derive(7, salt + 1));
    assert_int_not_equal(prng_derive(7, salt), prng_derive(8, salt));
  }
  assert_in_range(different_bits, 10000 * 32 - 1600, 10000 * 32 + 1600); /* 4 standard deviations */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(knows_splitmix64),
      cmocka_unit_test(log_agrees_with_libm),
      cmocka_unit_test(one_minus_exp_agrees_with_libm),
      cmocka_unit_test(exponential_has_its_distribution),
      cmocka_unit_test(derived_streams_are_unrelated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
