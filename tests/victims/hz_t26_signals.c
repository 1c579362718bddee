/* SPDX-License-Identifier: MIT */
/* hz_t26_signals setid | restart | interrupt | pause: its first thread waits, and is the only one that may be led away.
 * After a line another one needs it to handle a signal: it changes the user ID; or it stops all threads, one of them
 * with a lock of malloc's in its hands, as a collector may. The first thread is to handle that on its own stack, and its
 * wait to end as it would have done. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STACK_BYTES = 1 << 20, CHUNKS = 4000, CHUNK_BYTES = 1100 };

static const char *what;
static pthread_t first, holder, prober;
static sem_t has_stopped, may_probe, has_probed;
static atomic_bool is_over, is_in_malloc, was_elsewhere;
static atomic_int prober_number;
static int ends[2];
static char *bottom; /* of the first thread's stack */

static void say(const char *text)
{
  if (write(1, text, strlen(text)) < 0)
    _exit(9);
}

static bool wait_for_line(void)
{
  char byte;
  return read(0, &byte, 1) == 1;
}

static void wait_for(sem_t *semaphore)
{
  while (sem_wait(semaphore) != 0)
    ;
}

static void stop(int number)
{
  sigset_t all;
  char here;
  (void)number;
  if (pthread_equal(pthread_self(), first) && (&here > bottom || bottom - &here > STACK_BYTES))
    was_elsewhere = true;
  sigfillset(&all);
  sigdelset(&all, SIGUSR2);
  sem_post(&has_stopped);
  sigsuspend(&all);
}

static void go_on(int number)
{
  (void)number;
}

static void *hold(void *unused)
{
  while (!is_over)
    (void)mallinfo2(); /* holds the lock of the arena for nearly all of its time */
  return unused;
}

static void *probe(void *unused)
{
  prober_number = gettid();
  for (;;) {
    wait_for(&may_probe);
    if (is_over)
      return unused;
    is_in_malloc = true;
    void *volatile memory = malloc(CHUNK_BYTES);
    free(memory);
    is_in_malloc = false;
    sem_post(&has_probed);
  }
}

static bool prober_sleeps(void)
{
  char path[64], text[8] = "";
  (void)snprintf(path, sizeof path, "/proc/self/task/%d/syscall", prober_number);
  bool before = is_in_malloc;
  int file = open(path, O_RDONLY);
  bool is_read = file >= 0 && read(file, text, sizeof text - 1) > 0;
  close(file);
  return before && is_in_malloc && is_read && strncmp(text, "202 ", 4) == 0;
}

/* Does the thread that was stopped hold the lock? Then another one waits for it. */
static bool is_held(void)
{
  sem_post(&may_probe);
  while (!prober_sleeps())
    if (sem_trywait(&has_probed) == 0)
      return false;
  return true;
}

static void stop_thread(pthread_t thread)
{
  pthread_kill(thread, SIGUSR1);
  if (!pthread_equal(thread, first))
    wait_for(&has_stopped);
}

static void stop_world(void)
{
  static void *chunks[CHUNKS];
  for (int i = 0; i < CHUNKS; i++)
    chunks[i] = malloc(CHUNK_BYTES);
  for (int i = 0; i < CHUNKS; i += 2)
    free(chunks[i]);
  if (pthread_create(&holder, NULL, hold, NULL) != 0 || pthread_create(&prober, NULL, probe, NULL) != 0)
    _exit(8);
  for (stop_thread(holder); !is_held(); stop_thread(holder))
    pthread_kill(holder, SIGUSR2);
  stop_thread(first);
  say("waits\n");
  wait_for(&has_stopped);
  is_over = true;
  pthread_kill(first, SIGUSR2);
  pthread_kill(holder, SIGUSR2);
  wait_for(&has_probed);
  sem_post(&may_probe);
  pthread_join(holder, NULL);
  pthread_join(prober, NULL);
}

static void set_id(void)
{
  say("waits\n");
  if (setegid(getegid()) != 0)
    _exit(7);
}

static void act_after_line(void)
{
  say("ready\n");
  if (!wait_for_line())
    _exit(6);
  if (strcmp(what, "setid") == 0)
    set_id();
  else
    stop_world();
  say("done\n");
  if (!wait_for_line() || write(ends[1], "x", 1) != 1)
    _exit(5);
}

/* In a function of libc that nobody is led away from. */
static void *act(void *unused)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, act_after_line);
  return unused;
}

static bool wait_as_told(void)
{
  char byte;
  if (strcmp(what, "pause") == 0)
    return pause() < 0 && errno == EINTR;
  ssize_t bytes = read(ends[0], &byte, 1);
  return strcmp(what, "interrupt") == 0 ? bytes < 0 && errno == EINTR : bytes == 1;
}

int main(int argc, char **argv)
{
  pthread_t actor;
  char here;
  if (argc != 2)
    return 2;
  what = argv[1];
  bottom = &here;
  first = pthread_self();
  mallopt(M_ARENA_MAX, 1);
  struct sigaction stops = {.sa_handler = stop, .sa_flags = strcmp(what, "interrupt") == 0 ? 0 : SA_RESTART};
  sigfillset(&stops.sa_mask);
  struct sigaction goes_on = {.sa_handler = go_on};
  if (pipe(ends) != 0 || sem_init(&has_stopped, 0, 0) != 0 || sem_init(&may_probe, 0, 0) != 0 ||
      sem_init(&has_probed, 0, 0) != 0 || sigaction(SIGUSR1, &stops, NULL) != 0 ||
      sigaction(SIGUSR2, &goes_on, NULL) != 0 || pthread_create(&actor, NULL, act, NULL) != 0)
    return 2;
  bool is_good = wait_as_told();
  pthread_join(actor, NULL);
  return is_good && !was_elsewhere ? 0 : 1;
}
