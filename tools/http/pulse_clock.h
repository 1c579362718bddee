/* SPDX-License-Identifier: MIT */
/* Remembers what workers find out of all processes, again and again, on the server's own clock: whoever opens a
 * page sees the hour before. If it takes long it is done less often: at most 1 % of a processor's time goes into
 * it.
 *
 * Threads: that of the default main context. Failure: a time that could not be read is not remembered.
 */
#ifndef HEAPPROF_PULSE_CLOCK_H
#define HEAPPROF_PULSE_CLOCK_H

#include "tools/live/history.h"
#include "tools/serve/workers.h"

enum { PULSE_SECONDS = 10, PULSE_SECONDS_MAX = 600 };

struct pulse_clock;

/* `interval_seconds` 0: it does nothing. */
struct pulse_clock *pulse_clock_new(struct workers *workers, unsigned interval_seconds);
void pulse_clock_free(struct pulse_clock *clock);

unsigned pulse_clock_interval(const struct pulse_clock *clock);

/* What is remembered, as parcels for a worker, which are the caller's; NULL: nothing. Whoever asks for the same
 * before the next pulse gets the same. */
struct parcel *pulse_clock_past(struct pulse_clock *clock, int pid);
struct parcel *pulse_clock_past_of_all(struct pulse_clock *clock);
struct parcel *pulse_clock_pair(struct pulse_clock *clock, int pid, int64_t from_unix_ns, int64_t to_unix_ns);

#endif
