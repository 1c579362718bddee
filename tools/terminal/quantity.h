/* SPDX-License-Identifier: MIT */
/* Quantities as people read them, written as pprof writes them: 512B, 1.50kB (1024), 12MB, 3.20GB; 1.50s; plain
 * counts; 0. */
#ifndef HEAPPROF_UNITS_H
#define HEAPPROF_UNITS_H

#include <stdbool.h>
#include <stdint.h>

struct quantity_text {
  char text[32];
};

/* `unit` is that of a sample type: "bytes", "nanoseconds"; anything else is a plain number ("count"). */
struct quantity_text quantity(double value, const char *unit);

/* With a sign, for differences. */
struct quantity_text quantity_signed(double value, const char *unit);

/* Half the width of the 95 % interval of an estimate: 1.96 standard errors, as "±1.2MB". "exact" for a variance of 0
 * and a value that is not 0; "" for both 0. */
struct quantity_text quantity_error(double value, double variance, const char *unit);

/* Half of the interval, in the unit of the value. */
double half_width_95(double variance);

/* "12.30%", "0.45%", "100%"; "0%" of nothing. */
struct quantity_text percentage(double part, double whole);

/* "3.2 s", "5m 12s", "2d 3h": how long something lasted or is ago. */
struct quantity_text duration_text(double seconds);

/* "512K" -> 524288; K, M, G, T, powers of 1024. False if it is not a size. */
bool parse_size(const char *text, uint64_t *bytes);

#endif
