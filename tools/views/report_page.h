/* SPDX-License-Identifier: MIT */
/* The page of `heapprof report`, made from tools/report/ by the build, and in the command as it is. */
#ifndef HEAPPROF_REPORT_PAGE_H
#define HEAPPROF_REPORT_PAGE_H

#include <glib.h>
#include <stdbool.h>

/* False: built --without-report. */
bool report_page_exists(void);

/* The page with `json` (heap_json.h) in its place; NULL if there is none. */
GBytes *report_page_with(const GString *json);

#endif
