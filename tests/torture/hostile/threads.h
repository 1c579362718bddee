/* SPDX-License-Identifier: MIT */
/* Threads that come, go, are cancelled, and end with little stack. */
#ifndef HOSTILE_THREADS_H
#define HOSTILE_THREADS_H

#include "hostile.h"

#include <limits.h>
#include <semaphore.h>

enum { THREADS = 6 };

static void join_threads(void)
{
  pthread_t threads[THREADS];
  unsigned sum = 0;
  for (int i = 0; i < THREADS; i++)
    threads[i] = start_thread(churn_in_thread, draw(1000));
  for (int i = 0; i < THREADS; i++)
    sum += (unsigned)join(threads[i]);
  say("threads: %u\n", sum);
}

static sem_t detached_are_done;

static void *churn_detached(void *seed)
{
  churn((uintptr_t)seed, 100);
  sem_post(&detached_are_done);
  return malloc(30); /* nobody's */
}

static void detach_threads(void)
{
  REQUIRE(sem_init(&detached_are_done, 0, 0) == 0);
  for (int i = 0; i < THREADS; i++)
    REQUIRE(pthread_detach(start_thread(churn_detached, draw(1000))) == 0);
  for (int i = 0; i < THREADS; i++)
    while (sem_wait(&detached_are_done) != 0)
      REQUIRE(errno == EINTR);
  say("detached threads: done\n");
}

/* Cancelled. */

static _Atomic unsigned cancel_ready;

static void churn_with_cleanup(unsigned long seed)
{
  pthread_cleanup_push(free, malloc(50 + seed % 2000));
  churn(seed, 5);
  pthread_testcancel();
  usleep(0);
  pthread_cleanup_pop(1);
}

static void *churn_until_cancelled(void *unused)
{
  cancel_ready++;
  for (unsigned long i = 0;; i++)
    churn_with_cleanup(i);
  return unused;
}

/* Of a size that glibc serves without a lock, with nothing left half done. */
static void *churn_until_cancelled_anywhere(void *unused)
{
  int before;
  churn_a_little(64);
  churn(1, 100);
  cancel_ready++;
  REQUIRE(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before) == 0);
  for (;;)
    churn_a_little(64);
  return unused;
}

static void cancel_threads(void *(*run)(void *), const char *what)
{
  pthread_t threads[THREADS];
  unsigned cancelled = 0;
  cancel_ready = 0;
  for (int i = 0; i < THREADS; i++)
    threads[i] = start_thread(run, 0);
  while (cancel_ready < THREADS)
    sched_yield();
  for (int i = 0; i < THREADS; i++) {
    churn((unsigned long)i, draw(100));
    REQUIRE(pthread_cancel(threads[i]) == 0);
  }
  for (int i = 0; i < THREADS; i++)
    cancelled += join(threads[i]) == (uintptr_t)PTHREAD_CANCELED;
  say("%s: %u\n", what, cancelled);
}

static void cancel_deferred(void)
{
  cancel_threads(churn_until_cancelled, "cancelled");
}

static void cancel_asynchronously(void)
{
  cancel_threads(churn_until_cancelled_anywhere, "cancelled anywhere");
}

/* Frees when a thread ends. */

static pthread_key_t keys[3];
static _Atomic unsigned destroyed;

static void destroy(void *object)
{
  void **slot = object;
  uintptr_t rounds = (uintptr_t)*slot;
  destroyed++;
  churn(rounds, 10);
  free(object);
  if (rounds == 0)
    return;
  void **again = malloc(sizeof *again);
  *again = (void *)(rounds - 1);
  REQUIRE(pthread_setspecific(keys[rounds % 3], again) == 0);
}

extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
extern void *__dso_handle;

static void *end_with_destructors(void *rounds)
{
  for (int i = 0; i < 3; i++) {
    void **slot = malloc(sizeof *slot);
    *slot = rounds;
    REQUIRE(pthread_setspecific(keys[i], slot) == 0);
    __cxa_thread_atexit_impl(free, malloc(200), &__dso_handle);
  }
  return NULL;
}

static void destroy_thread_data(void)
{
  destroyed = 0;
  for (int i = 0; i < 3; i++)
    REQUIRE(pthread_key_create(&keys[i], destroy) == 0);
  for (int i = 0; i < 3; i++)
    join(start_thread(end_with_destructors, 2));
  for (int i = 0; i < 3; i++)
    REQUIRE(pthread_key_delete(keys[i]) == 0);
  say("thread data: destroyed %u\n", destroyed);
}

/* Little stack. */

static void *churn_on_little_stack(void *unused)
{
  for (size_t i = 0; i < 20; i++)
    churn_a_little(100 + i * 50);
  return unused;
}

static void run_on_smallest_stack(void)
{
  pthread_attr_t attributes;
  pthread_t thread;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN) + 4096 * draw(3)) == 0);
  for (int i = 0; i < 3; i++) {
    REQUIRE(pthread_create(&thread, &attributes, churn_on_little_stack, NULL) == 0);
    join(thread);
  }
  pthread_attr_destroy(&attributes);
  say("smallest stacks: done\n");
}

/* So many bytes are left when it allocates. */
__attribute__((noinline)) static void descend_to(uintptr_t limit)
{
  volatile char frame[256];
  frame[0] = 1;
  if ((uintptr_t)__builtin_frame_address(0) - sizeof frame - 300 > limit)
    descend_to(limit);
  else
    churn_on_little_stack(NULL);
  __asm__ volatile("" ::"r"(frame) : "memory");
}

static void *allocate_near_guard(void *left)
{
  pthread_attr_t attributes;
  void *base;
  size_t size;
  churn(1, 20);
  REQUIRE(pthread_getattr_np(pthread_self(), &attributes) == 0 &&
          pthread_attr_getstack(&attributes, &base, &size) == 0);
  pthread_attr_destroy(&attributes);
  descend_to((uintptr_t)base + (uintptr_t)left);
  return NULL;
}

static void come_near_the_guard(void)
{
  for (int i = 0; i < 3; i++)
    join(start_thread(allocate_near_guard, 2048 + draw(2000)));
  say("near the guard: done\n");
}

#endif
