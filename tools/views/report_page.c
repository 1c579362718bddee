/* SPDX-License-Identifier: MIT */
#include "tools/views/report_page.h"

#ifdef HEAPPROF_REPORT

/* The assembler finds the file: in the build directory, or in that of the sources when it came with a release. */
__asm__(".pushsection .rodata\n"
        "report_page_start: .incbin \"tools/report/page.html\"\n"
        "report_page_end: .byte 0\n"
        ".popsection\n");

extern const char report_page_start[] __attribute__((visibility("hidden")));
extern const char report_page_end[] __attribute__((visibility("hidden")));

bool report_page_exists(void)
{
  return true;
}

GBytes *report_page_with(const GString *json)
{
  static const char mark[] = "@PROFILE@"; /* there once: the build sees to it */
  const char *place = g_strstr_len(report_page_start, report_page_end - report_page_start, mark);
  const char *rest = place + sizeof mark - 1;
  GByteArray *page = g_byte_array_new();
  g_byte_array_append(page, (const guint8 *)report_page_start, (guint)(place - report_page_start));
  g_byte_array_append(page, (const guint8 *)json->str, (guint)json->len);
  g_byte_array_append(page, (const guint8 *)rest, (guint)(report_page_end - rest));
  return g_byte_array_free_to_bytes(page);
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
