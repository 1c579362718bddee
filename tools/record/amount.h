/* SPDX-License-Identifier: MIT */
/* Times, durations and sizes as people write them. Failure: false. */
#ifndef HEAPPROF_AMOUNT_H
#define HEAPPROF_AMOUNT_H

#include <stdbool.h>
#include <stdint.h>

#define AMOUNT_SECOND_NS INT64_C(1000000000)

/* "10s", "5m", "24h", "7d"; a plain number is of seconds. Not 0, and at most some hundred years. */
bool amount_duration(const char *text, int64_t *ns);

/* "64M", "1G", "1.5GiB". */
bool amount_size(const char *text, uint64_t *bytes);

/* "10:31", "10:31:05": the last such time that is not after `latest_ns`; or with the day before it,
 * "2026-11-29 10:31". Local time. "unix:1764412265.5": seconds since 1970. A minute, a second and a fraction of one
 * are meant to their ends, as long as these are not after `latest_ns`.
 */
bool amount_time(const char *text, int64_t latest_ns, int64_t *time_ns);

/* How a moment of a recording is named: one of these. "kept:" and a number are a profile that was kept. */
#define AMOUNT_MOMENTS "10:31, 10:31:05, 2026-11-29 10:31, unix:SECONDS, first, last, largest or kept:N"
#define AMOUNT_KEPT "kept:"
bool amount_is_moment(const char *text);

/* "2026-11-29 10:31:05", a new text. */
char *amount_shown_time(int64_t time_ns);

#endif
