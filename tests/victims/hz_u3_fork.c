/* SPDX-License-Identifier: MIT */
/* U3: forks while 8 threads malloc; every child mallocs, dlopens, mallocs in there, and exits (which dumps) under a 3 s
 * alarm. Arguments: plugin path, number of forks. */
#include "hz_victim.h"
#include <dlfcn.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile bool stop;

static void *churn(void *argument)
{
  for (int i = 0; !stop; i++)
    hz_churn(i % 24, 16 + i % 500);
  return argument;
}

static void child(const char *plugin)
{
  hz_alarm(3);
  for (int i = 0; i < 20; i++)
    hz_churn(i, 64);
  void *handle = dlopen(plugin, RTLD_NOW);
  REQUIRE(handle != NULL);
  void *(*deep)(int, void *(*)(size_t));
  *(void **)&deep = dlsym(handle, "hz_plugin_deep");
  free(deep(5, malloc));
  dlclose(handle);
  exit(0);
}

/* Not left to the child's alarm: who waits for a mutex may have blocked it. */
static void wait_for(pid_t pid, long number)
{
  int status;
  struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
  REQUIRE(ended.fd >= 0);
  if (poll(&ended, 1, 4000 * (int)hz_patience()) != 1)
    kill(pid, SIGKILL);
  close(ended.fd);
  REQUIRE(waitpid(pid, &status, 0) == pid);
  if (status != 0) {
    dprintf(2, "child %ld ended with status %#x\n", number, (unsigned)status);
    _exit(1);
  }
}

int main(int argc, char **argv)
{
  pthread_t threads[8];
  REQUIRE(argc > 1);
  hz_alarm(120 + hz_argument(argc, argv, 2, 500) / 20);
  for (int i = 0; i < 8; i++)
    threads[i] = hz_thread(churn, NULL, 0);
  for (long i = 0, forks = hz_argument(argc, argv, 2, 500); i < forks; i++) {
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0)
      child(argv[1]);
    wait_for(pid, i);
  }
  stop = true;
  for (int i = 0; i < 8; i++)
    pthread_join(threads[i], NULL);
  puts("ok");
  return 0;
}
