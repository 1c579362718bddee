/* SPDX-License-Identifier: MIT */
/* A library that moves the environment as it starts, as programs do that change their title. */
#include <string.h>
#include <unistd.h>

extern char **environ;
static char *moved[1000];

__attribute__((constructor)) static void move_environment(void)
{
  size_t count = 0;
  while (environ[count] != NULL && count < sizeof moved / sizeof *moved - 1)
    count++;
  memcpy(moved, environ, count * sizeof *moved);
  environ = moved;
}
