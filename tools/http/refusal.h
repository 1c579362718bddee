/* SPDX-License-Identifier: MIT */
/* Whether something may be asked, judged by its headers alone: who asks, by what name, how, and how much comes with it.
 */
#ifndef HEAPPROF_REFUSAL_H
#define HEAPPROF_REFUSAL_H

#include "tools/http/answer.h"
#include "tools/serve/access.h"
#include "tools/serve/route.h"

enum { REFUSAL_BODY_BYTES_MAX = 64 << 10 };

/* The answer's response is NULL if it may. */
struct answer refusal_of(struct MHD_Connection *connection, const struct access *access, const char *method,
                         const char *version, enum route_end end);

#endif
