/* SPDX-License-Identifier: MIT */
#include "core/confinement.h"

#include "core/stack_bounds.h"
#include "core/sys.h"
#include "unit.h"

enum { DEEPER_BYTES = 100 << 10 };

CHILD_TEST(refusal_is_undone)
{
  require(sys_getpid() > 0);
  require(confinement_begin());
  require(sys_getpid() == -EPERM && sys_call_always(SYS_getpid, 0, 0, 0, 0, 0, 0) > 0);
  confinement_end();
  require(sys_getpid() > 0);
}

/* Two threads at once: whichever of them is refused, the other one's filter stays noted. */
CHILD_TEST(refusal_undoes_its_own)
{
  require(confinement_begin() && confinement_begin());
  confinement_end();
  require(sys_getpid() == -EPERM);
  confinement_end();
  require(sys_getpid() > 0);
}

static void check_stack(void)
{
  struct stack_window window;
  uintptr_t value, sp = (uintptr_t)__builtin_frame_address(0) & -16ul;
  require(confinement_begin());
  require(!sys_is_readable(sp));
  require(stack_window_open(&window, sp - DEEPER_BYTES));
  require(stack_window_read(&window, sp - DEEPER_BYTES, &value));
}

static uintptr_t argument_vector;

CHILD_TEST(stack_of_the_main_thread_stays_readable)
{
  stack_bounds_init_main(argument_vector);
  check_stack();
}

static void *in_a_thread(void *unused)
{
  check_stack();
  return unused;
}

CHILD_TEST(stack_of_a_thread_stays_readable)
{
  pthread_t thread;
  require(pthread_create(&thread, NULL, in_a_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

int main(int count, char **arguments)
{
  (void)count;
  argument_vector = (uintptr_t)arguments;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refusal_is_undone),
      cmocka_unit_test(refusal_undoes_its_own),
      cmocka_unit_test(stack_of_the_main_thread_stays_readable),
      cmocka_unit_test(stack_of_a_thread_stays_readable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
