/* SPDX-License-Identifier: MIT */
/* Spawns a program again and again, in turns with each of the preloads ("" is none), and prints what each spawn took, a line
 * for each: the number of the preload, ns until the program had ended, and the pages it touched first.
 *   spawn ROUNDS PROGRAM PRELOAD... */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { VARIABLES = 4096 };

extern char **environ;

static long long now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int spawn(int number, const char *program, char **environment)
{
  char *words[] = {(char *)program, NULL};
  struct rusage usage;
  pid_t pid;
  int status;
  long long begin = now_ns();
  if (posix_spawn(&pid, program, NULL, NULL, words, environment) != 0 || wait4(pid, &status, 0, &usage) != pid ||
      status != 0)
    return 0;
  printf("%d %lld %ld\n", number, now_ns() - begin, usage.ru_minflt);
  return 1;
}

int main(int argc, char **argv)
{
  char *environment[VARIABLES], preload[4096];
  int variables = 0, preloads = argc - 3;
  if (preloads < 1)
    return 2;
  while (environ[variables] != NULL && variables < VARIABLES - 2) {
    environment[variables] = environ[variables];
    variables++;
  }
  environment[variables] = preload;
  environment[variables + 1] = NULL;
  for (int round = 0; round < atoi(argv[1]); round++)
    for (int i = 0; i < preloads; i++) {
      int number = (round + i) % preloads;
      snprintf(preload, sizeof preload, "LD_PRELOAD=%s", argv[3 + number]);
      if (!spawn(number, argv[2], environment))
        return 1;
    }
  return 0;
}
