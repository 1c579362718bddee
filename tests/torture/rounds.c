/* SPDX-License-Identifier: MIT */
/* rounds allocates|forks|opens|signals: a program that knows of no profiler, does one thing all the time, and looks
 * after what comes of it. It says "ready" when each thread has been around once, and when it reads a line what went
 * wrong.
 *
 * allocates: eight threads keep objects of all sizes, and look after every byte.
 * forks: children of fork, vfork and posix_spawn while another thread allocates; each ends with its own status.
 * opens: two threads open a library, call it, and close it again.
 * signals: queued signals, none of which may get lost, to threads that allocate; an alternate stack; timers; a read and
 * a wait that none of them may interrupt. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KEPT = 64, SENDERS = 2, LARGEST_BYTES = 20000, PROVEN_STATUS = 7 };

extern char **environ;

static _Atomic bool is_over;
static _Atomic int failures, around;

static void fail(const char *what)
{
  if (atomic_fetch_add(&failures, 1) < 5)
    fprintf(stderr, "rounds: %s (%s)\n", what, strerror(errno));
}

/* One at a time, of a thread of its own: xorshift. */
static uint32_t next(uint32_t *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

struct object {
  unsigned char *bytes;
  size_t size;
};

static void check(const struct object *object, unsigned char byte)
{
  for (size_t i = 0; i < object->size; i++)
    if (object->bytes[i] != byte) {
      fail("an object was overwritten");
      return;
    }
}

__attribute__((noinline)) static void victim_fill(struct object *object, uint32_t chance, unsigned char byte)
{
  size_t size = chance >> 8 & 1 ? chance >> 9 & 255 : (chance >> 9) % LARGEST_BYTES;
  void *aligned = NULL;
  switch (chance & 3) {
  case 0: object->bytes = calloc(1, size); break;
  case 1: object->bytes = posix_memalign(&aligned, 64, size) == 0 ? aligned : NULL; break;
  default: object->bytes = malloc(size); break;
  }
  if (object->bytes == NULL && size > 0)
    abort();
  object->size = size;
  if ((chance & 3) == 0)
    check(object, 0);
  if (size > 0)
    memset(object->bytes, byte, size);
}

__attribute__((noinline)) static void victim_grow(struct object *object, unsigned char byte)
{
  object->bytes = realloc(object->bytes, object->size + 100);
  if (object->bytes == NULL)
    abort();
  memset(object->bytes + object->size, byte, 100);
  object->size += 100;
}

/* Somebody else's handlers may have run meanwhile, so errno is not looked at where signals come. */
static void allocate_once(struct object *objects, uint32_t *state)
{
  uint32_t chance = next(state);
  unsigned char i = chance >> 26;
  errno = 77;
  check(&objects[i], i);
  free(objects[i].bytes);
  victim_fill(&objects[i], chance, i);
  if (i % 8 == 0)
    victim_grow(&objects[i], i);
  if (errno != 77)
    fail("errno was changed");
}

static void *allocate(void *number)
{
  struct object objects[KEPT] = {{NULL, 0}};
  uint32_t state = (uint32_t)(uintptr_t)number + 1;
  for (unsigned n = 0; n < 20 * KEPT; n++)
    allocate_once(objects, &state);
  for (around++; !is_over;)
    allocate_once(objects, &state);
  for (unsigned i = 0; i < KEPT; i++)
    free(objects[i].bytes);
  return NULL;
}

static void await(pid_t child, int expected)
{
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != expected)
    fail("a child did not end as it should");
}

static void fork_once(void)
{
  pid_t child = fork();
  if (child == 0) {
    struct object object;
    victim_fill(&object, 0x12345678, 1);
    check(&object, 1);
    free(object.bytes);
    _exit(failures == 0 ? PROVEN_STATUS : PROVEN_STATUS + 1);
  }
  await(child, PROVEN_STATUS);
}

static void spawn_once(void)
{
  static char name[] = "true";
  char *const arguments[] = {name, NULL};
  pid_t child = -1;
  if (posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) != 0)
    fail("posix_spawn");
  await(child, 0);
}

__attribute__((noinline)) static void vfork_once(void)
{
  pid_t child = vfork();
  if (child == 0)
    _exit(PROVEN_STATUS);
  await(child, PROVEN_STATUS);
}

static void *make_children(void *unused)
{
  (void)unused;
  for (unsigned n = 0; !is_over; n++) {
    if (n % 8 == 0)
      spawn_once();
    else if (n % 8 == 1)
      vfork_once();
    else
      fork_once();
    usleep(1000); /* while one of vfork's is there, nobody attaches */
    if (n == 8)
      around++;
  }
  return NULL;
}

static void open_once(const char *name, const char *function)
{
  void *library = dlopen(name, RTLD_NOW);
  if (library == NULL || dlsym(library, function) == NULL)
    fail("a library was not opened");
  if (library != NULL && dlclose(library) != 0)
    fail("a library was not closed");
}

static void *open_libraries(void *number)
{
  for (unsigned n = 0; !is_over; n++) {
    if (number == NULL)
      open_once("libresolv.so.2", "ns_initparse");
    else
      open_once("libanl.so.1", "getaddrinfo_a");
    if (n == 8)
      around++;
  }
  return NULL;
}

