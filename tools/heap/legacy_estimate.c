/* SPDX-License-Identifier: MIT */
#include "tools/heap/legacy_estimate.h"

#include <math.h>

/* Variance of bytes that stand for S, all of objects of s bytes: S * R * v(s/R), v(x) = x / (exp(x) - 1). Of mixed
 * sizes whose mean is s it is at most S * R * b(s/R): b is the smallest function not below v that is concave in 1/x,
 * which is v itself up to this x and then, by a straight line, this divided by x. */
#define BOUND_FROM 1.5936242600400401
#define BOUND_SLOPE 0.6476102378919149

enum { SMALLEST_OBJECT_BYTES = 8 };

static int64_t to_number(double value)
{
  if (value >= 0x1p63)
    return INT64_MAX;
  return value <= -0x1p63 ? INT64_MIN : (int64_t)value;
}

/* As the makers compute it, so that sums are theirs to the last digit; but where that leaves hardly a digit. */
static double probability(double size, double interval)
{
  double difference = 1 - exp(-size / interval);
  return difference > 0x1p-40 ? difference : -expm1(-size / interval);
}

/* jemalloc's sizes: multiples of 8 to 16, of 16 to 128, then four for each doubling. */
static double nearest_class(double size)
{
  double step = size <= 16 ? 8 : 16;
  if (size > 128)
    step = exp2(floor(log2(size)) - 2);
  return fmax(round(size / step), 1) * step;
}

/* Samples that are all of one size. */
struct alike {
  double samples, size;
};

/* What jemalloc prints for samples of one size: it rounds the weight of an object to an eighth, and that of its bytes,
 * before it divides their sums by what readers will multiply them with. */
static bool are_printed_alike(int64_t objects, int64_t bytes, double interval, struct alike *alike)
{
  double p = probability(alike->size, interval), weight = round(8 / p) / 8, weight_bytes = round(alike->size / p),
         divisor = probability(weight_bytes / weight, interval);
  alike->samples = round((double)bytes / (weight_bytes * divisor));
  return fabs(alike->samples * weight * divisor - (double)objects) <= 1 &&
         fabs(alike->samples * weight_bytes * divisor - (double)bytes) <= 1;
}

/* False: they are not, or nobody can tell. */
static bool are_alike(int64_t objects, int64_t bytes, const struct legacy_sampling *sampling, struct alike *alike)
{
  *alike = (struct alike){(double)objects, (double)bytes / (double)objects};
  if (!sampling->weighs_sizes)
    return bytes % objects == 0;
  alike->size = nearest_class(alike->size);
  return objects == 1 || (double)bytes == alike->size * (double)objects ||
         are_printed_alike(objects, bytes, (double)sampling->interval_bytes, alike);
}

static double bound(double x)
{
  return x > BOUND_FROM ? BOUND_SLOPE / x : x / expm1(x);
}

/* The sum of (1 - p) / p^2 over the samples, each of which stands for 1 / p objects. */
static void set_variances(struct legacy_estimate *estimate, int64_t objects, int64_t bytes,
                          const struct legacy_sampling *sampling)
{
  double interval = (double)sampling->interval_bytes, size = (double)bytes / (double)objects,
         p = probability(size, interval);
  struct alike alike;
  if (are_alike(objects, bytes, sampling, &alike)) {
    p = probability(alike.size, interval);
    estimate->variance_objects = alike.samples * (1 - p) / (p * p);
    estimate->variance_bytes = estimate->variance_objects * alike.size * alike.size;
  } else if (sampling->weighs_sizes) {
    estimate->variance_objects = (double)objects / p / probability(SMALLEST_OBJECT_BYTES, interval);
    estimate->variance_bytes = (double)bytes / p * interval * bound(size / interval);
  } else {
    estimate->is_certainty_known = false;
  }
}

struct legacy_estimate legacy_estimate(int64_t objects, int64_t bytes, const struct legacy_sampling *sampling)
{
  struct legacy_estimate estimate = {.objects = objects, .bytes = bytes};
  if (sampling->interval_bytes <= 1) {
    estimate.is_certainty_known = sampling->interval_bytes == 1;
    return estimate;
  }
  estimate.is_certainty_known = true;
  if (objects == 0 || bytes == 0) {
    estimate.objects = estimate.bytes = 0;
    return estimate;
  }
  double weight = 1 / probability((double)bytes / (double)objects, (double)sampling->interval_bytes);
  estimate.objects = to_number((double)objects * weight);
  estimate.bytes = to_number((double)bytes * weight);
  if (objects > 0 && bytes > 0)
    set_variances(&estimate, objects, bytes, sampling);
  return estimate;
}
