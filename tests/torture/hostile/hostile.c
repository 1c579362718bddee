/* SPDX-License-Identifier: MIT */
/* Does what programs do that think of nobody else: a sequence of operations that follows from a seed, and so does what it prints.
 *
 *   hostile SEED STEPS PLUGIN any|jumps [STEP]
 *
 * jumps: the allocator stands handlers that allocate and jump away at any instruction (hz_async_allocator). STEP: that one alone, as it is
 * in the whole sequence. "hostile child NUMBER" is what it executes itself as. */
#include "hostile.h"

#include "memory.h"
#include "signals.h"
#include "threads.h"

#include "processes.h"

#include "limits.h"
#include "loader.h"

#include <sys/stat.h>

static const struct operation {
  const char *name;
  void (*run)(void);
} operations[] = {
    {"ask for too much", ask_for_too_much},
    {"ask oddly", ask_oddly},
    {"shrink to nothing", shrink_to_nothing},
    {"churn", churn_here},
    {"coroutines", run_coroutines},
    {"join threads", join_threads},
    {"detach threads", detach_threads},
    {"cancel", cancel_deferred},
    {"cancel asynchronously", cancel_asynchronously},
    {"destroy thread data", destroy_thread_data},
    {"smallest stack", run_on_smallest_stack},
    {"near the guard", come_near_the_guard},
    {"handle", handle},
    {"handle by fork", handle_by_fork},
    {"survive faults", survive_faults},
    {"interrupt malloc", interrupt_malloc},
    {"wait for signals", wait_for_signals},
    {"fork", fork_children},
    {"fork from threads", fork_from_threads},
    {"spawn", spawn_programs},
    {"vfork", vfork_children},
    {"execute", execute_programs},
    {"use the shell", use_the_shell},
    {"clone", clone_children},
    {"clone, sharing", clone_sharing},
    {"stop and continue", stop_and_continue},
    {"trace", trace},
    {"kill", kill_amid},
    {"leave an orphan", leave_an_orphan},
    {"leave main first", leave_main_first},
    {"exit while others allocate", exit_while_others_allocate},
    {"load and unload", load_and_unload},
    {"load in threads", load_in_threads},
    {"fork amid loading", fork_amid_loading},
    {"write everywhere", write_everywhere},
    {"close everything", close_everything},
    {"close even the first", close_even_the_first},
    {"change limits", change_limits},
    {"give up privileges", give_up_privileges},
    {"unshare", unshare_namespaces},
    {"confine", confine},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

/* Objects of every way to end: freed when there is hardly anything left. */

static void *freed_at_exit[20], *freed_by_destructor[20];

static void free_all(void **objects)
{
  for (int i = 0; i < 20; i++) {
    free(objects[i]);
    objects[i] = malloc(20);
    free(objects[i]);
  }
}

static void at_exit(void)
{
  free_all(freed_at_exit);
  free(getenv("HOME") ? strdup("home") : NULL);
}

__attribute__((destructor)) static void at_the_very_end(void)
{
  free_all(freed_by_destructor);
}

static void prepare_to_end(void)
{
  for (int i = 0; i < 20; i++) {
    freed_at_exit[i] = malloc(100 + (size_t)i);
    freed_by_destructor[i] = malloc(3000 + (size_t)i);
  }
  REQUIRE(atexit(at_exit) == 0 && at_quick_exit(at_exit) == 0);
  __cxa_thread_atexit_impl(free, malloc(300), &__dso_handle);
}

static void run_step(unsigned long seed, unsigned long step)
{
  chance = seed * 0x9e3779b97f4a7c15u + step * 0xbf58476d1ce4e5b9u;
  for (int i = 0; i < 4; i++)
    draw(2);
  const struct operation *operation = &operations[draw(OPERATIONS)];
  say("%lu: %s\n", step, operation->name);
  operation->run();
  background_rest();
  say_descriptors();
  background_go_on();
}

static int be_child(unsigned number)
{
  say("child: %u\n", churn(number, 200));
  return (int)number;
}

int main(int argc, char **argv)
{
  if (argc == 3)
    return be_child((unsigned)atoi(argv[2]));
  REQUIRE(argc >= 5);
  hz_alarm(8);
  unsigned long seed = strtoul(argv[1], NULL, 10), steps = strtoul(argv[2], NULL, 10);
  plugin_path = argv[3];
  is_interruptible = strcmp(argv[4], "jumps") == 0;
  umask(022);
  REQUIRE(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0);
  REQUIRE(pthread_attr_init(&usual_threads) == 0 && pthread_attr_setstacksize(&usual_threads, 256 << 10) == 0);
  prepare_to_end();
  background_start((unsigned)(seed / 2 % (BACKGROUND_MAX + 1)));
  for (unsigned long step = 0; step < steps; step++)
    if (argc < 6 || strtoul(argv[5], NULL, 10) == step)
      run_step(seed, step);
  leave(draw(400));
}
