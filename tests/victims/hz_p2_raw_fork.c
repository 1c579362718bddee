/* SPDX-License-Identifier: MIT */
/* P2: children made by the bare system call, so that no fork handler runs: each allocates, frees half of what it inherited, keeps
 * blocks of its own, and exits like any program. The parent goes on and must not notice. */
#include "hz_victim.h"

#include <sys/syscall.h>
#include <sys/wait.h>

enum { BLOCKS = 300, CHILDREN = 3 };

static void *blocks[BLOCKS];

VICTIM static void victim_fill(size_t size)
{
  for (int i = 0; i < BLOCKS; i++)
    REQUIRE((blocks[i] = shadow_add(malloc(size), size)) != NULL);
}

VICTIM static void victim_touch(void)
{
  REQUIRE(shadow_add(malloc(1), 1) != NULL);
}

static void drop(int count, size_t size)
{
  for (int i = 0; i < count; i++) {
    free(blocks[i]);
    shadow_remove(size);
  }
}

int main(void)
{
  victim_fill(100);
  for (int child = 0; child < CHILDREN; child++) {
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
    REQUIRE(pid >= 0);
    if (pid == 0) {
      shadow_become_child();
      victim_touch(); /* what a child freed before its first allocation would be in nobody's counts */
      drop(BLOCKS / 2, 100);
      victim_fill(50);
      shadow_print();
      exit(0);
    }
    int status;
    REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
  }
  drop(BLOCKS, 100);
  victim_fill(10);
  shadow_print();
  return 0;
}
