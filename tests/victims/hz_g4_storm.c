/* SPDX-License-Identifier: MIT */
/* G4: SIGUSR2 every 5 ms to a program whose 8 threads allocate, print, load libraries and fork. Arguments: a library,
 * seconds, and, if there is a third, until a line comes in. */
#include "hz_victim.h"
#include <dlfcn.h>
#include <sys/wait.h>

static volatile bool stop;
static const char *library;
static FILE *null;

static void *run(void *argument)
{
  for (long i = 0, kind = (intptr_t)argument; !stop; i++) {
    hz_churn(i % 20, i % 3000);
    if (kind == 0) {
      fprintf(null, "%ld\n", i);
    } else if (kind == 1) {
      void *handle = dlopen(library, RTLD_NOW);
      REQUIRE(handle != NULL && dlclose(handle) == 0);
    } else if (kind == 2) {
      pid_t pid = fork();
      if (pid == 0) {
        hz_alarm(5);
        _exit(0);
      }
      REQUIRE(pid > 0 && waitpid(pid, NULL, 0) == pid);
    }
  }
  return NULL;
}

int main(int argc, char **argv)
{
  pthread_t threads[8];
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
  struct itimerspec every = {{0, 5000000}, {0, 5000000}}, never = {{0, 0}, {0, 0}};
  REQUIRE(argc > 1 && (null = fopen("/dev/null", "w")) != NULL);
  library = argv[1];
  hz_churn(0, 64 << 20); /* a sample for certain: every profile has something to say */
  long seconds = hz_argument(argc, argv, 2, 3);
  hz_alarm(seconds + 8);
  for (long i = 0; i < 8; i++)
    threads[i] = hz_thread(run, (void *)i, 0);
  REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &every, NULL) == 0);
  for (double end = hz_now() + (double)seconds; hz_now() < end;)
    usleep(100000);
  if (argc > 3)
    (void)getchar();
  REQUIRE(timer_settime(timer, 0, &never, NULL) == 0);
  stop = true;
  for (int i = 0; i < 8; i++)
    pthread_join(threads[i], NULL);
  puts("ok");
  return 0;
}
