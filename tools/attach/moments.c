/* SPDX-License-Identifier: MIT */
#include "tools/attach/moments.h"

#include <glib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* 0: none is. */
static int chosen_in(const char *variable)
{
  const char *chosen = g_getenv(variable);
  return chosen != NULL ? atoi(chosen) : 0;
}

static int passed;

void moment_passes(void)
{
  passed++;
  if (chosen_in("HEAPPROF_ATTACH_DIE_AT") == passed)
    (void)raise(SIGKILL);
  if (chosen_in("HEAPPROF_ATTACH_STOP_AT") == passed)
    (void)kill(-getpgid(getppid()), SIGSTOP); /* as a shell does with a job */
  if (chosen_in("HEAPPROF_ATTACH_HOLD_AT") == passed)
    (void)raise(SIGSTOP);
}

void moment_is_ahead(void)
{
  static int times;
  if (chosen_in("HEAPPROF_ATTACH_HOLD_AHEAD") == ++times)
    (void)raise(SIGSTOP);
}

bool moment_is_too_late(void)
{
  return passed > 0 && chosen_in("HEAPPROF_ATTACH_LATE_AT") == passed;
}

bool moment_is_last_look(int looks)
{
  int most = chosen_in("HEAPPROF_ATTACH_LOOKS");
  return most > 0 && looks >= most;
}
