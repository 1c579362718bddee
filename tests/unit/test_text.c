/* SPDX-License-Identifier: MIT */
#include "core/text.h"

#include "core/message.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

static void builds_text(void **state)
{
  (void)state;
  char buffer[128];
  struct text text = TEXT_INIT(buffer);
  text_put(&text, "a");
  text_put_u64(&text, 0);
  text_put(&text, "-");
  text_put_u64(&text, UINT64_MAX);
  text_put(&text, "-");
  text_put_hex(&text, 0);
  text_put_hex(&text, 0xdeadBEEF01234567u);
  text_put_hex_bytes(&text, (const uint8_t[]){0x00, 0x0f, 0xf0, 0xff}, 4);
  text_put_bytes(&text, "xyz", 2);
  assert_string_equal(buffer, "a0-18446744073709551615-0deadbeef01234567000ff0ffxy");
  assert_int_equal(text.length, strlen(buffer));
  assert_false(text.cut);
}

static void cuts_what_does_not_fit(void **state)
{
  (void)state;
  for (size_t length = 0; length < 20; length++) {
    char buffer[16];
    memset(buffer, '#', sizeof buffer);
    struct text text = {.bytes = buffer, .length = 0, .capacity = 9, .cut = false};
    for (size_t i = 0; i < length; i++)
      text_put(&text, "b");
    text_put_u64(&text, 7);
    assert_int_equal(text.length, length < 8 ? length + 1 : 8);
    assert_int_equal(strlen(buffer), text.length);
    assert_int_equal(text.cut, length >= 8);
    for (size_t i = 9; i < sizeof buffer; i++)
      assert_int_equal(buffer[i], '#');
  }
}

static void expect_utf8(const char *bytes, const char *expected)
{
  char copy[64];
  strcpy(copy, bytes);
  text_make_utf8(copy);
  assert_string_equal(copy, expected);
  assert_int_equal(text_is_utf8(bytes), strcmp(bytes, expected) == 0);
  assert_true(text_is_utf8(copy));
}

static void makes_utf8(void **state)
{
  (void)state;
  expect_utf8("", "");
  expect_utf8("plain \x7f", "plain \x7f");
  expect_utf8("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf", "\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf");
  expect_utf8("\xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", "\xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf");
  expect_utf8("\x80 \xc0\x80 \xc1\xbf \xff", "? ?? ?? ?");
  expect_utf8("\xe0\x9f\xbf \xed\xa0\x80", "??? ???");
  expect_utf8("\xf0\x8f\xbf\xbf \xf4\x90\x80\x80 \xf5\x80\x80\x80", "???? ???? ????");
  expect_utf8("\xc3", "?");
  expect_utf8("\xe2\x82", "??");
  expect_utf8("\xf0\x9f\x98", "???");
  expect_utf8("\xc3x\xc3\xa4", "?x\xc3\xa4");
}

static void finds_the_last_component(void **state)
{
  (void)state;
  assert_string_equal(text_basename("/usr/bin/env"), "env");
  assert_string_equal(text_basename("env"), "env");
  assert_string_equal(text_basename("dir/"), "");
  assert_string_equal(text_basename(""), "");
}

/* Runs in a child: standard error is replaced. */
static int redirect(void)
{
  int ends[2];
  require(pipe(ends) == 0);
  require(dup2(ends[1], 2) == 2);
  close(ends[1]);
  return ends[0];
}

CHILD_TEST(message_is_one_line)
{
  char line[2048];
  int read_end = redirect();
  errno = 1234;
  message_print("one ", "two\n", "three");
  bool kept = errno == 1234;
  long size = read(read_end, line, sizeof line);
  _exit(kept && size == 24 && memcmp(line, "heapprof: one two?three\n", 24) == 0 ? UNIT_REACHED_END : 1);
}

CHILD_TEST(long_message_is_cut_and_ended)
{
  char part[3000], line[4096];
  memset(part, 'x', sizeof part);
  part[sizeof part - 1] = '\0';
  int read_end = redirect();
  message_print(part, part);
  long size = read(read_end, line, sizeof line);
  _exit(size > 1000 && size <= 1024 && line[size - 1] == '\n' && memchr(line, '\n', (size_t)size) == line + size - 1
            ? UNIT_REACHED_END
            : 1);
}

CHILD_TEST(closed_standard_error_costs_the_line)
{
  close(2);
  errno = 77;
  message_print("nobody hears this");
  _exit(errno == 77 && !message_reaches_terminal() ? UNIT_REACHED_END : 1);
}

/* The reader of the pipe has gone: SIGPIPE is not for the application. */
CHILD_TEST(broken_pipe_costs_the_line)
{
  close(redirect());
  errno = 77;
  message_print("nobody hears this");
  sigset_t pending;
  _exit(errno == 77 && sigpending(&pending) == 0 && !sigismember(&pending, SIGPIPE) ? UNIT_REACHED_END : 1);
}

static void print_to_full_pipe(void)
{
  static const char filler[4096];
  (void)redirect();
  require(fcntl(2, F_SETFL, O_NONBLOCK) == 0);
  while (write(2, filler, sizeof filler) > 0)
    ;
  require(fcntl(2, F_SETFL, 0) == 0);
  message_print("nobody hears this");
}

/* The reader does not read: waiting for it would hang the application. */
static void full_pipe_costs_the_line(void **state)
{
  (void)state;
  assert_int_equal(unit_fork_for(print_to_full_pipe, 2), UNIT_PASSED);
}

static void parts_of_names_stay_in_their_folder(void **state)
{
  (void)state;
  static const char *const made[][2] = {
      {"", ""},
      {"bash", "bash"},
      {"../etc/passwd", ".._etc_passwd"},
      {"a b\tc\n\033d\177e", "a_b_c__d_e"},
      {"\303\251\302\240", "\303\251\302\240"},
      {"x\302\233y\302\200\302\237z", "x__y____z"},
      {"\302", "\302"},
  };
  for (unsigned i = 0; i < COUNT_OF(made); i++) {
    char text[32];
    strcpy(text, made[i][0]);
    text_make_name_part(text);
    assert_string_equal(text, made[i][1]);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(builds_text),
      cmocka_unit_test(cuts_what_does_not_fit),
      cmocka_unit_test(finds_the_last_component),
      cmocka_unit_test(makes_utf8),
      cmocka_unit_test(parts_of_names_stay_in_their_folder),
      cmocka_unit_test(message_is_one_line),
      cmocka_unit_test(long_message_is_cut_and_ended),
      cmocka_unit_test(closed_standard_error_costs_the_line),
      cmocka_unit_test(broken_pipe_costs_the_line),
      cmocka_unit_test(full_pipe_costs_the_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
