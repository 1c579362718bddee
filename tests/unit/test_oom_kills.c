/* SPDX-License-Identifier: MIT */
/* The kernel's counter of processes that it killed for want of memory, where each version of cgroups has it. */
#include "tools/run/oom_kills.h"

#include "unit.h"

#include <glib.h>
#include <glib/gstdio.h>

static char *folder;

static void write_file(const char *path, const char *text)
{
  g_autofree char *name = g_build_filename(folder, path, NULL), *directory = g_path_get_dirname(name);
  assert_int_equal(g_mkdir_with_parents(directory, 0700), 0);
  assert_true(g_file_set_contents(name, text, -1, NULL));
}

static int make_folder(void **state)
{
  (void)state;
  folder = g_dir_make_tmp("heapprof-unit.XXXXXX", NULL);
  return folder == NULL;
}

static int remove_folder(void **state)
{
  (void)state;
  const char *arguments[] = {"rm", "-rf", folder, NULL};
  g_spawn_sync(NULL, (char **)(uintptr_t)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
  g_clear_pointer(&folder, g_free);
  return 0;
}

static void test_version_2(void **state)
{
  (void)state;
  write_file("a.slice/b.scope/memory.events", "low 0\nhigh 7\nmax 9\noom 4\noom_kill 3\noom_group_kill 0\n");
  assert_int_equal(oom_kills_at(folder, "0::/a.slice/b.scope\n"), 3);
  assert_int_equal(oom_kills_at(folder, "0::/other\n"), -1);
  write_file("memory.events", "oom_kill 12\n"); /* as a container sees its own */
  assert_int_equal(oom_kills_at(folder, "0::/other\n"), 12);
}

static void test_version_1(void **state)
{
  (void)state;
  write_file("memory/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
  assert_int_equal(oom_kills_at(folder, "9:name=systemd:/\n4:hugetlb,memory:/a\n1:cpu:/\n0::/\n"), 5);
  write_file("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n"); /* kernels before 4.13 */
  assert_int_equal(oom_kills_at(folder, "4:memory:/docker/1234\n"), -1);
  write_file("memory/memory.oom_control", "oom_kill 1\n");
  assert_int_equal(oom_kills_at(folder, "4:memory:/docker/1234\n"), 1);
}

static void test_none(void **state)
{
  (void)state;
  assert_int_equal(oom_kills_at(folder, ""), -1);
  assert_int_equal(oom_kills_at(folder, "nonsense\n::\n0:\n0::\n"), -1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_version_2, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(test_version_1, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(test_none, make_folder, remove_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