static _Atomic long received[SENDERS];
static _Atomic int ticks;

static void on_queued(int number, siginfo_t *info, void *unused)
{
  (void)unused;
  int saved_errno = errno;
  if (info->si_code != SI_QUEUE || info->si_value.sival_int != (int)received[number - SIGRTMIN])
    fail("a signal came out of order");
  received[number - SIGRTMIN]++;
  errno = saved_errno;
}

static void on_tick(int number)
{
  (void)number;
  ticks++;
}

/* With an alternate stack, on which the handlers run. */
static void *allocate_on_two_stacks(void *number)
{
  stack_t stack = {.ss_size = 64 << 10, .ss_sp = malloc(64 << 10)};
  if (stack.ss_sp == NULL || sigaltstack(&stack, NULL) != 0)
    fail("no alternate stack");
  allocate(number);
  stack.ss_flags = SS_DISABLE;
  if (sigaltstack(&stack, NULL) != 0)
    fail("the alternate stack is not there any more");
  free(stack.ss_sp);
  return NULL;
}

static pthread_t receivers[SENDERS];

/* The next one only when one has come: so none may get lost. */
static void *send(void *number)
{
  int which = (int)(intptr_t)number;
  for (long sent = 0; !is_over;) {
    union sigval value = {.sival_int = (int)sent};
    if (pthread_sigqueue(receivers[which], SIGRTMIN + which, value) != 0 && !is_over)
      fail("a signal was not sent");
    sent++;
    while (received[which] != sent && !is_over)
      sched_yield();
    if (sent == 8)
      around++;
  }
  return NULL;
}

static int quiet_pipe[2];

static void *read_for_long(void *unused)
{
  char byte;
  (void)unused;
  around++;
  if (read(quiet_pipe[0], &byte, 1) != 1)
    fail("read was interrupted");
  return NULL;
}

/* Signals that are waited for, not handled. */
static void *wait_for_signals(void *unused)
{
  sigset_t wanted;
  (void)unused;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGUSR2);
  for (long n = 0; !is_over; n++) {
    if (raise(SIGUSR2) != 0 || sigwaitinfo(&wanted, NULL) != SIGUSR2)
      fail("a signal that was waited for did not come");
    if (n == 8)
      around++;
  }
  return NULL;
}

static void prepare_signals(void)
{
  struct sigaction queued = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
  struct sigaction tick = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
  struct itimerval often = {{0, 1000}, {0, 1000}};
  sigset_t waited_for;
  sigemptyset(&waited_for);
  sigaddset(&waited_for, SIGUSR2);
  for (int i = 0; i < SENDERS; i++)
    if (sigaction(SIGRTMIN + i, &queued, NULL) != 0)
      fail("no handler");
  if (pthread_sigmask(SIG_BLOCK, &waited_for, NULL) != 0 || pipe(quiet_pipe) != 0 ||
      sigaction(SIGALRM, &tick, NULL) != 0 || sigaction(SIGPROF, &tick, NULL) != 0 ||
      setitimer(ITIMER_REAL, &often, NULL) != 0 || setitimer(ITIMER_PROF, &often, NULL) != 0)
    fail("no timers");
}

struct role {
  const char *way;
  void *(*function)(void *);
  int number;
};

static const struct role roles[] = {
    {"allocates", allocate, 0},
    {"allocates", allocate, 1},
    {"allocates", allocate, 2},
    {"allocates", allocate, 3},
    {"allocates", allocate, 4},
    {"allocates", allocate, 5},
    {"allocates", allocate, 6},
    {"allocates", allocate, 7},
    {"forks", allocate, 0},
    {"forks", make_children, 0},
    {"forks", make_children, 0},
    {"opens", open_libraries, 0},
    {"opens", open_libraries, 1},
    {"opens", allocate, 0},
    {"signals", allocate_on_two_stacks, 0},
    {"signals", allocate_on_two_stacks, 1},
    {"signals", send, 0},
    {"signals", send, 1},
    {"signals", read_for_long, 0},
    {"signals", wait_for_signals, 0},
};

enum { ROLES = sizeof roles / sizeof *roles };

static int start(const char *way, pthread_t threads[ROLES])
{
  int count = 0;
  for (int i = 0; i < ROLES; i++) {
    if (strcmp(roles[i].way, way) != 0)
      continue;
    if (pthread_create(&threads[count], NULL, roles[i].function, (void *)(intptr_t)roles[i].number) != 0)
      fail("no thread");
    if (roles[i].function == allocate_on_two_stacks)
      receivers[roles[i].number] = threads[count];
    count++;
  }
  return count;
}

int main(int argc, char **argv)
{
  const char *way = argc > 1 ? argv[1] : "";
  pthread_t threads[ROLES];
  char line[16];
  if (strcmp(way, "signals") == 0)
    prepare_signals();
  int count = start(way, threads);
  while (around < count)
    usleep(1000);
  printf("ready\n");
  fflush(stdout);
  if (count == 0 || fgets(line, sizeof line, stdin) == NULL)
    return 1;
  is_over = true;
  if (strcmp(way, "signals") == 0 && (write(quiet_pipe[1], "x", 1) != 1 || ticks == 0))
    fail("no end");
  for (int i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
  printf("%d failures\n", failures);
  return failures != 0;
}
