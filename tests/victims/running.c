/* SPDX-License-Identifier: MIT */
/* running [filter | secret]: a program that knows of no profiler, and minds whatever is done to it while it runs:
 * threads that allocate and look after every byte, fork, open and close a library, wait in calls that no signal of its
 * own may interrupt, compute in vector registers, and signals all the time. It says "ready", and when it reads a line
 * what went wrong. With `filter` it has a seccomp filter that allows everything, with `secret` it may not be looked
 * into; with `patient` a wait for events may be interrupted, as by SIGSTOP. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Atomic bool is_over;
static _Atomic int failures, handled;
static int quiet_pipe[2], end_pipe[2];
static bool is_patient;

static void fail(const char *what)
{
  if (atomic_fetch_add(&failures, 1) < 5)
    fprintf(stderr, "running: %s (%s)\n", what, strerror(errno));
}

__attribute__((noinline)) static void *victim_make(size_t size, unsigned char byte)
{
  unsigned char *object = malloc(size);
  if (object == NULL)
    abort();
  memset(object, byte, size);
  return object;
}

__attribute__((noinline)) static void victim_check(void *pointer, size_t size, unsigned char byte)
{
  const unsigned char *object = pointer;
  for (size_t i = 0; i < size; i++)
    if (object[i] != byte) {
      fail("an object was overwritten");
      break;
    }
  free(pointer);
}

static void *allocate(void *argument)
{
  enum { KEPT = 64 };
  void *kept[KEPT] = {NULL};
  size_t sizes[KEPT] = {0};
  unsigned x = (unsigned)(size_t)argument;
  while (!is_over) {
    x = x * 1664525 + 1013904223;
    unsigned i = x >> 26, size = x >> 20 & 1023;
    errno = 77;
    if (kept[i] != NULL)
      victim_check(kept[i], sizes[i], (unsigned char)i);
    kept[i] = victim_make(size, (unsigned char)i);
    sizes[i] = size;
    if (i % 8 == 0)
      kept[i] = realloc(kept[i], size + 1), memset(kept[i], (int)i, sizes[i] = size + 1);
    if (errno != 77)
      fail("errno was changed");
  }
  for (unsigned i = 0; i < KEPT; i++)
    free(kept[i]);
  return NULL;
}

static void *make_children(void *unused)
{
  (void)unused;
  while (!is_over) {
    int status;
    pid_t child = fork();
    if (child == 0) {
      void *object = victim_make(100, 1);
      free(object);
      _exit(object != NULL ? 7 : 8);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
      fail("a child did not end as it should");
    usleep(5000);
  }
  return NULL;
}

static void *open_libraries(void *unused)
{
  (void)unused;
  while (!is_over) {
    void *library = dlopen("libutil.so.1", RTLD_NOW);
    void *other = dlopen("libresolv.so.2", RTLD_NOW);
    if (other == NULL)
      fail("a library was not opened");
    else
      dlclose(other);
    if (library != NULL)
      dlclose(library);
    usleep(1000); /* or it has the loader's lock all the time */
  }
  return NULL;
}

static void *wait_in_calls(void *unused)
{
  (void)unused;
  int queue = epoll_create1(EPOLL_CLOEXEC);
  while (!is_over) {
    struct epoll_event event;
    struct timespec rest = {0, 3000000};
    if (epoll_wait(queue, &event, 1, 3) != 0 && !(is_patient && errno == EINTR))
      fail("epoll_wait was interrupted");
    if (poll(NULL, 0, 3) != 0)
      fail("poll was interrupted");
    if (nanosleep(&rest, NULL) != 0)
      fail("nanosleep was interrupted");
  }
  close(queue);
  return NULL;
}

/* Until the end; no signal of the program's interrupts it. */
static void *wait_for_event(void *unused)
{
  int queue = epoll_create1(EPOLL_CLOEXEC), found;
  struct epoll_event event = {.events = EPOLLIN};
  (void)unused;
  if (epoll_ctl(queue, EPOLL_CTL_ADD, end_pipe[0], &event) != 0)
    fail("no queue");
  do
    found = epoll_wait(queue, &event, 1, -1);
  while (is_patient && found < 0 && errno == EINTR);
  if (found != 1)
    fail("epoll_wait without a limit was interrupted");
  close(queue);
  return NULL;
}

static void *read_for_long(void *unused)
{
  char byte;
  (void)unused;
  if (read(quiet_pipe[0], &byte, 1) != 1)
    fail("read was interrupted");
  return NULL;
}

typedef double doubles __attribute__((vector_size(16)));

/* All in registers, and never in libc. */
static void *compute(void *unused)
{
  (void)unused;
  while (!is_over) {
    register doubles a = {1, 2}, b = {3, 4}, c = {5, 6};
    for (int i = 0; i < 1000000; i++)
      __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c));
    if (a[0] + a[1] + b[0] + b[1] + c[0] + c[1] != 21)
      fail("a register was changed");
  }
  return NULL;
}

static void on_signal(int number)
{
  (void)number;
  atomic_fetch_add(&handled, 1);
}

static void *signal_others(void *thread)
{
  while (!is_over) {
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    usleep(300);
  }
  return NULL;
}

static void allow_everything(void)
{
  struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {1, &allow};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
    fail("no filter");
}

int main(int argc, char **argv)
{
  const char *way = argc > 1 ? argv[1] : "";
  enum { THREADS = 9 };
  pthread_t threads[THREADS];
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  if (sigaction(SIGUSR1, &action, NULL) != 0 || pipe(quiet_pipe) != 0 || pipe(end_pipe) != 0)
    return 1;
  alarm(600);
  is_patient = strcmp(way, "patient") == 0;
  if (strcmp(way, "filter") == 0)
    allow_everything();
  if (strcmp(way, "secret") == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    return 1;
  pthread_create(&threads[0], NULL, allocate, (void *)1);
  pthread_create(&threads[1], NULL, allocate, (void *)2);
  pthread_create(&threads[2], NULL, make_children, NULL);
  pthread_create(&threads[3], NULL, open_libraries, NULL);
  pthread_create(&threads[4], NULL, wait_in_calls, NULL);
  pthread_create(&threads[5], NULL, read_for_long, NULL);
  pthread_create(&threads[6], NULL, compute, NULL);
  pthread_create(&threads[7], NULL, signal_others, &threads[0]);
  pthread_create(&threads[8], NULL, wait_for_event, NULL);
  char line[16];
  printf("ready\n");
  fflush(stdout);
  if (fgets(line, sizeof line, stdin) == NULL)
    return 1;
  while (handled == 0) /* however soon somebody wants it to end */
    usleep(300);
  is_over = true;
  if (write(quiet_pipe[1], "x", 1) != 1 || write(end_pipe[1], "x", 1) != 1)
    return 1;
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  printf("%d failures, handled %s\n", failures, handled > 0 ? "some" : "none");
  return failures != 0;
}
