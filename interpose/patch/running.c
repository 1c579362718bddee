/* SPDX-License-Identifier: MIT */
#include "interpose/patch/running.h"

#include "core/descriptor.h"
#include "core/sys.h"
#include "interpose/patch/pages.h"
#include "interpose/patch/protection.h"

#include <string.h>

enum { CHANGES_MAX = PAGES_MAX / 2 };

static LARGE struct {
  struct change {
    uint8_t *at;
    uint8_t bytes, needed;
    uint8_t own[RUNNING_CHANGE_BYTES_MAX], hooked[RUNNING_CHANGE_BYTES_MAX];
  } changes[CHANGES_MAX];
  size_t count;
  struct pages pages;
} running;

static bool is_apart(const uint8_t *at, size_t needed)
{
  for (size_t i = 0; i < running.count; i++)
    if (at < running.changes[i].at + running.changes[i].needed && running.changes[i].at < at + needed)
      return false;
  return true;
}

bool running_note(const uint8_t *at, const uint8_t *changed, size_t bytes, size_t needed)
{
  if (running.count == CHANGES_MAX || bytes > RUNNING_CHANGE_BYTES_MAX || !is_apart(at, needed))
    return false;
  struct change *change = &running.changes[running.count++];
  *change = (struct change){.at = (uint8_t *)(uintptr_t)at, .bytes = (uint8_t)bytes, .needed = (uint8_t)needed};
  memcpy(change->own, at, bytes);
  memcpy(change->hooked, changed, bytes);
  return true;
}

struct running_mark running_mark(void)
{
  return (struct running_mark){running.count};
}

void running_forget(struct running_mark mark)
{
  running.count = mark.count;
}

static bool accounts_for_all(void)
{
  char mode = '2';
  int file = descriptor_open("/proc/sys/vm/overcommit_memory", O_RDONLY, 0);
  bool is_read = file >= 0 && sys_pread(file, &mode, sizeof mode, 0) == sizeof mode;
  if (file >= 0)
    (void)sys_close(file);
  return !is_read || mode == '2';
}

/* Somebody else may have put a probe or a breakpoint there since, and will want to find it. */
static const char *change_copies(bool are_hooked)
{
  for (size_t i = 0; i < running.count; i++) {
    const struct change *change = &running.changes[i];
    if (memcmp(change->at, are_hooked ? change->own : change->hooked, change->bytes) != 0)
      return "somebody else has changed its code";
    pages_change(&running.pages, change->at, are_hooked ? change->hooked : change->own, change->bytes);
  }
  return NULL;
}

static const char *exchange(bool are_hooked)
{
  bool are_put;
  pages_begin(&running.pages);
  for (size_t i = 0; i < running.count; i++)
    pages_add(&running.pages, running.changes[i].at, running.changes[i].bytes);
  const char *reason = protection_check(running.pages.at, running.pages.count);
  reason = reason == NULL ? pages_copy(&running.pages) : reason;
  reason = reason == NULL ? change_copies(are_hooked) : reason;
  reason = reason == NULL ? pages_make_executable(&running.pages) : reason;
  reason = reason == NULL ? pages_put(&running.pages, &are_put) : reason;
  pages_end(&running.pages);
  return reason;
}

const char *running_put(bool are_hooked)
{
  if (running.count == 0)
    return NULL;
  return accounts_for_all()
             ? "the kernel accounts for all memory (vm.overcommit_memory), and may refuse half of the change"
             : exchange(are_hooked);
}
