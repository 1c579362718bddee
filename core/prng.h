/* SPDX-License-Identifier: MIT */
/* Random numbers and the two transcendental functions sampling needs, without libm: a preload that needs libm brings it
 * into every program's global scope, and its loading costs `true` more than all of our own start-up.
 *
 * Threads, signals, fork: pure functions on the caller's state.
 */
#ifndef HEAPPROF_PRNG_H
#define HEAPPROF_PRNG_H

#include "core/compiler.h"

#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014). Period 2^64. */
SAMPLED uint64_t prng_next(uint64_t *state);

/* Mixes `salt` into a seed so that neighbouring salts give unrelated streams. */
uint64_t prng_derive(uint64_t seed, uint64_t salt);

/* Exponential with the given mean, from 53 random bits: at most 36.8 means. */
double prng_exponential(uint64_t *state, double mean);

/* The same from 64 bits that were drawn; the lowest 11 do not matter. */
SAMPLED double prng_exponential_of(uint64_t bits, double mean);

/* Natural logarithm of x, 0 < x <= 1, normal. Relative error below 1e-14. */
SAMPLED double prng_log(double x);

/* 1 - exp(-x) for x >= 0, without cancellation for small x. Relative error below 1e-14. */
SAMPLED double prng_one_minus_exp(double x);

#endif
