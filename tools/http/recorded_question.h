/* SPDX-License-Identifier: MIT */
/* What a request asks of a recording, which is there as a whole: it is answered, or ordered. */
#ifndef HEAPPROF_RECORDED_QUESTION_H
#define HEAPPROF_RECORDED_QUESTION_H

#include "tools/http/request.h"

/* The answer's response is NULL if it sleeps now, or is awake again already. */
struct answer recorded_question_answer(struct request *request);

#endif
