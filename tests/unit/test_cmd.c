/* SPDX-License-Identifier: MIT */
/* Command lines, with two commands that tell what they got. */
#include "tools/cmd/cmd.h"

#include "tools/terminal/say.h"
#include "unit.h"

#include <fcntl.h>
#include <glib.h>

static int run_tell(const struct cmd_line *line)
{
  uint64_t number;
  if (!cmd_number(line, "number", 1, 100, 5, &number))
    return EXIT_USAGE;
  const char *text = cmd_value(line, "text");
  printf("text=%s flag=%d number=%d", text != NULL ? text : "none", cmd_has(line, "flag"), (int)number);
  for (int i = 0; i < line->count; i++)
    printf(" [%s]", line->operands[i]);
  puts(line->operands[line->count] == NULL ? "" : " more");
  return finish_output(EXIT_OK);
}

static int run_misused(const struct cmd_line *line)
{
  return cmd_misused(line, "no %s\033[2J", "thing");
}

static const struct cmd_option tell_options[] = {
    {"text", 't', "TEXT", "a text"}, {"flag", 'f', NULL, "a flag"}, {"number", 0, "N", "a number"}, CMD_OPTIONS_END};
static const struct cmd_option no_options[] = {CMD_OPTIONS_END};

static const struct command tell = {"tell", "THING...", "Tell", tell_options, false, run_tell},
                            until = {"until", "PROGRAM...", "Tell the first", tell_options, true, run_tell},
                            misused = {"misused", "", "Complain", no_options, false, run_misused};

const struct command *const commands[] = {&tell, &until, &misused, NULL};

static char out[4096], err[4096];

static void read_back(int fd, char *text, size_t size)
{
  ssize_t count = pread(fd, text, size - 1, 0);
  text[count > 0 ? count : 0] = '\0';
  close(fd);
}

/* The exit status; what was written is in `out` and `err`. */
static int run(const char *words)
{
  g_auto(GStrv) argv = g_strsplit(words, " ", -1);
  int out_fd = open(unit_directory(), O_TMPFILE | O_RDWR, 0600),
      err_fd = open(unit_directory(), O_TMPFILE | O_RDWR, 0600);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    (void)dup2(out_fd, STDOUT_FILENO);
    (void)dup2(err_fd, STDERR_FILENO);
    _exit(cmd_main((int)g_strv_length(argv), argv));
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  read_back(out_fd, out, sizeof out);
  read_back(err_fd, err, sizeof err);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void assert_told(const char *words, const char *told)
{
  assert_int_equal(run(words), EXIT_OK);
  assert_string_equal(out, told);
  assert_string_equal(err, "");
}

static void assert_refused(const char *words, const char *said)
{
  assert_int_equal(run(words), EXIT_USAGE);
  assert_string_equal(out, "");
  assert_string_equal(err, said);
}

static void test_options(void **state)
{
  (void)state;
  assert_told("heapprof tell", "text=none flag=0 number=5\n");
  assert_told("heapprof tell -t x -f --number 7 a b", "text=x flag=1 number=7 [a] [b]\n");
  assert_told("heapprof tell a -tx b --number=100", "text=x flag=0 number=100 [a] [b]\n");
  assert_told("heapprof tell --text= -f", "text= flag=1 number=5\n");
  assert_told("heapprof tell --te y -ft z", "text=z flag=1 number=5\n");
  assert_told("heapprof tell -- -f --text", "text=none flag=0 number=5 [-f] [--text]\n");
  assert_told("heapprof tell -", "text=none flag=0 number=5 [-]\n");
  assert_told("heapprof until -f a -f --text", "text=none flag=1 number=5 [a] [-f] [--text]\n");
}

static void test_options_that_are_refused(void **state)
{
  (void)state;
  assert_refused("heapprof tell --nosuch",
                 "heapprof: there is no option '--nosuch'; heapprof tell --help tells what it takes\n");
  assert_refused("heapprof tell --nosuch=3 a",
                 "heapprof: there is no option '--nosuch=3'; heapprof tell --help tells what it takes\n");
  assert_refused("heapprof tell a -fx b",
                 "heapprof: there is no option '-x'; heapprof tell --help tells what it takes\n");
  assert_refused("heapprof tell a -t",
                 "heapprof: option '-t' needs a value; heapprof tell --help tells what it takes\n");
  assert_refused("heapprof tell a --text",
                 "heapprof: option '--text' needs a value; heapprof tell --help tells what it takes\n");
  assert_refused("heapprof tell --flag=1",
                 "heapprof: option '--flag' takes no value; heapprof tell --help tells what it takes\n");
  assert_refused("heapprof misused", "heapprof: no thing\\x1b[2J; heapprof misused --help tells what it takes\n");
}

static void test_numbers(void **state)
{
  (void)state;
  static const char *const wrong[] = {"0", "101", "-1", "x", "1x", "99999999999999999999"};
  for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
    g_autofree char *words = g_strconcat("heapprof tell --number=", wrong[i], NULL),
                    *said =
                        g_strconcat("heapprof: --number takes a number from 1 to 100, not '", wrong[i], "'\n", NULL);
    assert_refused(words, said);
  }
}

