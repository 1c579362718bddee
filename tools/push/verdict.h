/* SPDX-License-Identifier: MIT */
/* What an answer to a push means for what was pushed. */
#ifndef HEAPPROF_VERDICT_H
#define HEAPPROF_VERDICT_H

#include <stdbool.h>

enum verdict {
  VERDICT_TAKEN,
  VERDICT_LATER,   /* not now: it waits */
  VERDICT_REFUSED, /* this, and for good */
  VERDICT_MISLED,  /* whoever answers is no such server, or does not know us: all waits for a person */
};

/* Of a status of HTTP; `type`: what Content-Type says, or NULL. */
enum verdict verdict_of(long status, const char *type);

/* VERDICT_LATER: may it be for what was pushed? A server that is ill says the same. */
bool verdict_blames(long status);

#endif
