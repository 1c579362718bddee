/* SPDX-License-Identifier: MIT */
#include "core/writer.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>

static char path[128], other[128];

/* An empty directory for each test. */
static int set_up(void **state)
{
  static int number;
  (void)state;
  char directory[96];
  snprintf(directory, sizeof directory, "%s/%d", unit_directory(), number++);
  snprintf(path, sizeof path, "%s/profile", directory);
  snprintf(other, sizeof other, "%s/other", directory);
  return mkdir(directory, 0700);
}

static unsigned files(void)
{
  char directory[128];
  strcpy(directory, path);
  *strrchr(directory, '/') = '\0';
  return unit_count_files(directory);
}

static void make_file(const char *name, const char *content)
{
  FILE *file = fopen(name, "w");
  assert_non_null(file);
  fputs(content, file);
  fclose(file);
}

static void expect_content(const char *name, const char *content)
{
  char bytes[64] = "";
  FILE *file = fopen(name, "r");
  assert_non_null(file);
  bytes[fread(bytes, 1, sizeof bytes - 1, file)] = '\0';
  fclose(file);
  assert_string_equal(bytes, content);
}

static void file_appears_whole(void **state)
{
  (void)state;
  struct writer writer;
  struct stat status;
  mode_t mask = umask(0);
  assert_int_equal(writer_open(&writer, path), 0);
  umask(mask);
  assert_int_equal(fcntl(writer.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  assert_int_equal(writer_put(&writer, "hello ", 6), 0);
  assert_int_equal(access(path, F_OK), -1);
  assert_int_equal(writer_put(&writer, "", 0), 0);
  assert_int_equal(writer_put(&writer, "world", 5), 0);
  int fd = writer.fd;
  assert_int_equal(writer_commit(&writer, path), 0);
  expect_content(path, "hello world");
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 07777, 0600);
  assert_int_equal(fcntl(fd, F_GETFD), -1);
  writer_discard(&writer);
  assert_int_equal(files(), 1);
}

static void what_stands_there_is_left_alone(void **state)
{
  (void)state;
  struct writer writer;
  make_file(path, "mine");
  assert_int_equal(writer_open(&writer, path), 0);
  assert_int_equal(writer_put(&writer, "new", 3), 0);
  assert_int_equal(writer_commit(&writer, path), -EEXIST);
  expect_content(path, "mine");
  assert_int_equal(writer_commit(&writer, other), 0); /* another name can be tried */
  expect_content(other, "new");
  assert_int_equal(files(), 2);
}

static void planted_links_are_not_followed(void **state)
{
  (void)state;
  struct writer writer;
  for (int is_dangling = 0; is_dangling < 2; is_dangling++) {
    if (!is_dangling)
      make_file(other, "victim");
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(writer_open(&writer, path), 0);
    assert_int_equal(writer_put(&writer, "evil", 4), 0);
    assert_int_equal(writer_commit(&writer, path), -EEXIST);
    writer_discard(&writer);
    assert_int_equal(writer.fd, -1);
    if (!is_dangling)
      expect_content(other, "victim");
    else
      assert_int_equal(access(other, F_OK), -1);
    unlink(other);
    unlink(path);
    assert_int_equal(files(), 0);
  }
}

static void discarding_removes_the_temporary_file(void **state)
{
  (void)state;
  struct writer writer;
  assert_int_equal(writer_open(&writer, path), 0);
  assert_int_equal(files(), 1);
  writer_discard(&writer);
  assert_int_equal(files(), 0);
  writer_discard(&writer); /* nothing left to do */
}

static void two_at_a_time_do_not_meet(void **state)
{
  (void)state;
  struct writer first, second;
  assert_int_equal(writer_open(&first, path), 0);
  assert_int_equal(writer_open(&second, path), 0);
  assert_int_equal(writer_put(&first, "1", 1), 0);
  assert_int_equal(writer_put(&second, "2", 1), 0);
  assert_int_equal(writer_commit(&second, path), 0);
  assert_int_equal(writer_commit(&first, path), -EEXIST);
  writer_discard(&first);
  expect_content(path, "2");
  assert_int_equal(files(), 1);
}

static void impossible_places_are_errors(void **state)
{
  (void)state;
  struct writer writer;
  char deep[WRITER_PATH_MAX + 10];
  assert_int_equal(writer_open(&writer, "/nonexistent-directory/profile"), -ENOENT);
  writer_discard(&writer);
  assert_int_equal(writer_open(&writer, "/dev/null/profile"), -ENOTDIR);
  writer_discard(&writer);
  memset(deep, 'd', sizeof deep);
  deep[0] = '/';
  strcpy(deep + WRITER_PATH_MAX, "/profile");
  assert_int_equal(writer_open(&writer, deep), -ENAMETOOLONG);
  writer_discard(&writer);
}

/* The longest name that a directory can hold is a name that may be asked for. */
static void longest_file_name_can_be_written(void **state)
{
  (void)state;
  struct writer writer;
  char name[512];
  snprintf(name, sizeof name, "%s", path);
  char *component = strrchr(name, '/') + 1;
  memset(component, 'n', NAME_MAX);
  component[NAME_MAX] = '\0';
  assert_int_equal(writer_open(&writer, name), 0);
  assert_int_equal(writer_commit(&writer, name), 0);
  assert_int_equal(files(), 1);
}

CHILD_TEST(file_size_limit_is_asked_first)
{
  static const char bytes[1000];
  struct writer writer;
  unit_limit(RLIMIT_FSIZE, 2500);
  require(writer_open(&writer, path) == 0);
  require(writer_put(&writer, bytes, sizeof bytes) == 0 && writer_put(&writer, bytes, sizeof bytes) == 0);
  require(writer_put(&writer, bytes, sizeof bytes) == -EFBIG); /* and no SIGXFSZ */
  writer_discard(&writer);
  require(files() == 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(file_appears_whole, set_up),
      cmocka_unit_test_setup(what_stands_there_is_left_alone, set_up),
      cmocka_unit_test_setup(planted_links_are_not_followed, set_up),
      cmocka_unit_test_setup(discarding_removes_the_temporary_file, set_up),
      cmocka_unit_test_setup(two_at_a_time_do_not_meet, set_up),
      cmocka_unit_test_setup(impossible_places_are_errors, set_up),
      cmocka_unit_test_setup(longest_file_name_can_be_written, set_up),
      cmocka_unit_test_setup(file_size_limit_is_asked_first, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
