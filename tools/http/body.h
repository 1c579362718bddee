/* SPDX-License-Identifier: MIT */
/* The answer that bears what a worker found. */
#ifndef HEAPPROF_BODY_H
#define HEAPPROF_BODY_H

#include "tools/http/request.h"

struct answer body_of(const struct request *request, struct parcel *parcel);

#endif
