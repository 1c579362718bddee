/* SPDX-License-Identifier: MIT */
/* Amounts as people write them: "15s", "10m", "24h", "7d"; "64K", "256M", "1G" (1024). A plain number is of seconds or
 * bytes.
 *
 * Failure: false; it is none, or too large.
 */
#ifndef HEAPPROF_AMOUNT_H
#define HEAPPROF_AMOUNT_H

#include <stdbool.h>
#include <stdint.h>

bool amount_seconds(const char *text, uint64_t *seconds);
bool amount_bytes(const char *text, uint64_t *bytes);

/* For those that may have a point, as "1.5G": where the number ends, NULL if none is there; and what the rest stands
 * for: K, KB, KiB, B and "", in any case; 0: it is none of these. */
const char *amount_end(const char *text);
double amount_factor(const char *unit);

#endif
