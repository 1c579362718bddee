/* SPDX-License-Identifier: MIT */
#include "tools/live/live_page.h"

#include "tools/views/built_page.h"

#ifdef HEAPPROF_REPORT

BUILT_PAGE(live_page, "tools/report/live.html");

bool live_page_exists(void)
{
  return true;
}

GBytes *live_page_of(int pid)
{
  g_autoptr(GString) json = g_string_new(NULL);
  g_string_printf(json, "{\"pid\":%d}", pid);
  return built_page_with(live_page_start, live_page_end, json);
}

GBytes *live_page_of_recorded(int64_t id)
{
  g_autoptr(GString) json = g_string_new(NULL);
  g_string_printf(json, "{\"pid\":\"id:%" G_GINT64_FORMAT "\",\"is_recorded\":true}", id);
  return built_page_with(live_page_start, live_page_end, json);
}

#else

bool live_page_exists(void)
{
  return false;
}

GBytes *live_page_of(int pid)
{
  (void)pid;
  return NULL;
}

GBytes *live_page_of_recorded(int64_t id)
{
  (void)id;
  return NULL;
}

#endif
