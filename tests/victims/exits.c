/* SPDX-License-Identifier: MIT */
/* exits WAY: allocates, says the count, and ends in that way. */
#include "shadow.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

VICTIM void victim_allocate(void)
{
  for (size_t i = 0; i < 1000; i++)
    shadow_add(malloc(i), i);
}

static void exit_in_handler(int number)
{
  exit(number);
}

static void leave_without_files(void)
{
  struct rlimit none = {0, 0};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  exit(5);
}

int main(int argc, char **argv)
{
  const char *way = argc > 1 ? argv[1] : "return";
  victim_allocate();
  shadow_print();
  if (strcmp(way, "return") == 0)
    return 5;
  if (strcmp(way, "exit") == 0)
    exit(5);
  if (strcmp(way, "_exit") == 0)
    _exit(5);
  if (strcmp(way, "_Exit") == 0)
    _Exit(5);
  if (strcmp(way, "quick_exit") == 0)
    quick_exit(5);
  if (strcmp(way, "abort") == 0)
    abort();
  if (strcmp(way, "segv") == 0)
    raise(SIGSEGV);
  if (strcmp(way, "handler") == 0) {
    signal(SIGTERM, exit_in_handler);
    raise(SIGTERM);
  }
  if (strcmp(way, "nofile") == 0)
    leave_without_files();
  return 99;
}
