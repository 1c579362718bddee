/* SPDX-License-Identifier: MIT */
/* Orders, and the few workers that do them. No order waits for one of another process as long as there is a worker:
 * those of one process are done one after the other, so a program whose names take long holds up itself alone. Whoever
 * orders what is waiting to be done already gets the same.
 *
 * A worker that ends over an order costs that order, after a second try. One that takes longer than WORKERS_SECONDS_MAX
 * is ended.
 *
 * Threads: that of the default main context. Memory: the outcome is the workers', for the time of the call.
 */
#ifndef HEAPPROF_WORKERS_H
#define HEAPPROF_WORKERS_H

#include "tools/serve/order.h"
#include "tools/serve/worker.h"

enum { WORKERS_MAX = 4, WORKERS_SECONDS_MAX = 150 };

struct workers;

typedef void (*workers_done)(const struct outcome *outcome, void *context);

struct workers *workers_new(const struct worker_source *source);
void workers_free(struct workers *workers);

/* `done` is called once, perhaps at once, unless it is cancelled. `input` may be NULL; it is held. */
void workers_order(struct workers *workers, const struct order *order, struct parcel *input, workers_done done,
                   void *context);

/* Nobody waits for it with this context any more. */
void workers_cancel(struct workers *workers, const void *context);

#endif
