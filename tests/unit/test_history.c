/* SPDX-License-Identifier: MIT */
/* What heapprof serve remembers: an hour, thinned, never more than there is room for, whatever comes. */
#include "tools/live/history.h"
#include "tools/live/moment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

enum { SECOND_NS = 1000000000, CREATED = 7 };

static const int64_t start_ns = (int64_t)1700000000 * SECOND_NS;

static struct pulse pulse_at(int pid, int second, uint32_t moment_bytes)
{
  return (struct pulse){.time_unix_ns = start_ns + (int64_t)second * SECOND_NS,
                        .created_unix_ns = CREATED,
                        .in_use_bytes = second,
                        .pid = pid,
                        .moment_bytes = moment_bytes};
}

static void take(struct history *history, GByteArray *bytes)
{
  struct pulse_reader reader = {(const char *)bytes->data, bytes->len};
  history_take(history, &reader);
  g_byte_array_unref(bytes);
}

/* One process, whose moment is `moment_bytes` times `fill`. */
static void take_one(struct history *history, int second, uint32_t moment_bytes, int fill)
{
  GByteArray *bytes = g_byte_array_new();
  struct pulse pulse = pulse_at(1, second, moment_bytes);
  g_autofree void *moment = g_malloc(moment_bytes + 1);
  memset(moment, fill, moment_bytes);
  pulses_append(bytes, &pulse, moment);
  take(history, bytes);
}

/* The seconds of the points that are remembered of it, with a moment or all. */
static GArray *seconds_of(const struct history *history, int pid, bool with_moment)
{
  GArray *seconds = g_array_new(FALSE, FALSE, sizeof(int));
  g_autoptr(GBytes) bytes = history_of(history, pid);
  struct pulse pulse;
  const void *moment;
  if (bytes == NULL)
    return seconds;
  struct pulse_reader reader = pulses_begin_kept(bytes);
  while (pulses_next(&reader, &pulse, &moment)) {
    int second = (int)((pulse.time_unix_ns - start_ns) / SECOND_NS);
    if (pulse.moment_bytes > 0 || !with_moment)
      g_array_append_val(seconds, second);
  }
  return seconds;
}

static int second_at(const GArray *seconds, guint index)
{
  return g_array_index(seconds, int, index);
}

static void remembers_an_hour(void **state)
{
  (void)state;
  struct history *history = history_new();
  for (int second = 0; second <= 2 * HISTORY_SECONDS; second += 10)
    take_one(history, second, 0, 0);
  g_autoptr(GArray) seconds = seconds_of(history, 1, false);
  assert_int_equal(seconds->len, HISTORY_POINTS_OF_ONE);
  assert_int_equal(second_at(seconds, seconds->len - 1), 2 * HISTORY_SECONDS);
  assert_true(second_at(seconds, 0) >= HISTORY_SECONDS && second_at(seconds, 0) <= HISTORY_SECONDS + 120);
  int widest_new = 0, widest = 0;
  for (guint i = 1; i < seconds->len; i++) {
    int gap = second_at(seconds, i) - second_at(seconds, i - 1);
    assert_true(gap > 0);
    widest = MAX(widest, gap);
    if (second_at(seconds, i) > 2 * HISTORY_SECONDS - 120)
      widest_new = MAX(widest_new, gap);
  }
  assert_true(widest <= 120);
  assert_int_equal(widest_new, 10);
  history_free(history);
}

static void keeps_moments_within_their_room(void **state)
{
  (void)state;
  enum { BYTES = 1 << 20 };
  struct history *history = history_new();
  for (int second = 0; second < 100; second++) {
    take_one(history, second, BYTES, second);
    assert_true(history_moment_bytes(history) <= HISTORY_MOMENT_BYTES_MAX);
  }
  g_autoptr(GArray) all = seconds_of(history, 1, false), known = seconds_of(history, 1, true);
  assert_int_equal(all->len, 100);
  assert_int_equal(known->len, HISTORY_MOMENT_BYTES_MAX / BYTES);
  assert_int_equal(second_at(known, 0), 0);
  assert_int_equal(second_at(known, known->len - 1), 99);
  history_free(history);
}

