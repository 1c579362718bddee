/* SPDX-License-Identifier: MIT */
/* A request whose answer has to be worked out sleeps until a worker is done, or its client goes. Of a difference it
 * sleeps twice: until its begin is known, and for as long as it takes.
 *
 * Threads: that of the default main context.
 */
#ifndef HEAPPROF_SLEEP_H
#define HEAPPROF_SLEEP_H

#include "tools/http/request.h"

/* Gives the request's order to a worker. When it wakes, perhaps at once, it has an answer. `input` may be NULL. */
void sleep_until_done(struct request *request, struct parcel *input);

/* Nobody waits for its order any more. */
void sleep_end(struct request *request);

/* Wakes all that sleep: the server ends. */
void sleep_wake_all(struct service *service);

#endif
