/* SPDX-License-Identifier: MIT */
/* The processes of a run: what each held, how it ended, and where its profile is; who held most comes first. */
#ifndef HEAPPROF_PROCESS_TABLE_H
#define HEAPPROF_PROCESS_TABLE_H

#include "tools/run/collect.h"

#include <stdio.h>

/* As wide as the terminal behind `stream`. Of the program that was started, `wait_status` tells how it ended. */
void process_table_put(FILE *text, const struct collection *collection, int wait_status, FILE *stream);

#endif
