/* SPDX-License-Identifier: MIT */
/* What the operations of hostile.c share: chance, what is printed, children, and allocations whose contents are checked.
 *
 * Threads: all of it is safe; chance is drawn by main alone. Signals: churn() only where malloc may be called. fork: a child goes on with
 * its parent's chance. Failure: REQUIRE ends the process with status 99. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "hz_victim.h"

#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static unsigned long chance;         /* of the operation that runs */
static const char *plugin_path;      /* of plugin.c */
static bool is_interruptible;        /* the allocator stands handlers that allocate, and jump, at any instruction */
static pthread_attr_t usual_threads; /* 256 KiB of stack */

static unsigned draw(unsigned below)
{
  return shadow_random(&chance) % below;
}

/* In one write: children print too. */
__attribute__((format(printf, 1, 2), noinline)) static void say(const char *format, ...)
{
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  REQUIRE(write(STDOUT_FILENO, line, (size_t)length) == length);
}

static void say_descriptors(void)
{
  char line[256], *end = line;
  for (int fd = 0; fd < 64; fd++)
    if (fcntl(fd, F_GETFD) >= 0)
      end += sprintf(end, " %d", fd);
  *end = '\0';
  say("descriptors%s\n", line);
}

/* Allocations. */

enum { CHURN_SLOTS = 16 };

struct churned {
  unsigned char *bytes;
  unsigned size;
};

static unsigned char pattern_of(unsigned size)
{
  return (unsigned char)(size * 7 + 1);
}

static void *allocate(unsigned way, unsigned size)
{
  void *object = NULL;
  if (way % 8 == 0)
    return calloc(size / 4 + 1, 4);
  if (way % 8 == 1 && !is_interruptible)
    return posix_memalign(&object, 64, size) == 0 ? object : NULL;
  if (way % 8 == 2 && !is_interruptible)
    return aligned_alloc(4096, (size + 4095) & ~4095u);
  return malloc(size);
}

static void check_churned(struct churned *object)
{
  if (object->bytes == NULL)
    return;
  REQUIRE(object->bytes[0] == pattern_of(object->size) && object->bytes[object->size - 1] == pattern_of(object->size));
}

static void replace_churned(struct churned *object, unsigned size, unsigned way)
{
  check_churned(object);
  if (way % 3 == 0 && !is_interruptible) {
    object->bytes = realloc(object->bytes, size);
  } else {
    free(object->bytes);
    object->bytes = allocate(way, size);
  }
  REQUIRE(object->bytes != NULL);
  object->size = size;
  object->bytes[0] = object->bytes[size - 1] = pattern_of(size);
}

/* Allocates and frees so many times; says the same of the same seed. */
__attribute__((noinline)) static unsigned churn(unsigned long seed, int count)
{
  struct churned objects[CHURN_SLOTS] = {{NULL, 0}};
  unsigned long random = seed * 2654435761u + 1;
  unsigned sum = 0;
  for (int i = 0; i < count; i++) {
    unsigned scale = shadow_random(&random) % 10, size = shadow_random(&random) % (16u << scale) + 1;
    unsigned slot = shadow_random(&random) % CHURN_SLOTS, way = shadow_random(&random);
    replace_churned(&objects[slot], size, way);
    sum = sum * 31 + size;
  }
  for (int i = 0; i < CHURN_SLOTS; i++) {
    check_churned(&objects[i]);
    free(objects[i].bytes);
  }
  __asm__ volatile("" ::: "memory"); /* not a tail call */
  return sum;
}

/* Without much of a frame, for small stacks. */
__attribute__((noinline)) static void churn_a_little(size_t size)
{
  volatile char *volatile object = malloc(size);
  if (object == NULL)
    _exit(98);
  object[0] = 1;
  free((void *)object);
  __asm__ volatile("" ::: "memory");
}

/* Threads. */

static pthread_t start_thread(void *(*run)(void *), uintptr_t argument)
{
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &usual_threads, run, (void *)argument) == 0);
  return thread;
}

static uintptr_t join(pthread_t thread)
{
  void *result;
  REQUIRE(pthread_join(thread, &result) == 0);
  return (uintptr_t)result;
}

static void *churn_in_thread(void *seed)
{
  return (void *)(uintptr_t)churn((uintptr_t)seed, 150);
}

/* Threads that allocate while other things are done, and stand still when asked: some things may be done, or seen, only then. */

enum { BACKGROUND_MAX = 2 };

static struct {
  unsigned count;
  _Atomic bool must_rest, must_end;
  _Atomic unsigned resting;
  pthread_t threads[BACKGROUND_MAX];
} background;

static void *churn_in_background(void *number)
{
  sigset_t all;
  sigfillset(&all); /* handlers allocate: not amid our malloc */
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  for (unsigned long i = (uintptr_t)number << 20; !background.must_end; i++) {
    if (background.must_rest) {
      background.resting++;
      while (background.must_rest)
        usleep(200);
      background.resting--;
    }
    churn(i, 20);
    usleep(100); /* the processor is wanted elsewhere */
  }
  return NULL;
}

static void background_start(unsigned count)
{
  background.count = count;
  for (unsigned i = 0; i < count; i++)
    background.threads[i] = start_thread(churn_in_background, i + 1);
}

static void background_rest(void)
{
  background.must_rest = true;
  while (background.resting != background.count)
    usleep(100);
}

static void background_go_on(void)
{
  background.must_rest = false;
  while (background.resting != 0)
    usleep(100);
}

/* In a child, where they are not. */
static void background_forget(void)
{
  background.count = 0;
  background.must_rest = false;
  background.resting = 0;
}

/* Children. */

static int wait_for(pid_t child)
{
  int status;
  REQUIRE(child > 0);
  while (waitpid(child, &status, 0) != child)
    REQUIRE(errno == EINTR);
  return status;
}

static void say_end(const char *what, int status)
{
  if (WIFSIGNALED(status))
    say("%s: signal %d\n", what, WTERMSIG(status));
  else
    say("%s: exit %d\n", what, WEXITSTATUS(status));
}

static pid_t fork_child(void)
{
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    background_forget();
    hz_alarm(8);
  }
  return child;
}

/* Runs it in a child, which then exits, and says how that ended. */
static void in_child(const char *what, void (*run)(void))
{
  pid_t child = fork_child();
  if (child == 0) {
    run();
    exit(3);
  }
  say_end(what, wait_for(child));
}

#endif