static void test_commands(void **state)
{
  (void)state;
  assert_refused("heapprof tel", "heapprof: there is no command 'tel'; did you mean 'tell'?\n");
  assert_refused("heapprof utnil", "heapprof: there is no command 'utnil'; did you mean 'until'?\n");
  assert_refused("heapprof something", "heapprof: there is no command 'something'; heapprof --help lists them\n");
  assert_refused("heapprof  ", "heapprof: there is no command ''; heapprof --help lists them\n");
  assert_refused("heapprof -x",
                 "heapprof: there is no option '-x' before a command; heapprof --help tells what there is\n");
  assert_refused("heapprof help tel", "heapprof: there is no command 'tel'; did you mean 'tell'?\n");
}

static void test_help(void **state)
{
  (void)state;
  static const char *const ways[] = {"heapprof tell --help", "heapprof tell -h", "heapprof help tell",
                                     "heapprof --help tell", "heapprof tell -f --help a"};
  for (size_t i = 0; i < G_N_ELEMENTS(ways); i++) {
    assert_int_equal(run(ways[i]), EXIT_OK);
    assert_non_null(strstr(out, "Usage: heapprof tell [OPTION]... THING...\nTell.\n"));
    assert_non_null(strstr(out, "  -t, --text TEXT                a text\n"));
    assert_non_null(strstr(out, "      --number N                 a number\n"));
  }
  assert_int_equal(run("heapprof --help"), EXIT_OK);
  assert_non_null(strstr(out, "  until       Tell the first\n"));
  assert_int_equal(run("heapprof"), EXIT_USAGE);
  assert_string_equal(out, "");
  assert_told("heapprof --version", "heapprof " PACKAGE_VERSION "\n");
}

static void test_options_are_listed(void **state)
{
  (void)state;
  assert_int_equal(run("heapprof --list-options"), EXIT_OK);
  assert_non_null(strstr(out, "tell\t\t\tTHING...\tTell\ntell\t--text\tt\tTEXT\ta text\ntell\t--flag\tf\t\ta flag\n"));
  assert_non_null(strstr(out, "tell\t--number\t\tN\ta number\ntell\t--help\th\t\tshow this\nuntil\t"));
}

/* A file opened by a command must not become its standard error. */
CHILD_TEST(test_closed_descriptors_are_not_reused)
{
  char tell_word[] = "tell", program[] = "heapprof";
  char *argv[] = {program, tell_word, NULL};
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
  close(STDERR_FILENO);
  int status = cmd_main(2, argv);
  int fd = open("/dev/null", O_RDONLY);
  if (status != EXIT_FAILED || fd <= STDERR_FILENO || write(STDERR_FILENO, "", 1) != -1)
    _exit(1);
}

CHILD_TEST(test_output_that_is_not_written_is_a_failure)
{
  require(freopen("/dev/full", "w", stdout) != NULL);
  puts("lost");
  require(finish_output(EXIT_OK) == EXIT_FAILED);
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_options),
      cmocka_unit_test(test_options_that_are_refused),
      cmocka_unit_test(test_numbers),
      cmocka_unit_test(test_commands),
      cmocka_unit_test(test_help),
      cmocka_unit_test(test_options_are_listed),
      cmocka_unit_test(test_closed_descriptors_are_not_reused),
      cmocka_unit_test(test_output_that_is_not_written_is_a_failure),
  };
  return cmocka_run_group_tests_name("cmd", tests, NULL, NULL);
}
