/* SPDX-License-Identifier: MIT */
/* hz_t1_waits WHERE: a thread that says "waits" and waits for a byte, or for ever, in a place of libc that may hold
 * a lock which dlopen wants, or in one that does not. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wait_for_byte(void)
{
  char byte;
  if (write(1, "waits\n", 6) != 6 || read(0, &byte, 1) != 1)
    _exit(1);
}

static int compare(const void *a, const void *b)
{
  static bool has_waited;
  if (!has_waited)
    wait_for_byte();
  has_waited = true;
  return *(const int *)a - *(const int *)b;
}

static void in_sort(void)
{
  int numbers[] = {2, 1};
  qsort(numbers, 2, sizeof *numbers, compare);
}

static void in_search(void)
{
  int numbers[] = {1, 2}, wanted = 2;
  (void)bsearch(&wanted, numbers, 2, sizeof *numbers, compare);
}

static void in_once(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, wait_for_byte);
}

static void in_exit(void)
{
  (void)atexit(wait_for_byte);
  exit(0);
}

/* Nothing of the program is between libc's own pause, as a handler, and what calls it. */
static void in_fork(void)
{
  (void)pthread_atfork((void (*)(void))pause, NULL, NULL);
  if (write(1, "waits\n", 6) == 6 && fork() == 0)
    _exit(0);
}

static void *lock_output(void *unused)
{
  (void)unused;
  flockfile(stdout);
  return NULL;
}

/* Whoever has the lock has ended. */
static void in_output(void)
{
  pthread_t thread;
  if (pthread_create(&thread, NULL, lock_output, NULL) == 0 && pthread_join(thread, NULL) == 0 &&
      write(1, "waits\n", 6) == 6)
    (void)puts("never");
}

static void end_of_thread(void *unused)
{
  (void)unused;
  wait_for_byte();
  _exit(0);
}

static void *have_value(void *key)
{
  (void)pthread_setspecific(*(pthread_key_t *)key, key);
  return NULL;
}

static void wait_for_ever(void)
{
  for (;;)
    (void)pause();
}

/* Nor is the first thread in a place to be led away from. */
static void in_end(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  static pthread_key_t key;
  pthread_t thread;
  if (pthread_key_create(&key, end_of_thread) == 0 && pthread_create(&thread, NULL, have_value, &key) == 0)
    (void)pthread_once(&once, wait_for_ever);
}

static void in_input(void)
{
  if (write(1, "waits\n", 6) == 6)
    (void)getchar();
}

static void in_condition(void)
{
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
  if (pthread_mutex_lock(&lock) == 0 && write(1, "waits\n", 6) == 6)
    (void)pthread_cond_wait(&never, &lock);
}

static void *say_something(void *unused)
{
  (void)puts("never");
  return unused;
}

static void *sleep_in_once(void *unused)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, wait_for_ever);
  return unused;
}

/* Two for stdio's lock, one in what is called once, and one for something of its own. */
static void in_several(void)
{
  pthread_t thread;
  flockfile(stdout);
  if (pthread_create(&thread, NULL, say_something, NULL) != 0 ||
      pthread_create(&thread, NULL, say_something, NULL) != 0 ||
      pthread_create(&thread, NULL, sleep_in_once, NULL) != 0)
    _exit(1);
  in_sort();
}

static sem_t never_posted;

/* In a function of libc without a name, to which sem_wait goes on by a jump. */
static void *wait_for_post(void *unused)
{
  (void)sem_wait(&never_posted);
  return unused;
}

static void in_semaphore(void)
{
  if (write(1, "waits\n", 6) == 6)
    (void)wait_for_post(NULL);
}

/* So do all that wait for a thread. */
static void in_join(void)
{
  pthread_t thread;
  if (pthread_create(&thread, NULL, wait_for_post, NULL) == 0 && write(1, "waits\n", 6) == 6)
    (void)pthread_join(thread, NULL);
}

static const struct place {
  const char *name;
  void (*run)(void);
} places[] = {{"sort", in_sort},           {"search", in_search},       {"once", in_once}, {"exit", in_exit},
              {"fork", in_fork},           {"output", in_output},       {"end", in_end},   {"input", in_input},
              {"condition", in_condition}, {"semaphore", in_semaphore}, {"join", in_join}, {"several", in_several}};

int main(int argc, char **argv)
{
  for (size_t i = 0; argc == 2 && i < sizeof places / sizeof *places; i++)
    if (strcmp(places[i].name, argv[1]) == 0) {
      places[i].run();
      return 0;
    }
  return 2;
}
