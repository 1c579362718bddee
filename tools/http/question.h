/* SPDX-License-Identifier: MIT */
/* What a request asks, which is there as a whole: it is answered, or ordered. */
#ifndef HEAPPROF_QUESTION_H
#define HEAPPROF_QUESTION_H

#include "tools/http/request.h"

/* The answer's response is NULL if it sleeps now, or is awake again already. */
struct answer question_answer(struct request *request);

#endif
