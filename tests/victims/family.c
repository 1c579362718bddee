/* SPDX-License-Identifier: MIT */
/* family WHAT: loads 40 MiB, forks three workers that each hold 10 MiB of their own, and waits for them. WHAT: keep;
 * free: the parent frees what it loaded while the workers hold it; drop: the workers free what they inherited; deep: each
 * worker comes from the one before. Or same: parent and child each allocate 1 MiB at one place, by one stack. */
#include "shadow.h"

#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>

enum { LOADED = 40, SERVED = 10, WORKERS = 3, BLOCK_BYTES = 1 << 20 };

static void *loaded[LOADED], *served[SERVED];

VICTIM void victim_load(void)
{
  for (int i = 0; i < LOADED; i++)
    REQUIRE((loaded[i] = malloc(BLOCK_BYTES)) != NULL);
}

VICTIM void victim_serve(void)
{
  for (int i = 0; i < SERVED; i++)
    REQUIRE((served[i] = malloc(BLOCK_BYTES)) != NULL);
}

VICTIM void victim_unload(void)
{
  for (int i = 0; i < LOADED; i++)
    free(loaded[i]);
}

static void work(const char *what, int workers)
{
  pid_t child = workers > 0 ? fork() : -1;
  if (child == 0) {
    victim_serve();
    if (strcmp(what, "drop") == 0)
      victim_unload();
    if (strcmp(what, "deep") == 0)
      work(what, workers - 1);
    exit(0);
  }
  if (child > 0 && strcmp(what, "deep") != 0)
    work(what, workers - 1);
  int status;
  REQUIRE(child < 0 || (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

/* 1 MiB before the fork, then 1 MiB in the child alone: its walk finds all that its parent's last one found. */
static void work_at_one_place(void)
{
  pid_t child = 0;
  volatile int turns = 2; /* so that the compiler leaves the loop as it is */
  for (int turn = 0; turn < turns; turn++) {
    if (child == 0)
      REQUIRE((served[turn] = malloc(BLOCK_BYTES)) != NULL);
    if (turn == 0)
      child = fork();
  }
  if (child == 0)
    exit(0);
  REQUIRE(waitpid(child, NULL, 0) == child);
}

int main(int argc, char **argv)
{
  const char *what = argc > 1 ? argv[1] : "keep";
  if (strcmp(what, "same") == 0) {
    work_at_one_place();
    return 0;
  }
  victim_load();
  work(what, WORKERS);
  if (strcmp(what, "free") == 0)
    victim_unload();
  return 0;
}
