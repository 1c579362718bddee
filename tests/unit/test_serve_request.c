/* SPDX-License-Identifier: MIT */
/* What requests to heapprof serve say. */
#include "tools/serve/access.h"
#include "tools/serve/numbers.h"
#include "tools/serve/route.h"
#include "tools/serve/symbol_answer.h"
#include "tools/serve/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* Of Go 1.19's strconv, which was asked. */
static void reads_numbers_as_go(void **state)
{
  static const struct {
    const char *text;
    enum number_verdict verdict;
    int64_t number;
  } numbers[] = {
      {"", NUMBER_SYNTAX, 0},
      {"0", NUMBER_OK, 0},
      {"-", NUMBER_SYNTAX, 0},
      {"+", NUMBER_SYNTAX, 0},
      {"+5", NUMBER_OK, 5},
      {"-5", NUMBER_OK, -5},
      {"--5", NUMBER_SYNTAX, 0},
      {" 5", NUMBER_SYNTAX, 0},
      {"5 ", NUMBER_SYNTAX, 0},
      {"1_0", NUMBER_SYNTAX, 0},
      {"0x1", NUMBER_SYNTAX, 0},
      {"007", NUMBER_OK, 7},
      {"9223372036854775807", NUMBER_OK, INT64_MAX},
      {"9223372036854775808", NUMBER_RANGE, INT64_MAX},
      {"-9223372036854775808", NUMBER_OK, INT64_MIN},
      {"-9223372036854775809", NUMBER_RANGE, INT64_MIN},
      {"99999999999999999999999", NUMBER_RANGE, INT64_MAX},
      {"99999999999999999999999x", NUMBER_SYNTAX, 0},
  };
  (void)state;
  for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
    int64_t number;
    assert_int_equal(numbers_signed(numbers[i].text, strlen(numbers[i].text), &number), numbers[i].verdict);
    assert_int_equal(number, numbers[i].number);
  }
}

static void reads_addresses_as_go(void **state)
{
  static const struct {
    const char *text;
    enum number_verdict verdict;
    uint64_t number;
  } numbers[] = {
      {"", NUMBER_SYNTAX, 0},
      {"0x1f", NUMBER_OK, 0x1f},
      {"0X1F", NUMBER_OK, 0x1f},
      {"0x", NUMBER_SYNTAX, 0},
      {"1f", NUMBER_SYNTAX, 0},
      {"17", NUMBER_OK, 17},
      {"017", NUMBER_OK, 15},
      {"08", NUMBER_SYNTAX, 0},
      {"0o17", NUMBER_OK, 15},
      {"0b101", NUMBER_OK, 5},
      {"0b2", NUMBER_SYNTAX, 0},
      {"0", NUMBER_OK, 0},
      {"1_000", NUMBER_OK, 1000},
      {"0x_1", NUMBER_OK, 1},
      {"0_7", NUMBER_OK, 7},
      {"_1", NUMBER_SYNTAX, 0},
      {"1_", NUMBER_SYNTAX, 0},
      {"1__0", NUMBER_SYNTAX, 0},
      {"-1", NUMBER_SYNTAX, 0},
      {"0xffffffffffffffff", NUMBER_OK, UINT64_MAX},
      {"0x10000000000000000", NUMBER_RANGE, UINT64_MAX},
      {"18446744073709551615", NUMBER_OK, UINT64_MAX},
      {"18446744073709551616", NUMBER_RANGE, UINT64_MAX},
  };
  (void)state;
  for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
    uint64_t number;
    assert_int_equal(numbers_unsigned(numbers[i].text, strlen(numbers[i].text), &number), numbers[i].verdict);
    assert_int_equal(number, numbers[i].number);
  }
}

static void splits_addresses(void **state)
{
  (void)state;
  static const char text[] = "0x10++0+x+0x20+\0+32";
  g_autoptr(GArray) addresses = symbol_answer_addresses(text, sizeof text - 1);
  assert_int_equal(addresses->len, 3);
  assert_int_equal(g_array_index(addresses, uint64_t, 0), 0x10);
  assert_int_equal(g_array_index(addresses, uint64_t, 1), 0x20);
  assert_int_equal(g_array_index(addresses, uint64_t, 2), 32);
}

static void assert_value(const char *query, const char *key, const char *expected)
{
  g_autofree char *value = uri_value(query, key);
  if (expected == NULL)
    assert_null(value);
  else
    assert_string_equal(value, expected);
}

