/* SPDX-License-Identifier: MIT */
#include "core/resident.h"

#include "core/descriptor.h"
#include "core/on_stack.h"
#include "core/region.h"

#include <string.h>

/* "VmRSS:\t    1234 kB" on a line of its own. */
static uint64_t bytes_of(const char *status, const char *key)
{
  const char *at = status;
  uint64_t kilobytes = 0;
  while (at != NULL && strncmp(at, key, strlen(key)) != 0)
    at = (at = strchr(at, '\n')) != NULL ? at + 1 : NULL;
  if (at == NULL)
    return 0;
  for (at += strlen(key); *at == ' ' || *at == '\t'; at++)
    continue;
  for (; *at >= '0' && *at <= '9'; at++)
    kilobytes = kilobytes * 10 + (uint64_t)(*at - '0');
  return kilobytes * 1024;
}

struct resident resident_of(const char *status)
{
  return (struct resident){.now_bytes = bytes_of(status, "VmRSS:"), .most_bytes = bytes_of(status, "VmHWM:")};
}

void resident_leave(void)
{
  char status[2048]; /* both are in the first half */
  struct region_header *header = region_header();
  long size = descriptor_read_file("/proc/self/status", 0, status, sizeof status - 1);
  status[size > 0 ? size : 0] = '\0';
  struct resident resident = resident_of(status);
  if (header == NULL || resident.most_bytes == 0)
    return;
  atomic_store_explicit(&header->resident_bytes, resident.now_bytes, memory_order_relaxed);
  atomic_store_explicit(&header->resident_most_bytes, resident.most_bytes, memory_order_relaxed);
}

static void leave(void *unused)
{
  (void)unused;
  resident_leave();
}

void resident_leave_aside(void)
{
  enum { STACK_BYTES = 16 << 10 };
  (void)on_fresh_stack(leave, NULL, STACK_BYTES);
}