static void bounds_points_of_many(void **state)
{
  (void)state;
  enum { PROCESSES = 4000, ROUNDS = 60 };
  struct history *history = history_new();
  for (int round = 0; round < ROUNDS; round++) {
    GByteArray *bytes = g_byte_array_new();
    for (int pid = 1; pid <= PROCESSES; pid++) {
      struct pulse pulse = pulse_at(pid, round, 0);
      pulses_append(bytes, &pulse, NULL);
    }
    take(history, bytes);
  }
  g_autoptr(GBytes) all = history_of_all(history);
  assert_int_equal(g_bytes_get_size(all) / sizeof(struct pulse), PROCESSES * (HISTORY_POINTS_MAX / PROCESSES));
  history_free(history);
}

static void bounds_processes(void **state)
{
  (void)state;
  struct history *history = history_new();
  GByteArray *bytes = g_byte_array_new();
  for (int pid = 1; pid <= 2 * HISTORY_PROCESSES_MAX; pid++) {
    struct pulse pulse = pulse_at(pid, 0, 0);
    pulses_append(bytes, &pulse, NULL);
  }
  take(history, bytes);
  g_autoptr(GBytes) all = history_of_all(history);
  assert_int_equal(g_bytes_get_size(all) / sizeof(struct pulse), HISTORY_PROCESSES_MAX);
  history_free(history);
}

static void forgets_who_is_gone(void **state)
{
  (void)state;
  struct history *history = history_new();
  take_one(history, 0, 100, 1);
  take(history, g_byte_array_new());
  assert_null(history_of(history, 1));
  assert_int_equal(history_moment_bytes(history), 0);
  history_free(history);
}

static void begins_anew_for_another_process(void **state)
{
  (void)state;
  struct history *history = history_new();
  take_one(history, 0, 100, 1);
  GByteArray *bytes = g_byte_array_new();
  struct pulse pulse = pulse_at(1, 10, 0);
  pulse.created_unix_ns = CREATED + 1;
  pulses_append(bytes, &pulse, NULL);
  take(history, bytes);
  g_autoptr(GArray) seconds = seconds_of(history, 1, false);
  assert_int_equal(seconds->len, 1);
  assert_int_equal(second_at(seconds, 0), 10);
  take_one(history, 5, 0, 0); /* the clock was set back */
  g_autoptr(GArray) after = seconds_of(history, 1, false);
  assert_int_equal(after->len, 1);
  history_free(history);
}

static void assert_pair(const struct history *history, int from, int to, int expected_from, int expected_to)
{
  g_autoptr(GBytes) bytes =
      history_pair(history, 1, start_ns + (int64_t)from * SECOND_NS, start_ns + (int64_t)to * SECOND_NS);
  struct pulse_reader reader = pulses_begin_kept(bytes);
  struct pulse pulse;
  const void *moment;
  const int expected[] = {expected_from, expected_to};
  for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
    assert_true(pulses_next(&reader, &pulse, &moment));
    assert_int_equal(pulse.time_unix_ns, start_ns + (int64_t)expected[i] * SECOND_NS);
    assert_int_equal(pulse.moment_bytes, 8);
    assert_int_equal(*(const char *)moment, expected[i]);
  }
  assert_false(pulses_next(&reader, &pulse, &moment));
}

static void finds_pairs(void **state)
{
  (void)state;
  struct history *history = history_new();
  take_one(history, 0, 8, 0);
  assert_null(history_pair(history, 1, start_ns, start_ns)); /* there is but one */
  take_one(history, 10, 8, 10);
  take_one(history, 20, 0, 20); /* not known */
  take_one(history, 30, 8, 30);
  assert_pair(history, 0, 30, 0, 30);
  assert_pair(history, 30, 0, 0, 30);
  assert_pair(history, 9, 21, 10, 30);
  assert_pair(history, 29, 31, 10, 30);
  assert_pair(history, -100000, 100000, 0, 30);
  assert_null(history_pair(history, 2, start_ns, start_ns));
  history_free(history);
}