static void finds_values(void **state)
{
  (void)state;
  assert_value("", "a", NULL);
  assert_value("a=1", "a", "1");
  assert_value("b=2&a=1&a=3", "a", "1");
  assert_value("a", "a", "");
  assert_value("a=", "a", "");
  assert_value("a==b", "a", "=b");
  assert_value("%61=%20+x", "a", "  x");
  assert_value("a=%zz&a=2", "a", "2");
  assert_value("a=%2&a=2", "a", "2");
  assert_value("a=%&a=2", "a", "2");
  assert_value("a=%00&a=2", "a", "2");
  assert_value("a=1;a=2&a=3", "a", "3");
  assert_value("&&a=1", "a", "1");
  assert_value("aa=1", "a", NULL);
  assert_int_equal(uri_number("debug=2", "debug"), 2);
  assert_int_equal(uri_number("debug=x", "debug"), 0);
  assert_int_equal(uri_number("", "debug"), 0);
}

static void assert_path(const char *uri, const char *expected)
{
  g_autofree char *path = uri_path(uri);
  assert_string_equal(path, expected);
}

static void cleans_paths(void **state)
{
  (void)state;
  assert_path("", "/");
  assert_path("/", "/");
  assert_path("/a//b/./c/../d?x/y#z", "/a/b/d");
  assert_path("/a/", "/a/");
  assert_path("/../../a", "/a");
  assert_path("a", "/a");
  assert_path("http://host:80/a/b", "/a/b");
  assert_path("http://host?x", "/");
}

static void assert_route(const char *uri, enum route_end end, const char *process)
{
  struct route route = route_of(uri);
  assert_int_equal(route.end, end);
  assert_string_equal(route.process, process);
  route_clear(&route);
}

static void knows_the_ways(void **state)
{
  (void)state;
  assert_route("/", ROUTE_LIST, "");
  assert_route("/?x", ROUTE_LIST, "");
  assert_route("*", ROUTE_NOTHING, "");
  assert_route("http://proxy/debug/pprof/heap?x", ROUTE_HEAP, "");
  assert_route("/debug/pprof/", ROUTE_INDEX, "");
  assert_route("/debug/pprof/allocs", ROUTE_ALLOCS, "");
  assert_route("/12/debug/pprof/peak", ROUTE_PEAK, "12");
  assert_route("/a%2fb/debug/pprof/cmdline", ROUTE_CMDLINE, "a/b");
  assert_route("/debug/debug/pprof/symbol", ROUTE_SYMBOL, "debug");
  assert_route("/x/debug/pprof/goroutine", ROUTE_UNKNOWN_PROFILE, "x");
  assert_route("/x/y", ROUTE_NOTHING, "x");
  assert_route("/x/?y", ROUTE_PAGE, "x");
  assert_route("/12/live/heap", ROUTE_LIVE_HEAP, "12");
  assert_route("/12/live/timeline", ROUTE_LIVE_TIMELINE, "12");
  assert_route("/12/live/change?from=1", ROUTE_LIVE_CHANGE, "12");
  assert_route("/12/live/", ROUTE_NOTHING, "12");
  assert_route("/x?y", ROUTE_REDIRECT, "x");
  assert_route("/x/debug/pprof", ROUTE_REDIRECT, "x");
  assert_route("/%00", ROUTE_NOTHING, "");
  assert_route("//x/y", ROUTE_REDIRECT, "");
}

static void assert_access(const struct access *access, const char *host, const char *authorization,
                          enum access_verdict expected)
{
  assert_int_equal(access_check(access, host, authorization), expected);
}

static void checks_who_asks(void **state)
{
  struct access access;
  (void)state;
  access_init(&access);
  g_ptr_array_add(access.hosts, g_strdup("own.example"));
  assert_access(&access, NULL, NULL, ACCESS_GRANTED);
  assert_access(&access, "Own.Example:80", NULL, ACCESS_GRANTED);
  assert_access(&access, "own.example.evil", NULL, ACCESS_FOREIGN_HOST);
  assert_access(&access, "", NULL, ACCESS_FOREIGN_HOST);
  assert_access(&access, "[::1", NULL, ACCESS_GRANTED);
  access.takes_any_host = true;
  assert_access(&access, "evil", NULL, ACCESS_GRANTED);
  access.token_digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "sesame", -1);
  assert_access(&access, "evil", NULL, ACCESS_NO_TOKEN);
  assert_access(&access, NULL, "Bearer  sesame", ACCESS_GRANTED);
  assert_access(&access, NULL, "Bearersesame", ACCESS_NO_TOKEN);
  assert_access(&access, NULL, "Basic OnNlc2FtZQ==", ACCESS_GRANTED); /* ":sesame" */
  assert_access(&access, NULL, "Basic c2VzYW1l", ACCESS_NO_TOKEN);    /* no user */
  access_clear(&access);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_numbers_as_go), cmocka_unit_test(reads_addresses_as_go),
      cmocka_unit_test(splits_addresses),    cmocka_unit_test(finds_values),
      cmocka_unit_test(cleans_paths),        cmocka_unit_test(knows_the_ways),
      cmocka_unit_test(checks_who_asks),
  };
  return cmocka_run_group_tests_name("requests to heapprof serve", tests, NULL, NULL);
}
