/* SPDX-License-Identifier: MIT */
/* meeting [fork|stay]: two threads, chosen so that their lanes differ (core/lanes/lanes.h), allocate and free at the same two
 * places in turn; each frees the other's, too. `fork`: then a child does the same with what it inherits. `stay`: waits for its input to end. */
#include "shadow.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>

enum { TRIES = 500, ROUNDS = 40, EACH = 300, KEPT = 64, LANES = 32 };

static struct worker {
  pthread_t id;
  sem_t may_work, has_worked;
} workers[TRIES];

static struct {
  void *pointer;
  size_t size;
} kept[KEPT];

static unsigned lane_of(const struct worker *worker)
{
  return (unsigned)((unsigned long)worker->id * 0x9e3779b97f4a7c15UL >> 32) % LANES;
}

VICTIM void *victim_make(size_t size)
{
  return shadow_add(malloc(size), size);
}

VICTIM void *victim_make_elsewhere(size_t size)
{
  return shadow_add(malloc(size), size);
}

VICTIM void victim_work(unsigned long *random)
{
  for (unsigned i = 0; i < EACH; i++) {
    size_t size = shadow_random(random) % 500, place = shadow_random(random) % KEPT;
    if (kept[place].pointer != NULL) {
      free(kept[place].pointer);
      shadow_remove(kept[place].size);
    }
    kept[place].pointer = i % 2 == 0 ? victim_make(size) : victim_make_elsewhere(size);
    kept[place].size = size;
  }
}

static void *work_when_told(void *argument)
{
  struct worker *self = argument;
  unsigned long random = 1 + (unsigned long)(self - workers);
  for (;;) {
    sem_wait(&self->may_work);
    victim_work(&random);
    sem_post(&self->has_worked);
  }
  return NULL;
}

static void start(struct worker *worker)
{
  pthread_attr_t small;
  REQUIRE(sem_init(&worker->may_work, 0, 0) == 0 && sem_init(&worker->has_worked, 0, 0) == 0);
  REQUIRE(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 256 << 10) == 0);
  REQUIRE(pthread_create(&worker->id, &small, work_when_told, worker) == 0);
}

static void work_in_turn(void)
{
  struct worker *other = &workers[1];
  start(&workers[0]);
  for (start(other); lane_of(other) == lane_of(&workers[0]); start(++other))
    REQUIRE(other + 1 < workers + TRIES);
  for (unsigned round = 0; round < ROUNDS; round++) {
    struct worker *worker = round % 2 == 0 ? &workers[0] : other;
    sem_post(&worker->may_work);
    sem_wait(&worker->has_worked);
  }
}

static void fork_and_go_on(void)
{
  pid_t child = fork();
  int status;
  REQUIRE(child >= 0);
  if (child == 0) {
    shadow_become_child();
    free(victim_make(1)); /* before it frees: a child counts from its first sample on */
    shadow_remove(1);
    work_in_turn();
    shadow_print();
    exit(5);
  }
  REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

int main(int argc, char **argv)
{
  const char *what = argc > 1 ? argv[1] : "";
  char line[16];
  work_in_turn();
  if (strcmp(what, "fork") == 0)
    fork_and_go_on();
  shadow_print();
  if (strcmp(what, "stay") == 0) {
    REQUIRE(puts("ready") > 0 && fflush(stdout) == 0);
    while (read(STDIN_FILENO, line, sizeof line) > 0)
      ;
  }
  return 0;
}
