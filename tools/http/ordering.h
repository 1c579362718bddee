/* SPDX-License-Identifier: MIT */
/* A question becomes an order for a worker, and its request sleeps until that is done. */
#ifndef HEAPPROF_ORDERING_H
#define HEAPPROF_ORDERING_H

#include "tools/http/request.h"

/* Of the process that was asked for. `input` may be NULL. The answer's response is NULL, unless there is one already:
 * that it cannot be done. */
struct answer ordering_place(struct request *request, enum order_kind kind, struct parcel *input);

/* To where the route leads: at once, or once the process that it names is found. */
struct answer ordering_redirect(struct request *request);

/* A time in the query, in milliseconds since 1970. False: there is none that can be read. */
bool ordering_time(const struct request *request, const char *key, int64_t *time_ms);

#endif