static void believes_nothing(void **state)
{
  (void)state;
  struct history *history = history_new();
  GByteArray *bytes = g_byte_array_new();
  struct pulse pulses[] = {pulse_at(1, 0, 0), pulse_at(-5, 0, 0), pulse_at(2, 0, 0), pulse_at(3, 0, 0)};
  pulses[0].time_unix_ns = INT64_MIN;
  pulses[0].in_use_bytes = NAN;
  pulses[1].time_unix_ns = INT64_MAX;
  pulses[1].allocated_bytes = (double)INFINITY;
  pulses[2].resident_bytes = -1;
  for (size_t i = 0; i < G_N_ELEMENTS(pulses); i++)
    pulses_append(bytes, &pulses[i], NULL);
  struct pulse cut = pulse_at(4, 0, UINT32_MAX); /* more than there is */
  g_byte_array_append(bytes, (const guint8 *)&cut, sizeof cut);
  take(history, bytes);
  assert_null(history_of(history, 4));
  g_autoptr(GBytes) all = history_of_all(history);
  struct pulse_reader reader = pulses_begin_kept(all);
  struct pulse pulse;
  const void *moment;
  int count = 0;
  for (; pulses_next(&reader, &pulse, &moment); count++) {
    assert_true(pulse.time_unix_ns >= 0 && pulse.time_unix_ns <= PULSE_TIME_MAX);
    assert_true(pulse.in_use_bytes == 0 && pulse.allocated_bytes == 0 && pulse.resident_bytes == 0);
  }
  assert_int_equal(count, 4);
  history_free(history);
}

static uint32_t add_stack(struct heap *heap, uint64_t address, int64_t value)
{
  uint32_t mapping = heap->mappings->len > 0 ? 0 : heap_add_mapping(heap, (struct heap_mapping){.limit = 1 << 20});
  uint32_t location = heap_add_location(heap, address, mapping);
  const int64_t values[MOMENT_TYPES] = {value, 2 * value, 3 * value, 4 * value};
  const double variances[MOMENT_TYPES] = {1, 2, 3, 4};
  return heap_add_sample(heap, &location, 1, values, variances);
}

static struct heap *heap_of(const uint64_t *addresses, size_t count, int64_t value)
{
  struct heap *heap = heap_new("a test");
  heap_set_usual_types(heap);
  heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
  for (size_t i = 0; i < count; i++)
    add_stack(heap, addresses[i], value + (int64_t)i);
  return heap;
}

/* Stacks that came later had nothing then; the order in which they are read may be another. */
static void puts_a_moment_back(void **state)
{
  (void)state;
  static const uint64_t then[] = {0x100, 0x200}, now[] = {0x300, 0x200, 0x100};
  struct heap *old = heap_of(then, G_N_ELEMENTS(then), 10), *heap = heap_of(now, G_N_ELEMENTS(now), 1000);
  g_autoptr(GBytes) moment = moment_of(old);
  g_autoptr(GArray) keys = stack_keys_of(heap);
  assert_int_equal(moment_count(g_bytes_get_size(moment)), 2);
  moment_put(heap, keys, g_bytes_get_data(moment, NULL), g_bytes_get_size(moment));
  static const int64_t expected[] = {0, 11, 10};
  for (uint32_t i = 0; i < G_N_ELEMENTS(expected); i++)
    for (int type = 0; type < MOMENT_TYPES; type++) {
      assert_int_equal(heap_values(heap, i)[type], expected[i] * (type + 1));
      assert_true(heap_variance(heap, i, type) == (expected[i] > 0 ? type + 1 : 0));
    }
  heap_free(old);
  heap_free(heap);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(remembers_an_hour),     cmocka_unit_test(keeps_moments_within_their_room),
      cmocka_unit_test(bounds_points_of_many), cmocka_unit_test(bounds_processes),
      cmocka_unit_test(forgets_who_is_gone),   cmocka_unit_test(begins_anew_for_another_process),
      cmocka_unit_test(finds_pairs),           cmocka_unit_test(believes_nothing),
      cmocka_unit_test(puts_a_moment_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
