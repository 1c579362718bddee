/* SPDX-License-Identifier: MIT */
#include "core/config.h"

#include "unit.h"

#include <signal.h>

static struct config fresh(void)
{
  struct config config;
  config_set_defaults(&config);
  return config;
}

struct value {
  const char *variable;
  const char *text;
};

static const struct value refused[] = {
    {"HEAPPROF_SAMPLE", ""},
    {"HEAPPROF_SAMPLE", "0"},
    {"HEAPPROF_SAMPLE", "0K"},
    {"HEAPPROF_SAMPLE", "-1"},
    {"HEAPPROF_SAMPLE", "+1"},
    {"HEAPPROF_SAMPLE", " 1"},
    {"HEAPPROF_SAMPLE", "1 "},
    {"HEAPPROF_SAMPLE", "K"},
    {"HEAPPROF_SAMPLE", "1KK"},
    {"HEAPPROF_SAMPLE", "1BB"},
    {"HEAPPROF_SAMPLE", "1iB"},
    {"HEAPPROF_SAMPLE", "1Ki"},
    {"HEAPPROF_SAMPLE", "1BK"},
    {"HEAPPROF_SAMPLE", "KiB"},
    {"HEAPPROF_SAMPLE", "B"},
    {"HEAPPROF_SAMPLE", "65GB"},
    {"HEAPPROF_SAMPLE", "1T"},
    {"HEAPPROF_SAMPLE", "1.5M"},
    {"HEAPPROF_SAMPLE", "0x100"},
    {"HEAPPROF_SAMPLE", "65G"},
    {"HEAPPROF_SAMPLE", "68719476737"},
    {"HEAPPROF_SAMPLE", "18446744073709551617"},
    {"HEAPPROF_SAMPLE", "18446744073709551615G"},
    {"HEAPPROF_OUT", ""},
    {"HEAPPROF_OUT", "dir/"},
    {"HEAPPROF_OUT", "a%"},
    {"HEAPPROF_OUT", "a%x"},
    {"HEAPPROF_OUT", "a%%%"},
    {"HEAPPROF_OUT", "%s%n"},
    {"HEAPPROF_SIGNAL", ""},
    {"HEAPPROF_SIGNAL", "KILL"},
    {"HEAPPROF_SIGNAL", "9"},
    {"HEAPPROF_SIGNAL", "STOP"},
    {"HEAPPROF_SIGNAL", "SEGV"},
    {"HEAPPROF_SIGNAL", "11"},
    {"HEAPPROF_SIGNAL", "0"},
    {"HEAPPROF_SIGNAL", "32"}, /* the C library's own */
    {"HEAPPROF_SIGNAL", "65"},
    {"HEAPPROF_SIGNAL", "usr2"},
    {"HEAPPROF_SIGNAL", "SIG"},
    {"HEAPPROF_SIGNAL", "SIGSIGUSR2"},
    {"HEAPPROF_SIGNAL", "SIGnone"},
    {"HEAPPROF_SIGNAL", "RTMIN+"},
    {"HEAPPROF_SIGNAL", "RTMIN-1"},
    {"HEAPPROF_SIGNAL", "RTMIN+31"},
    {"HEAPPROF_SIGNAL", "RTMIN+40"},
    {"HEAPPROF_SIGNAL", "RTMAX+1"},
    {"HEAPPROF_SIGNAL", "RTMAX-31"},
    {"HEAPPROF_SIGNAL", "RTMAX-50"},
    {"HEAPPROF_DUMP", ""},
    {"HEAPPROF_DUMP", "exit,"},
    {"HEAPPROF_DUMP", ",exit"},
    {"HEAPPROF_DUMP", "exit signal"},
    {"HEAPPROF_DUMP", "exit,none"},
    {"HEAPPROF_DUMP", "exits"},
    {"HEAPPROF_DUMP", "none,keep"},
    {"HEAPPROF_DUMP", "kee"},
    {"HEAPPROF_FOLLOW", ""},
    {"HEAPPROF_FOLLOW", "YES"},
    {"HEAPPROF_FOLLOW", "nope"},
    {"HEAPPROF_FOLLOW", "0"},
    {"HEAPPROF_MMAP", ""},
    {"HEAPPROF_MMAP", "1"},
    {"HEAPPROF_DEPTH", ""},
    {"HEAPPROF_DEPTH", "0"},
    {"HEAPPROF_DEPTH", "513"},
    {"HEAPPROF_DEPTH", "-1"},
    {"HEAPPROF_DEPTH", "64K"},
    {"HEAPPROF_ONLY", ""},
    {"HEAPPROF_ONLY", ",,"},
    {"HEAPPROF_ONLY", "/bin/sh"},
    {"HEAPPROF_STATE_DIR", ""},
    {"HEAPPROF_STATE_DIR", "relative"},
    {"HEAPPROF_STATE_DIR", "./relative"},
    {"HEAPPROF_SEED", ""},
    {"HEAPPROF_SEED", "-1"},
    {"HEAPPROF_SEED", "random"},
    {"HEAPPROF_SEED", "18446744073709551616"},
    {"HEAPPROF_VERBOSE", ""},
    {"HEAPPROF_VERBOSE", "3"},
    {"HEAPPROF_VERBOSE", "yes"},
    {"HEAPPROF_NO_SUCH", "1"},
    {"SAMPLE", "1"},
};

