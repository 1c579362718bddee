// SPDX-License-Identifier: MIT
// U2: 4 threads malloc, 2 dlopen and dlclose, 2 malloc inside dl_iterate_phdr callbacks, 1 throws. Arguments: plugin path,
// seconds. Fails when any thread makes no progress for 6 seconds.
#include "hz_victim.h"
#include <dlfcn.h>
#include <link.h>
#include <stdexcept>

enum {
  MALLOC_THREADS = 4,
  LOAD_THREADS = 2,
  ITERATE_THREADS = 2,
  THREADS = MALLOC_THREADS + LOAD_THREADS + ITERATE_THREADS + 1
};
static struct alignas(64) {
  volatile long progress;
} threads[THREADS];
static volatile bool stop;
static const char *plugin;

static int allocate_in_callback(struct dl_phdr_info *, size_t, void *)
{
  hz_churn(3, 80);
  return 0;
}

__attribute__((noinline)) static void throw_at(int depth)
{
  if (depth == 0)
    throw std::runtime_error("a message long enough to be allocated on the heap");
  throw_at(depth - 1);
  __asm__ volatile("" ::: "memory");
}

static void step(int thread, long round)
{
  if (thread < MALLOC_THREADS) {
    for (int i = 0; i < 100; i++)
      hz_churn(i % 20, 32 + i);
  } else if (thread < MALLOC_THREADS + LOAD_THREADS) {
    void *handle = dlopen(plugin, RTLD_NOW);
    REQUIRE(handle);
    auto deep = reinterpret_cast<void *(*)(int, void *(*)(size_t))>(dlsym(handle, "hz_plugin_deep"));
    free(deep(round % 7, malloc));
    dlclose(handle);
  } else if (thread < THREADS - 1) {
    dl_iterate_phdr(allocate_in_callback, nullptr);
    usleep(10); // or the threads that want to load get the lock hardly ever
  } else {
    try {
      throw_at(round % 20);
    } catch (const std::exception &) {
    }
  }
}

static void *run(void *argument)
{
  int thread = static_cast<int>(reinterpret_cast<intptr_t>(argument));
  for (long round = 0; !stop; round++) {
    step(thread, round);
    threads[thread].progress = threads[thread].progress + 1;
  }
  return nullptr;
}

int main(int argc, char **argv)
{
  long seen[THREADS] = {};
  double since[THREADS];
  pthread_t ids[THREADS];
  REQUIRE(argc > 1);
  plugin = argv[1];
  long seconds = hz_argument(argc, argv, 2, 5);
  hz_alarm(seconds + 10);
  double end = hz_now() + static_cast<double>(seconds);
  for (int i = 0; i < THREADS; i++) {
    since[i] = hz_now();
    ids[i] = hz_thread(run, reinterpret_cast<void *>(static_cast<intptr_t>(i)), 0);
  }
  for (bool moving = false; hz_now() < end || !moving;) {
    usleep(50000);
    moving = true;
    for (int i = 0; i < THREADS; i++) {
      if (threads[i].progress != seen[i]) {
        seen[i] = threads[i].progress;
        since[i] = hz_now();
      }
      double stalled = hz_now() - since[i];
      if (stalled > 6 * hz_patience())
        dprintf(2, "thread %d is stuck after %ld rounds\n", i, seen[i]);
      REQUIRE(stalled <= 6 * hz_patience());
      moving = moving && stalled < 1;
    }
  }
  stop = true;
  for (pthread_t id : ids)
    pthread_join(id, nullptr);
  puts("ok");
}
