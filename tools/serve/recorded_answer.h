/* SPDX-License-Identifier: MIT */
/* What is answered of a recording: what a living process would be asked for, of moments that were recorded. Of each
 * order the recording is read anew, so that one that is being written is followed.
 *
 * Memory: the bytes are the caller's. Failure: NULL and *error.
 */
#ifndef HEAPPROF_RECORDED_ANSWER_H
#define HEAPPROF_RECORDED_ANSWER_H

#include "tools/serve/order.h"

GBytes *recorded_answer(const char *path, const struct order *order, GError **error);

#endif
