/* SPDX-License-Identifier: MIT */
#include "core/lock.h"

#include "unit.h"

static struct lock lock;

static NOINLINE bool try_from_below(void)
{
  volatile char room[256];
  room[0] = 1;
  bool taken = lock_try(&lock);
  return taken && room[0] == 1;
}

static NOINLINE bool try_for_a_moment_from_below(void)
{
  volatile char room[256];
  room[0] = 1;
  bool taken = lock_try_for_a_moment(&lock);
  return taken && room[0] == 1;
}

static void holder_from_below_is_refused(void **state)
{
  (void)state;
  assert_true(lock_try(&lock));
  assert_false(try_from_below()); /* a handler that interrupted the holder */
  assert_false(try_for_a_moment_from_below());
  lock_release(&lock);
  assert_true(try_from_below());
  lock_release(&lock);
}

static void lock_left_by_a_jump_is_taken_over(void **state)
{
  (void)state;
  assert_true(try_from_below()); /* never released: its frame is gone */
  assert_true(lock_try(&lock));
  assert_false(try_from_below()); /* and is held as usual now */
  lock_release(&lock);
  assert_true(try_from_below());
  assert_true(lock_try_for_a_moment(&lock));
  lock_release(&lock);
}

/* A handler jumped away after the lock was claimed, and before the frame was stored. */
static void lock_left_while_taken_is_taken_over(void **state)
{
  (void)state;
  assert_true(lock_try(&lock));
  lock_release(&lock);
  atomic_store(&lock.holder, lock_self());
  assert_true(lock_try(&lock));
  assert_false(try_from_below());
  lock_release(&lock);
}

static void *try_in_thread(void *result)
{
  *(bool *)result = lock_try(&lock) || lock_try_for_a_moment(&lock);
  return NULL;
}

/* Whose thread has ended. */
static void forget_holder(void)
{
  atomic_store(&lock.holder, 0);
}

static void other_threads_are_refused(void **state)
{
  (void)state;
  pthread_t thread;
  bool taken = true;
  assert_true(lock_try(&lock));
  assert_int_equal(pthread_create(&thread, NULL, try_in_thread, &taken), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_false(taken);
  lock_release(&lock);
  assert_int_equal(pthread_create(&thread, NULL, try_in_thread, &taken), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_true(taken);
  assert_false(lock_try(&lock)); /* it ended without giving it back */
  forget_holder();
}

/* A handler on an alternate stack above takes it over and gives it back; another thread takes it; then the first holder is done. */
static void first_holder_releases_only_its_own(void **state)
{
  (void)state;
  pthread_t thread;
  bool is_taken = false;
  assert_true(try_from_below());
  assert_true(lock_try(&lock));
  lock_release(&lock);
  assert_int_equal(pthread_create(&thread, NULL, try_in_thread, &is_taken), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_true(is_taken);
  lock_release(&lock);
  bool is_free = lock_try(&lock);
  forget_holder();
  assert_false(is_free);
}

enum { THREADS = 4, ROUNDS = 20000 };
static unsigned long guarded, taken[THREADS];

static void *count(void *number)
{
  for (int i = 0; i < ROUNDS; i++)
    if (lock_try_for_a_moment(&lock)) {
      guarded++;
      taken[(uintptr_t)number]++;
      lock_release(&lock);
    }
  return NULL;
}

static void one_at_a_time(void **state)
{
  (void)state;
  unsigned long sum = 0;
  unit_run_threads(THREADS, count);
  for (int i = 0; i < THREADS; i++)
    sum += taken[i];
  assert_int_equal(guarded, sum);
  assert_true(sum > ROUNDS);
}

/* Forked without handlers, while another thread of the parent held it. */
static void child_of_a_holder(void)
{
  require(!lock_try(&lock) && !lock_try_for_a_moment(&lock)); /* nothing says yet that this is a child */
  process_was_forked();
  require(try_from_below());
  require(lock_is_ours(&lock));
  bool is_taken = true;
  pthread_t thread;
  require(pthread_create(&thread, NULL, try_in_thread, &is_taken) == 0 && pthread_join(thread, NULL) == 0);
  require(!is_taken);
  lock_release(&lock);
  require(lock.holder == 0);
}

static void held_by_a_thread_of_the_parent(void **state)
{
  (void)state;
  pthread_t thread;
  bool is_taken = false;
  assert_int_equal(pthread_create(&thread, NULL, try_in_thread, &is_taken), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_true(is_taken);
  assert_int_equal(unit_fork(child_of_a_holder), UNIT_PASSED);
  assert_false(lock_try(&lock));
  forget_holder();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(holder_from_below_is_refused),
      cmocka_unit_test(lock_left_by_a_jump_is_taken_over),
      cmocka_unit_test(lock_left_while_taken_is_taken_over),
      cmocka_unit_test(other_threads_are_refused),
      cmocka_unit_test(one_at_a_time),
      cmocka_unit_test(held_by_a_thread_of_the_parent),
      cmocka_unit_test(first_holder_releases_only_its_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
