/* SPDX-License-Identifier: MIT */
/* What all requests share.
 *
 * Threads: that of the default main context.
 */
#ifndef HEAPPROF_SERVICE_H
#define HEAPPROF_SERVICE_H

#include "tools/http/pulse_clock.h"
#include "tools/http/visitors.h"
#include "tools/serve/access.h"
#include "tools/serve/clients.h"
#include "tools/serve/workers.h"

struct service {
  struct access access;
  struct visitors visitors;
  struct workers *workers;
  struct clients *clients;
  struct pulse_clock *clock;
  bool is_recorded;     /* what is served is a recording */
  unsigned sites;       /* of metrics */
  struct parcel *shown; /* their names; NULL: none yet */
  GHashTable *sleeping; /* struct exchange * */
  bool has_to_run; /* libmicrohttpd, which does not say so: one of them has woken, or a connection has gone and there
                         * may be room to accept another */
};

#endif
