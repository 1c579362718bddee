/* SPDX-License-Identifier: MIT */
/* What the server orders from a worker, and what it gets: a message each way, with parcels.
 *
 * Both are the same program, so they are passed as they lie in memory; what a worker sends is checked all the same, for
 * it reads what anybody may have written.
 */
#ifndef HEAPPROF_ORDER_H
#define HEAPPROF_ORDER_H

#include "tools/serve/parcel.h"

#include <stdbool.h>

enum order_kind {
  ORDER_LIST,    /* the page of all processes, with their past in the parcel */
  ORDER_METRICS, /* of all; the names that were shown are in the parcel, and come back as marks */
  ORDER_INDEX,   /* the page of one */
  ORDER_HEAP,
  ORDER_ALLOCS,
  ORDER_PEAK,
  ORDER_CMDLINE,
  ORDER_SYMBOL,     /* of the addresses in the parcel */
  ORDER_MARKS,      /* what it has allocated, for a delta */
  ORDER_HEAP_DELTA, /* with the marks in the parcel; none: since the start */
  ORDER_ALLOCS_DELTA,
  ORDER_MISSING, /* lines: who was named, and does not run */
  ORDER_FIND,    /* is there such a process? */
  ORDER_PULSE,   /* what is known of all, to be remembered (live/pulse.h) */
  ORDER_PAGE,    /* the page of one, and what it asks for: the past and pairs of moments are in the parcel */
  ORDER_LIVE_HEAP,
  ORDER_LIVE_TIMELINE,
  ORDER_LIVE_CHANGE,
};

enum { ORDER_PROCESS_BYTES = 256, ORDER_AT_BYTES = 64, ORDER_PROBLEM_BYTES = 1024 };

struct order {
  enum order_kind kind;
  bool wants_text;                   /* debug=1 */
  bool wants_open_metrics;           /* else Prometheus's older text */
  unsigned sites;                    /* of metrics */
  unsigned interval_seconds;         /* of pulses, for the timeline */
  char process[ORDER_PROCESS_BYTES]; /* ends with NUL, and NULs follow */
  /* Of a recording: the moment of a profile, as it takes them ("": the last); moments of the page, in milliseconds
   * since 1970 (0: none was named). */
  char at[ORDER_AT_BYTES];
  int64_t from_ms, to_ms;
};

/* What came of it. `body` is NULL unless the status is 200; `marks` comes with deltas: for the next one. */
struct outcome {
  unsigned status;
  char problem[ORDER_PROBLEM_BYTES]; /* a line */
  struct parcel *body, *marks;
};

/* False: the process that is named has a name too long to be one. */
bool order_init(struct order *order, enum order_kind kind, const char *process);

/* Each blocks if the other side does not read or write. False: it is not there any more, or what came is no message.
 * `input` may be NULL; what is received is the caller's. */
bool order_send(int socket, const struct order *order, const struct parcel *input);
bool order_receive(int socket, struct order *order, struct parcel **input);
bool outcome_send(int socket, const struct outcome *outcome);
bool outcome_receive(int socket, struct outcome *outcome);
void outcome_clear(struct outcome *outcome);

#endif
