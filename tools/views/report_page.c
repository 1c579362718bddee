/* SPDX-License-Identifier: MIT */
#include "tools/views/report_page.h"

#include "tools/views/built_page.h"

#ifdef HEAPPROF_REPORT

BUILT_PAGE(report_page, "tools/report/page.html");

bool report_page_exists(void)
{
  return true;
}

GBytes *report_page_with(const GString *json)
{
  return built_page_with(report_page_start, report_page_end, json);
}

#else

bool report_page_exists(void)
{
  return false;
}

GBytes *report_page_with(const GString *json)
{
  (void)json;
  return NULL;
}

#endif
