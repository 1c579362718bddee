/* SPDX-License-Identifier: MIT */
/* The page of a process that runs, or that was recorded, made from tools/report/ by the build, and in heapprof-serve as
 * it is. */
#ifndef HEAPPROF_LIVE_PAGE_H
#define HEAPPROF_LIVE_PAGE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* False: built --without-report. */
bool live_page_exists(void);

/* For the process of that number; NULL if there is no page. */
GBytes *live_page_of(int pid);

/* For that row of a recording. */
GBytes *live_page_of_recorded(int64_t id);

#endif
