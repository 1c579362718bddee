/* SPDX-License-Identifier: MIT */
/* Forks when the profiler has seen the end of this process: the child allocates, and ends by itself. */
#include "hz_victim.h"

#include <sys/wait.h>

static char *inherited;

VICTIM char *victim_allocate(size_t size)
{
  return shadow_add(malloc(size), size);
}

void hz_library_destructor(void)
{
  int status;
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    shadow_become_child();
    REQUIRE(victim_allocate(3000) != NULL);
    free(inherited);
    shadow_remove(100);
    shadow_print();
    _exit(4);
  }
  REQUIRE(waitpid(child, &status, 0) == child);
  dprintf(1, "child: %#x\n", status);
}

int main(void)
{
  inherited = victim_allocate(100);
  REQUIRE(inherited != NULL);
  shadow_print();
  return 0;
}
