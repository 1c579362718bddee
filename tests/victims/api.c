/* SPDX-License-Identifier: MIT */
/* api ORDER...: a program that was built without the profiler and asks whether it is there.
 *   work      allocates, counted       stop, start   sampling off and on
 *   hidden    allocates, not counted   free          frees all of the counted
 *   dump=PATH, dump                    says the result and errno
 *   stats, version                     says them */
#include "heapprof.h"
#include "shadow.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { OBJECTS = 64 };

static void *objects[1024];
static size_t object_count;

VICTIM void victim_work(void)
{
  for (size_t i = 0; i < OBJECTS; i++)
    objects[object_count++] = shadow_add(malloc(i), i);
}

VICTIM void victim_free(void)
{
  while (object_count > 0) {
    free(objects[--object_count]);
    shadow_remove(object_count % OBJECTS);
  }
}

__attribute__((noinline)) static void allocate_hidden(void)
{
  for (size_t i = 0; i < OBJECTS; i++) {
    void *p = malloc(5000 + i);
    __asm__ volatile("" : "+r"(p) : : "memory");
  }
}

static void dump(const char *path)
{
  errno = 0;
  int result = heapprof_dump(path);
  dprintf(STDOUT_FILENO, "dump %d %s\n", result, result == 0 ? "ok" : strerror(errno));
}

static void say_stats(void)
{
  struct heapprof_stats stats;
  memset(&stats, 0xff, sizeof stats);
  dprintf(STDOUT_FILENO, "stats %d\n", heapprof_stats(&stats));
}

static void obey(const char *order)
{
  if (strcmp(order, "work") == 0)
    victim_work();
  else if (strcmp(order, "free") == 0)
    victim_free();
  else if (strcmp(order, "hidden") == 0)
    allocate_hidden();
  else if (heapprof_version == NULL)
    dprintf(STDOUT_FILENO, "absent\n");
  else if (strcmp(order, "stop") == 0)
    heapprof_stop();
  else if (strcmp(order, "start") == 0)
    heapprof_start();
  else if (strcmp(order, "dump") == 0)
    dump(NULL);
  else if (strncmp(order, "dump=", 5) == 0)
    dump(order + 5);
  else if (strcmp(order, "stats") == 0)
    say_stats();
  else if (strcmp(order, "version") == 0)
    dprintf(STDOUT_FILENO, "version %s\n", heapprof_version());
  else
    REQUIRE(!"an order");
}

int main(int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    obey(argv[i]);
  shadow_print();
  return 0;
}
