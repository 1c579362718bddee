/* SPDX-License-Identifier: MIT */
/* What a recording has, as JSON for programs: {"processes": [{"id", "pid", "program", "command", "first_ms", "last_ms",
 * "moments", "in_use", "allocated", "ended", "left", "points": [[ms, bytes in use], ...]}, ...], "kept": [{"number",
 * "time_ms", "condition", "value", "pid", "program"}, ...]}. Sizes are of the last moment.
 *
 * Failure: NULL and *error.
 */
#ifndef HEAPPROF_CONTENTS_H
#define HEAPPROF_CONTENTS_H

#include "tools/record/recorded.h"

GString *contents_json(struct recorded *recorded, GError **error);

#endif
