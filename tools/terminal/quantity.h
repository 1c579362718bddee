/* SPDX-License-Identifier: MIT */
/* Quantities as people read them, written as pprof writes them: 512B, 1.50kB (1024), 12MB, 3.20GB; 1.50s; plain
 * counts; 0. */
#ifndef HEAPPROF_QUANTITY_H
#define HEAPPROF_QUANTITY_H

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
double quantity_half_width(double variance);

/* "12.30%", "0.45%", "100%"; "0%" of nothing. */
struct quantity_text quantity_percentage(double part, double whole);

/* "3.2 s", "5m 12s", "2d 3h": how long something lasted or is ago. */
struct quantity_text quantity_duration(double seconds);

#endif