static void refused_values_change_nothing(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    struct config config, before;
    memset(&config, 0x5a, sizeof config);
    memcpy(&before, &config, sizeof config);
    if (config_set(&config, refused[i].variable, refused[i].text))
      fail_msg("%s=%s was accepted", refused[i].variable, refused[i].text);
    assert_memory_equal(&config, &before, sizeof config);
  }
}

static void set(struct config *config, const char *variable, const char *text)
{
  if (!config_set(config, variable, text))
    fail_msg("%s=%s was refused", variable, text);
}

static void sample_intervals(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    uint64_t bytes;
  } accepted[] = {{"1", 1},
                  {"2", 2},
                  {"524288", 524288},
                  {"512K", 524288},
                  {"512k", 524288},
                  {"1M", 1 << 20},
                  {"2m", 2 << 20},
                  {"1G", 1 << 30},
                  {"7B", 7},
                  {"1kB", 1 << 10},
                  {"1MB", 1 << 20},
                  {"3MiB", 3 << 20},
                  {"2gb", UINT64_C(2) << 30},
                  {"64G", CONFIG_SAMPLE_MAX},
                  {"64g", CONFIG_SAMPLE_MAX},
                  {"65536M", CONFIG_SAMPLE_MAX},
                  {"68719476736", CONFIG_SAMPLE_MAX}};
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    struct config config = fresh();
    set(&config, "HEAPPROF_SAMPLE", accepted[i].text);
    assert_int_equal(config.sample_interval_bytes, accepted[i].bytes);
  }
}

static void signals(void **state)
{
  (void)state;
  const struct {
    const char *text;
    int number;
  } accepted[] = {
      {"USR2", SIGUSR2},           {"SIGUSR2", SIGUSR2},      {"USR1", SIGUSR1},         {"10", SIGUSR1},
      {"PROF", SIGPROF},           {"HUP", SIGHUP},           {"WINCH", SIGWINCH},       {"RTMIN", SIGRTMIN},
      {"SIGRTMIN", SIGRTMIN},      {"RTMIN+0", SIGRTMIN},     {"RTMIN+3", SIGRTMIN + 3}, {"SIGRTMIN+30", SIGRTMAX},
      {"RTMAX", SIGRTMAX},         {"RTMAX-2", SIGRTMAX - 2}, {"RTMAX-30", SIGRTMIN},    {"40", 40},
      {"none", CONFIG_SIGNAL_NONE}};
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    struct config config = fresh();
    set(&config, "HEAPPROF_SIGNAL", accepted[i].text);
    assert_int_equal(config.signal, accepted[i].number);
  }
}

static void dump_events(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    bool at_exit, on_signal, keep;
  } accepted[] = {
      {"exit", true, false, false},       {"signal", false, true, false},    {"exit,signal", true, true, false},
      {"signal,exit", true, true, false}, {"exit,exit", true, false, false}, {"none", false, false, false},
      {"keep", false, false, true},       {"keep,exit", true, false, true},  {"exit,signal,keep", true, true, true},
  };
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    struct config config = fresh();
    set(&config, "HEAPPROF_DUMP", accepted[i].text);
    assert_int_equal(config.dump_at_exit, accepted[i].at_exit);
    assert_int_equal(config.dump_on_signal, accepted[i].on_signal);
    assert_int_equal(config.keep_at_exit, accepted[i].keep);
  }
}

static void following(void **state)
{
  (void)state;
  struct config config = fresh();
  assert_true(config.follow);
  set(&config, "HEAPPROF_FOLLOW", "no");
  assert_false(config.follow);
  set(&config, "HEAPPROF_FOLLOW", "yes");
  assert_true(config.follow);
  assert_false(config.sees_mappings);
  set(&config, "HEAPPROF_MMAP", "yes");
  assert_true(config.sees_mappings);
  set(&config, "HEAPPROF_MMAP", "no");
  assert_false(config.sees_mappings);
}

static void numbers(void **state)
{
  (void)state;
  struct config config = fresh();
  set(&config, "HEAPPROF_DEPTH", "1");
  assert_int_equal(config.depth, 1);
  set(&config, "HEAPPROF_DEPTH", "512");
  assert_int_equal(config.depth, 512);
  assert_false(config.seed_given);
  set(&config, "HEAPPROF_SEED", "0");
  assert_true(config.seed_given && config.seed == 0);
  set(&config, "HEAPPROF_SEED", "18446744073709551615");
  assert_true(config.seed == UINT64_MAX);
  set(&config, "HEAPPROF_VERBOSE", "2");
  assert_int_equal(config.verbose, 2);
  set(&config, "HEAPPROF_VERBOSE", "0");
  assert_int_equal(config.verbose, 0);
}

