/* SPDX-License-Identifier: MIT */
/* P1: vfork children that malloc, free one of their parent's blocks (the memory is shared: it is freed), fail to exec and
 * _exit(127), between allocations of the parent. */
#include "hz_victim.h"
#include <sys/wait.h>

enum { BLOCKS = 100, CHILDREN = 20, BLOCK_BYTES = 1000, CHILD_BYTES = 333 };
static void *blocks[BLOCKS];

__attribute__((noreturn)) static void child(int i)
{
  static char *const arguments[] = {(char *)"none", NULL};
  free(shadow_add(malloc(CHILD_BYTES), CHILD_BYTES));
  shadow_remove(CHILD_BYTES);
  free(blocks[i]);
  shadow_remove(BLOCK_BYTES);
  execv("/nonexistent/program", arguments);
  _exit(127);
}

static void *work(void *unused)
{
  for (int i = 0; i < BLOCKS; i++) {
    REQUIRE((blocks[i] = shadow_add(malloc(BLOCK_BYTES), BLOCK_BYTES)) != NULL);
    if (i < BLOCKS - CHILDREN)
      continue;
    int status;
    pid_t pid = vfork();
    if (pid == 0)
      child(i - (BLOCKS - CHILDREN));
    REQUIRE(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 127);
  }
  return unused;
}

int main(void)
{
  hz_alarm(10);
  victim_counted(work, NULL);
  hz_report();
  return 0;
}
