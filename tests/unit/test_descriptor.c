/* SPDX-License-Identifier: MIT */
#include "core/descriptor.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>

static char path[128], link_path[128];

/* A file of six bytes, and a link to it. */
static int set_up(void **state)
{
  (void)state;
  snprintf(path, sizeof path, "%s/file", unit_directory());
  snprintf(link_path, sizeof link_path, "%s/link", unit_directory());
  FILE *file = fopen(path, "w");
  if (file == NULL || fputs("sample", file) < 0 || fclose(file) != 0)
    return -1;
  return symlink(path, link_path);
}

static int tear_down(void **state)
{
  (void)state;
  return unlink(path) != 0 || unlink(link_path) != 0;
}

static long read_file(const char *name, int flags, char *buffer, size_t size_bytes)
{
  unsigned descriptors = unit_count_files("/proc/self/fd");
  long size = descriptor_read_file(name, flags, buffer, size_bytes);
  assert_int_equal(unit_count_files("/proc/self/fd"), descriptors);
  return size;
}

static void all_of_a_small_file(void **state)
{
  (void)state;
  char buffer[] = "..........";
  assert_int_equal(read_file(path, 0, buffer, sizeof buffer), 6);
  assert_string_equal(buffer, "sample....");
}

static void beginning_of_a_larger_one(void **state)
{
  (void)state;
  char buffer[] = "..........";
  assert_int_equal(read_file(path, 0, buffer, 3), 3);
  assert_string_equal(buffer, "sam.......");
}

static void empty_file(void **state)
{
  (void)state;
  char buffer[] = "...";
  assert_int_equal(truncate(path, 0), 0);
  assert_int_equal(read_file(path, 0, buffer, sizeof buffer), 0);
  assert_string_equal(buffer, "...");
}

static void file_of_proc(void **state)
{
  (void)state;
  char buffer[64] = "", expected[64];
  snprintf(expected, sizeof expected, "%d (", (int)getpid());
  assert_true(read_file("/proc/self/stat", 0, buffer, sizeof buffer - 1) > 0);
  assert_memory_equal(buffer, expected, strlen(expected));
}

static void flags_are_heeded(void **state)
{
  (void)state;
  char buffer[] = "...";
  assert_int_equal(read_file(link_path, 0, buffer, 3), 3);
  assert_int_equal(read_file(link_path, O_NOFOLLOW, buffer, 3), -ELOOP);
}

static void what_is_no_file(void **state)
{
  (void)state;
  char buffer[] = "...";
  assert_int_equal(unlink(path), 0);
  assert_int_equal(read_file(path, 0, buffer, 3), -ENOENT);
  assert_int_equal(read_file(unit_directory(), 0, buffer, 3), -EISDIR);
  assert_int_equal(mkfifo(path, 0600), 0);
  int writer = open(path, O_RDWR); /* nobody waits for one */
  assert_int_equal(read_file(path, 0, buffer, 3), -ESPIPE);
  close(writer);
  assert_string_equal(buffer, "...");
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(all_of_a_small_file, set_up, tear_down),
      cmocka_unit_test_setup_teardown(beginning_of_a_larger_one, set_up, tear_down),
      cmocka_unit_test_setup_teardown(empty_file, set_up, tear_down),
      cmocka_unit_test_setup_teardown(file_of_proc, set_up, tear_down),
      cmocka_unit_test_setup_teardown(flags_are_heeded, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_no_file, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