static void patterns(void **state)
{
  (void)state;
  static const char *const accepted[] = {"a", "%e.%p.%h.%n.%t.%%", "/tmp/x.pb.gz", "%%n", "dir/sub/%n"};
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    struct config config = fresh();
    set(&config, "HEAPPROF_OUT", accepted[i]);
    assert_string_equal(config.out_pattern, accepted[i]);
  }
}

/* What config.def promises: at most 1024 and at most 255 bytes. */
static void lengths(void **state)
{
  (void)state;
  static const struct {
    const char *variable;
    size_t most;
  } limits[] = {{"HEAPPROF_OUT", 1024}, {"HEAPPROF_STATE_DIR", 1024}, {"HEAPPROF_ONLY", 255}};
  for (size_t i = 0; i < COUNT_OF(limits); i++) {
    char text[2048];
    memset(text, 'a', sizeof text);
    text[0] = strcmp(limits[i].variable, "HEAPPROF_ONLY") == 0 ? 'a' : '/';
    text[limits[i].most] = '\0';
    struct config config = fresh();
    set(&config, limits[i].variable, text);
    text[limits[i].most] = 'a';
    text[limits[i].most + 1] = '\0';
    assert_false(config_set(&config, limits[i].variable, text));
  }
}

static void selection(void **state)
{
  (void)state;
  struct config config = fresh();
  assert_true(config_selects(&config, "anything"));
  set(&config, "HEAPPROF_ONLY", ",redis-server,,python3.11,sh");
  assert_true(config_selects(&config, "redis-server"));
  assert_true(config_selects(&config, "python3.11"));
  assert_true(config_selects(&config, "sh"));
  assert_false(config_selects(&config, "redis"));
  assert_false(config_selects(&config, "redis-server2"));
  assert_false(config_selects(&config, "python3"));
  assert_false(config_selects(&config, "bash"));
  assert_false(config_selects(&config, ""));
  assert_false(config_selects(&config, "sh,"));
}

static void same_as_the_list_says(void **state)
{
  (void)state;
  struct config config = fresh(), from_list = fresh();
#define HEAPPROF_SETTING(identifier, variable, kind, default_text, accepted, what)                                     \
  if (strcmp(variable, "HEAPPROF_ONLY") != 0 && strcmp(variable, "HEAPPROF_STATE_DIR") != 0 &&                         \
      strcmp(variable, "HEAPPROF_SEED") != 0)                                                                          \
    set(&from_list, variable, default_text);
#include "core/config.def"
#undef HEAPPROF_SETTING
  assert_int_equal(from_list.sample_interval_bytes, config.sample_interval_bytes);
  assert_string_equal(from_list.out_pattern, config.out_pattern);
  assert_int_equal(from_list.signal, config.signal);
  assert_int_equal(from_list.dump_at_exit, config.dump_at_exit);
  assert_int_equal(from_list.dump_on_signal, config.dump_on_signal);
  assert_int_equal(from_list.keep_at_exit, config.keep_at_exit);
  assert_int_equal(from_list.follow, config.follow);
  assert_int_equal(from_list.sees_mappings, config.sees_mappings);
  assert_int_equal(from_list.depth, config.depth);
  assert_int_equal(from_list.verbose, config.verbose);
}

/* The environment: what is refused costs a line that names it, and the default stays. */
CHILD_TEST(environment_is_read)
{
  int ends[2];
  char line[1024];
  struct config config;
  require(pipe(ends) == 0 && dup2(ends[1], 2) == 2);
  require(setenv("HEAPPROF_SAMPLE", "lots\nheapprof: forged", 1) == 0 && setenv("HEAPPROF_DEPTH", "77", 1) == 0);
  config_load(&config);
  long size = read(ends[0], line, sizeof line - 1);
  line[size > 0 ? size : 0] = '\0';
  _exit(size > 0 && config.depth == 77 && config.sample_interval_bytes == 524288 &&
                strncmp(line, "heapprof: HEAPPROF_SAMPLE=lots?heapprof: forged ", 48) == 0 &&
                strstr(line, "1 to 64G") != NULL && strchr(line, '\n') == line + size - 1
            ? UNIT_REACHED_END
            : 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refused_values_change_nothing),
      cmocka_unit_test(sample_intervals),
      cmocka_unit_test(signals),
      cmocka_unit_test(dump_events),
      cmocka_unit_test(following),
      cmocka_unit_test(numbers),
      cmocka_unit_test(patterns),
      cmocka_unit_test(lengths),
      cmocka_unit_test(selection),
      cmocka_unit_test(same_as_the_list_says),
      cmocka_unit_test(environment_is_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
