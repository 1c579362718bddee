/* SPDX-License-Identifier: MIT */
/* Numbers of processes mean the process that had them when they were said. */
#include "tools/state/process_maps.h"
#include "tools/state/target_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct target own_target(void)
{
  struct target target = {.pid = getpid(), .is_alive = true};
  target.summary.pid = target.pid;
  target.summary.created_boot_ns = UINT64_MAX / 2;
  (void)snprintf(target.summary.command, sizeof target.summary.command, "another 1");
  return target;
}

static void a_pinned_number_means_one_process(void **state)
{
  (void)state;
  struct target target = own_target();
  g_autofree char *number = g_strdup_printf("%d", target.pid);
  char *given[] = {number, (char[]){"a.program"}, NULL};
  g_auto(GStrv) pinned = target_names_pin(given);
  g_autofree char *whole = g_strdup_printf("%d@%" G_GUINT64_FORMAT, target.pid, process_start_boot_ns(target.pid));
  assert_string_equal(pinned[0], whole);
  assert_string_equal(pinned[1], "a.program");
  assert_true(target_names_mean(given, &target));
  assert_true(target_names_mean(pinned, &target));
  g_autoptr(GPtrArray) none = target_names_reused(pinned);
  assert_int_equal(none->len, 0);

  g_autofree char *before = g_strdup_printf("%d@1", target.pid);
  char *of_another[] = {before, NULL};
  assert_false(target_names_mean(of_another, &target));
  g_autoptr(GPtrArray) reused = target_names_reused(of_another);
  assert_int_equal(reused->len, 1);
  assert_non_null(strstr(g_ptr_array_index(reused, 0), "another process has its number now"));
}

static void of_an_ended_one_the_state_tells(void **state)
{
  (void)state;
  struct target target = {.pid = 7};
  char *operands[] = {(char[]){"7@1000"}, NULL};
  target.summary.created_boot_ns = 999;
  assert_false(target_names_mean(operands, &target));
  target.summary.created_boot_ns = 1000;
  assert_true(target_names_mean(operands, &target));
}

static void strange_numbers_are_names(void **state)
{
  static const char *const strange[] = {"7@", "7@x", "7@-1", "@7", "0@7", "7@7@7", "7 @7", "7@99999999999999999999"};
  int pid;
  (void)state;
  for (size_t i = 0; i < G_N_ELEMENTS(strange); i++)
    assert_false(target_names_is_number(strange[i], &pid));
  assert_true(target_names_is_number("7@8", &pid));
  assert_int_equal(pid, 7);
  assert_false(target_names_is_pid("7@8", &pid));
}

/* What /proc has at its number is of another process than the one that wrote the state. */
static void a_command_is_not_taken_from_another_process(void **state)
{
  (void)state;
  struct target target = own_target();
  g_autofree char *own = target_command(&target);
  assert_string_not_equal(own, "another 1");
  assert_true(target_runs(&target));
  target.summary.created_boot_ns = 1; /* long before this process began */
  g_autofree char *its = target_command(&target);
  assert_string_equal(its, "another 1");
  assert_false(target_runs(&target));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_pinned_number_means_one_process),
      cmocka_unit_test(of_an_ended_one_the_state_tells),
      cmocka_unit_test(strange_numbers_are_names),
      cmocka_unit_test(a_command_is_not_taken_from_another_process),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
