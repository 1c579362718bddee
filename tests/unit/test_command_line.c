/* SPDX-License-Identifier: MIT */
#include "core/command_line.h"

#include "core/region_format.h"
#include "unit.h"

#include <sys/mman.h>

enum { PAGE = 4096 };

/* Arguments as the kernel lays them out: one behind the other, to the end of a page. The array is static. */
static char **lay_out(char *pages, size_t page_count, const char *const *words)
{
  static char *arguments[8];
  size_t size = 0, count = 0;
  for (size_t i = 0; words[i] != NULL; i++)
    size += strlen(words[i]) + 1;
  char *at = pages + page_count * PAGE - size;
  for (; words[count] != NULL; count++) {
    arguments[count] = strcpy(at, words[count]);
    at += strlen(at) + 1;
  }
  arguments[count] = NULL;
  return arguments;
}

static char *map_pages(size_t count)
{
  char *pages = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(pages != MAP_FAILED);
  return pages;
}

static void is_unchanged_until_the_process_changes_it(void **state)
{
  (void)state;
  const char *const words[] = {"server", "--port\n", "", "80", NULL};
  char **arguments = lay_out(map_pages(1), 1, words);
  command_line_keep(arguments);
  assert_string_equal(command_line(), "server --port   80");
  assert_true(command_line_is_unchanged());
  arguments[0][0] = 'S';
  assert_false(command_line_is_unchanged());
  arguments[0][0] = 's';
  assert_true(command_line_is_unchanged());
  memset(arguments[3], 0, 2); /* shorter */
  assert_false(command_line_is_unchanged());
  memcpy(arguments[3], "80+", 3); /* longer: over what comes behind */
  assert_false(command_line_is_unchanged());
}

static void as_far_as_it_is_kept(void **state)
{
  (void)state;
  static char word[2 * COMMAND_BYTES];
  memset(word, 'w', sizeof word - 1);
  const char *const words[] = {"long", word, NULL};
  char **arguments = lay_out(map_pages(1), 1, words);
  command_line_keep(arguments);
  assert_int_equal(strlen(command_line()), COMMAND_BYTES - 1);
  assert_true(command_line_is_unchanged());
  arguments[1][COMMAND_BYTES] = 'x'; /* nobody would see that */
  assert_true(command_line_is_unchanged());
  arguments[1][COMMAND_BYTES / 2] = 'x';
  assert_false(command_line_is_unchanged());
}

static void what_is_no_longer_there_is_not_read(void **state)
{
  (void)state;
  static char word[PAGE / 8 * 7];
  memset(word, 'w', sizeof word - 1);
  const char *const words[] = {word, "behind", NULL};
  char *pages = map_pages(2);
  char **arguments = lay_out(pages, 2, words);
  arguments[0] -= PAGE / 2; /* so that it goes over the end of a page */
  memmove(arguments[0], arguments[0] + PAGE / 2, sizeof word + sizeof "behind");
  arguments[1] -= PAGE / 2;
  command_line_keep(arguments);
  assert_true(command_line_is_unchanged());
  assert_int_equal(munmap(pages, PAGE), 0);
  assert_false(command_line_is_unchanged());
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_unchanged_until_the_process_changes_it),
      cmocka_unit_test(as_far_as_it_is_kept),
      cmocka_unit_test(what_is_no_longer_there_is_not_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
