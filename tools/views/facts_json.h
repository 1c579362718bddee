/* SPDX-License-Identifier: MIT */
/* Facts as JSON: stable keys, which the manual documents; numbers as they are, not rounded to units. */
#ifndef HEAPPROF_FACTS_JSON_H
#define HEAPPROF_FACTS_JSON_H

#include "tools/views/facts.h"

#include <jansson.h>

json_t *facts_json(const struct facts *facts);

#endif
