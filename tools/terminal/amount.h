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

#endif
