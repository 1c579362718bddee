/* SPDX-License-Identifier: MIT */
/* S4: libraries with thread-local storage are loaded and used beside threads that malloc. Arguments: their paths. */
#include "hz_victim.h"
#include <dlfcn.h>

static volatile bool stop;
static int (*volatile latest)(void);

static void *churn(void *argument)
{
  while (!stop) {
    hz_churn(5, 100);
    int (*use)(void) = latest;
    if (use)
      REQUIRE(use() > 0);
  }
  return argument;
}

int main(int argc, char **argv)
{
  pthread_t threads[4];
  hz_alarm(20);
  for (int i = 0; i < 4; i++)
    threads[i] = hz_thread(churn, NULL, 0);
  for (int i = 1; i < argc; i++) {
    void *handle = dlopen(argv[i], RTLD_NOW);
    REQUIRE(handle != NULL);
    int (*use)(void);
    *(void **)&use = dlsym(handle, "hz_plugin_variant");
    REQUIRE(use() == 1 && use() == 2);
    latest = use;
    hz_churn(5, 100);
    usleep(2000);
  }
  stop = true;
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  puts("ok");
  return 0;
}
