/* SPDX-License-Identifier: MIT */
/* What a path leads to.
 *
 *   /                                     all processes
 *   /healthz, /metrics
 *   /debug/pprof/NAME                     of the first process
 *   /PROCESS/debug/pprof/NAME             of one, by its number or the name of its program
 *   /PROCESS/                             its page
 *   /PROCESS/live/NAME                    what that asks for
 *
 * Memory: a route owns its texts.
 */
#ifndef HEAPPROF_ROUTE_H
#define HEAPPROF_ROUTE_H

enum route_end {
  ROUTE_NOTHING,
  ROUTE_REDIRECT, /* to `location`, if there is such a process */
  ROUTE_LIST,
  ROUTE_HEALTH,
  ROUTE_METRICS,
  ROUTE_INDEX,
  ROUTE_HEAP,
  ROUTE_ALLOCS,
  ROUTE_PEAK,
  ROUTE_DELTA_HEAP,
  ROUTE_CMDLINE,
  ROUTE_SYMBOL,
  ROUTE_UNKNOWN_PROFILE,
  ROUTE_PAGE, /* or, where there are none, to `location` */
  ROUTE_LIVE_HEAP,
  ROUTE_LIVE_TIMELINE,
  ROUTE_LIVE_CHANGE,
};

struct route {
  enum route_end end;
  char *process;  /* as it was named; "": the first, or none is meant */
  char *location; /* of a redirection, or NULL */
};

struct route route_of(const char *uri);
void route_clear(struct route *route);

#endif
