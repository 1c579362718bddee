/* SPDX-License-Identifier: MIT */
/* Libraries that come and go (plugin.c), in several threads. */
#ifndef HOSTILE_LOADER_H
#define HOSTILE_LOADER_H

#include "hostile.h"

#include <dlfcn.h>

static unsigned use_plugin(int flags, unsigned rounds)
{
  unsigned sum = 0;
  for (unsigned i = 0; i < rounds; i++) {
    void *library = dlopen(plugin_path, flags);
    REQUIRE(library != NULL);
    unsigned (*use)(unsigned) = (unsigned (*)(unsigned))(uintptr_t)dlsym(library, "plugin_use");
    REQUIRE(use != NULL);
    sum += use(i);
    REQUIRE(dlclose(library) == 0);
  }
  return sum;
}

static void load_and_unload(void)
{
  static const int flags[] = {RTLD_NOW, RTLD_LAZY, RTLD_NOW | RTLD_GLOBAL, RTLD_NOW | RTLD_DEEPBIND};
  say("plug-in: %u\n", use_plugin(flags[draw(4)], 10));
  say("no plug-in: %s\n", dlopen("/not/there.so", RTLD_NOW) == NULL && dlerror() != NULL ? "refused" : "loaded");
}

static void *use_plugin_in_thread(void *rounds)
{
  return (void *)(uintptr_t)use_plugin(RTLD_NOW, (unsigned)(uintptr_t)rounds);
}

static void load_in_threads(void)
{
  pthread_t threads[4];
  unsigned sum = 0;
  for (int i = 0; i < 4; i++)
    threads[i] = start_thread(use_plugin_in_thread, draw(20));
  for (int i = 0; i < 4; i++)
    sum += (unsigned)join(threads[i]);
  say("plug-in in threads: %u\n", sum);
}

/* A child of a process in which another thread may be loading. */
static void fork_amid_loading(void)
{
  pthread_t thread = start_thread(use_plugin_in_thread, 20);
  for (int i = 0; i < 4; i++) {
    pid_t child = fork_child();
    if (child == 0) {
      churn(6, 50);
      _exit(17);
    }
    say_end("forked amid loading", wait_for(child));
  }
  say("plug-in meanwhile: %u\n", (unsigned)join(thread));
}

#endif
