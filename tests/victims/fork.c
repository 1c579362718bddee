/* SPDX-License-Identifier: MIT */
/* fork [busy|idle]: a parent with live objects forks; a busy child frees some of them and allocates its own, an idle child
 * only leaves. Both go on afterwards, and each says what it has. */
#include "shadow.h"

#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>

enum { OBJECTS = 100 };

static void *objects[OBJECTS];

VICTIM void victim_before_fork(void)
{
  for (size_t i = 0; i < OBJECTS; i++)
    objects[i] = shadow_add(malloc(i), i);
}

/* It allocates first: a child has its profile from its first sample on, and counts from what is in use then. */
VICTIM void victim_in_child(void)
{
  for (size_t i = 0; i < 30; i++)
    shadow_add(malloc(1000 + i), 1000 + i);
  for (size_t i = 0; i < OBJECTS; i += 2) {
    free(objects[i]);
    shadow_remove(i);
  }
}

VICTIM void victim_in_parent(void)
{
  for (size_t i = 1; i < OBJECTS; i += 2) {
    free(objects[i]);
    shadow_remove(i);
  }
  for (size_t i = 0; i < 50; i++)
    shadow_add(calloc(2, 3000 + i), 2 * (3000 + i));
}

int main(int argc, char **argv)
{
  bool idle = argc > 1 && strcmp(argv[1], "idle") == 0;
  victim_before_fork();
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (idle)
      _exit(0);
    shadow_become_child();
    victim_in_child();
    shadow_print();
    exit(5);
  }
  victim_in_parent();
  int status;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == (idle ? 0 : 5));
  shadow_print();
  return 0;
}
