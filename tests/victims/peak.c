/* SPDX-License-Identifier: MIT */
/* peak [fork]: holds 100 MiB, gives them back, holds 60 MiB. Says what was in use before and the peak, as the profiler knows them.
 * A child that is forked on the way up goes a little higher. */
#include "heapprof.h"
#include "shadow.h"

#include <string.h>
#include <sys/wait.h>

enum { MIB = 1 << 20, TOP = 100, LATER = 60, CHILDS = 10 };

static void *held[TOP], *childs[CHILDS];

VICTIM void victim_climb(void)
{
  for (int i = 0; i < TOP; i++)
    held[i] = shadow_add(malloc(MIB), MIB);
}

VICTIM void victim_descend(void)
{
  for (int i = 0; i < TOP; i++) {
    free(held[i]);
    shadow_remove(MIB);
  }
}

VICTIM void victim_climb_again(void)
{
  for (int i = 0; i < LATER; i++)
    shadow_add(calloc(1, MIB), MIB);
}

VICTIM void victim_in_child(void)
{
  for (int i = 0; i < CHILDS; i++)
    childs[i] = shadow_add(malloc(MIB), MIB);
}

static unsigned long in_use(void)
{
  struct heapprof_stats stats;
  REQUIRE(heapprof_stats != NULL && heapprof_stats(&stats) == 0);
  return stats.inuse_bytes;
}

static void report(unsigned long before)
{
  struct heapprof_stats stats;
  REQUIRE(heapprof_stats(&stats) == 0);
  dprintf(STDOUT_FILENO, "before=%lu peak=%lu pid=%d\n", before, (unsigned long)stats.peak_inuse_bytes, (int)getpid());
}

static void be_child(unsigned long before)
{
  shadow_become_child();
  victim_in_child();
  victim_descend();
  report(before);
  shadow_print();
  exit(0);
}

int main(int argc, char **argv)
{
  unsigned long before = in_use();
  int status;
  victim_climb();
  pid_t child = argc > 1 && strcmp(argv[1], "fork") == 0 ? fork() : -1;
  if (child == 0)
    be_child(before);
  victim_descend();
  victim_climb_again();
  if (child > 0)
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
  report(before);
  shadow_print();
  return 0;
}
