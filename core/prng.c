/* SPDX-License-Identifier: MIT */
#include "core/prng.h"

#include <string.h>

#define LN2 0.693147180559945309417232121458
#define SQRT2 1.414213562373095048801688724210

static uint64_t mix(uint64_t z)
{
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint64_t prng_next(uint64_t *state)
{
  return mix(*state += 0x9e3779b97f4a7c15u);
}

uint64_t prng_derive(uint64_t seed, uint64_t salt)
{
  return mix(mix(seed ^ 0x6a09e667f3bcc909u) + mix(salt + 0x9e3779b97f4a7c15u));
}

double prng_log(double x)
{
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  int exponent = (int)(bits >> 52) - 1023;
  bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
  double mantissa;
  memcpy(&mantissa, &bits, sizeof mantissa);
  if (mantissa > SQRT2) {
    mantissa *= 0.5;
    exponent++;
  }
  /* ln m = 2 artanh t with |t| < 0.172: ten terms reach the precision of a double. */
  double t = (mantissa - 1) / (mantissa + 1), square = t * t, sum = 0;
  for (int k = 10; k >= 0; k--)
    sum = sum * square + 1.0 / (2 * k + 1);
  return exponent * LN2 + 2 * t * sum;
}

double prng_exponential_of(uint64_t bits, double mean)
{
  double uniform = ((double)(bits >> 11) + 1) * 0x1p-53; /* in (0, 1] */
  return -prng_log(uniform) * mean;
}

double prng_exponential(uint64_t *state, double mean)
{
  return prng_exponential_of(prng_next(state), mean);
}

double prng_one_minus_exp(double x)
{
  if (x > 45)
    return 1;
  int halvings = (int)(x / LN2 + 0.5);
  double r = x - halvings * LN2; /* |r| <= ln2 / 2 */
  double sum = 0;
  for (int k = 16; k >= 1; k--) /* 1 - exp(-r) = r (1 - r/2 (1 - r/3 (...))) */
    sum = r / k * (1 - sum);
  uint64_t bits = (uint64_t)(1023 - halvings) << 52;
  double scale;
  memcpy(&scale, &bits, sizeof scale);
  return (1 - scale) + scale * sum;
}
