/* SPDX-License-Identifier: MIT */
/* What is written into a recording, and read from it, with a clock of the test's own. */
#include "tools/heap/load.h"
#include "tools/heap/save.h"
#include "tools/record/amount.h"
#include "tools/record/condition.h"
#include "tools/record/moment.h"
#include "tools/record/pack.h"
#include "tools/record/past.h"
#include "tools/record/pressure.h"
#include "tools/record/recorded.h"
#include "tools/record/recorder.h"
#include "tools/record/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  TYPES = 6,
  FRAMES = 24,
  STACKS = 2000,
  PLACES = 1500,
  CHANGES = 100,
  DAY_MOMENTS = 8640,
  MINUTE = 60,
  HOUR = 3600
};

static const int64_t start_ns = 1700000000 * AMOUNT_SECOND_NS;
static char *folder, *path;

/* --- a program that is made up --- */

struct made {
  uint32_t stacks;
  int64_t values[STACKS][TYPES];
  float variances[STACKS][TYPES];
  uint64_t random;
};

static uint32_t next_random(struct made *made)
{
  made->random = made->random * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(made->random >> 33);
}

/* As an allocation changes a stack: what was allocated only grows. */
static void change_stack(struct made *made, uint32_t stack)
{
  int64_t *values = made->values[stack];
  int64_t objects = 1 + next_random(made) % 40, size = 16 + next_random(made) % 100000;
  values[0] += objects;
  values[1] += objects * size;
  values[2] = values[0] / (1 + next_random(made) % 9);
  values[3] = values[2] * size;
  values[4] = MAX(values[4], values[2]);
  values[5] = MAX(values[5], values[3]);
  for (unsigned i = 0; i < TYPES; i++)
    made->variances[stack][i] = (float)values[i] * (float)(1 + next_random(made) % 1000);
}

static struct made *made_new(uint32_t stacks)
{
  struct made *made = g_new0(struct made, 1);
  made->random = 20261129;
  made->stacks = stacks;
  for (uint32_t i = 0; i < stacks; i++)
    change_stack(made, i);
  return made;
}

/* Few stacks run through few places, so that the tests are quick. */
static uint32_t places_of(const struct made *made)
{
  return made->stacks > 100 ? PLACES : 64;
}

static void add_places(struct heap *heap, uint32_t count)
{
  uint32_t program = heap_add_mapping(
      heap,
      (struct heap_mapping){.start = 0x400000, .limit = 0x800000, .path = "/usr/bin/made", .build_id = "0123abcd"});
  for (uint32_t i = 0; i < count; i++)
    heap_add_location(heap, 0x400000 + 64 * i, program);
}

/* As it is read from a process: without names. */
static struct heap *heap_of(const struct made *made, int64_t time_ns)
{
  struct heap *heap = heap_new("made");
  heap_set_usual_types(heap);
  heap_add_peak_types(heap);
  heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
  heap->time_unix_ns = time_ns;
  heap->period = 524288;
  uint32_t places = places_of(made);
  add_places(heap, places);
  heap_add_comment(heap, "pid", "12");
  heap_add_comment(heap, "created_unix_ns", "34");
  for (uint32_t stack = 0; stack < made->stacks; stack++) {
    uint32_t frames[FRAMES];
    double variances[TYPES];
    for (uint32_t i = 0; i < FRAMES; i++)
      frames[i] = (stack * (i + 1) + i) % places;
    frames[0] = stack % places;
    frames[1] = stack / places;
    for (unsigned i = 0; i < TYPES; i++)
      variances[i] = (double)made->variances[stack][i];
    heap_add_sample(heap, frames, FRAMES, made->values[stack], variances);
  }
  return heap;
}

static unsigned named_times;

static void add_names(struct heap *heap, void *data)
{
  (void)data;
  named_times++;
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    if (heap_location(heap, i)->line_count > 0)
      continue;
    g_autofree char *name = g_strdup_printf("made_%u", i);
    struct heap_function function = {.name = name, .system_name = name, .file = "/src/made.c", .start_line = i};
    struct heap_line line = {heap_add_function(heap, function), i + 1};
    heap_set_lines(heap, i, &line, 1);
  }
}

/* --- recording it --- */

static void must(bool is_so, const GError *error)
{
  if (!is_so)
    fail_msg("%s", error->message);
}

static struct recorder *open_recorder(int64_t keep_ns, uint64_t size_bytes)
{
  g_autoptr(GError) error = NULL;
  struct upkeep upkeep = {.keep_ns = keep_ns, .size_bytes = size_bytes};
  struct store *store = store_create(path, &error);
  must(store != NULL, error);
  struct recorder *recorder = recorder_new(store, &upkeep, &error);
  must(recorder != NULL, error);
  return recorder;
}

static bool try_put(struct recorder *recorder, const struct made *made, int pid, int64_t time_ns, GError **error)
{
  struct recorded_process process = {pid, (uint64_t)pid * 1000, "made", "made --up", 4096};
  if (!recorder_begin(recorder, error))
    return false;
  struct heap *heap = heap_of(made, time_ns);
  bool is_put = recorder_put(recorder, &process, heap, add_names, NULL, error) != 0;
  heap_free(heap);
  if (is_put)
    return recorder_end(recorder, error);
  recorder_give_up(recorder);
  return false;
}

static void put(struct recorder *recorder, const struct made *made, int pid, int64_t time_ns)
{
  g_autoptr(GError) error = NULL;
  must(try_put(recorder, made, pid, time_ns, &error), error);
}

static void keep_up(struct recorder *recorder, int64_t now_ns)
{
  g_autoptr(GError) error = NULL;
  must(recorder_keep_up(recorder, (struct upkeep_time){now_ns, now_ns}, &error), error);
}

/* --- reading it --- */

static uint64_t fingerprint(const struct heap *heap)
{
  uint64_t sum = 0;
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    const uint32_t *frames = heap_frames(heap, heap_sample(heap, i));
    uint64_t hash = 1;
    for (uint32_t frame = 0; frame < heap_sample(heap, i)->frame_count; frame++)
      hash = hash * 31 + heap_location(heap, frames[frame])->address;
    for (unsigned type = 0; type < heap->types->len; type++)
      hash = hash * 31 + (uint64_t)heap_values(heap, i)[type] + (uint64_t)heap_variance(heap, i, (int)type);
    bool is_empty = true;
    for (unsigned type = 0; type < heap->types->len; type++)
      is_empty &= heap_values(heap, i)[type] == 0;
    sum += is_empty ? 0 : hash;
  }
  return sum;
}

static uint64_t fingerprint_of_made(const struct made *made)
{
  struct heap *heap = heap_of(made, start_ns);
  uint64_t sum = fingerprint(heap);
  heap_free(heap);
  return sum;
}

static struct heap *read_at(struct recorded *recorded, int64_t time_ns)
{
  g_autoptr(GError) error = NULL;
  const struct process_row *row = &g_array_index(recorded->processes, struct process_row, 0);
  struct heap *heap = moment_read(recorded->store, recorded->texts, row->id, &time_ns, &error);
  must(heap != NULL, error);
  return heap;
}

static uint64_t fingerprint_at(struct recorded *recorded, int64_t time_ns)
{
  struct heap *heap = read_at(recorded, time_ns);
  uint64_t sum = fingerprint(heap);
  heap_free(heap);
  return sum;
}

static struct recorded *open_recorded(void)
{
  g_autoptr(GError) error = NULL;
  struct recorded *recorded = recorded_open(path, &error);
  must(recorded != NULL, error);
  return recorded;
}

static uint64_t file_bytes(void)
{
  GStatBuf status;
  assert_int_equal(g_stat(path, &status), 0);
  return (uint64_t)status.st_size;
}

/* --- tests --- */

/* Each moment is what it was, whether it begins a chain or not. */
static void gives_back_what_it_got(void **state)
{
  enum { MOMENTS = CHAIN_MOMENTS_MAX + 20 };
  uint64_t expected[MOMENTS];
  struct made *made = made_new(50);
  struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  (void)state;
  for (int i = 0; i < MOMENTS; i++) {
    made->stacks = 50 + (uint32_t)i / 10;
    for (int change = 0; change < 5; change++)
      change_stack(made, next_random(made) % made->stacks);
    expected[i] = fingerprint_of_made(made);
    put(recorder, made, 12, start_ns + i * 10 * AMOUNT_SECOND_NS);
  }
  recorder_free(recorder);
  struct recorded *recorded = open_recorded();
  for (int i = 0; i < MOMENTS; i++)
    assert_int_equal(fingerprint_at(recorded, start_ns + i * 10 * AMOUNT_SECOND_NS + 1), expected[i]);
  struct heap *heap = read_at(recorded, INT64_MAX);
  assert_string_equal(heap_function(heap, 0)->file, "/src/made.c");
  assert_string_equal(heap_mapping(heap, 0)->build_id, "0123abcd");
  assert_true(heap_mapping(heap, 0)->has_line_numbers);
  assert_int_equal(heap->period, 524288);
  assert_string_equal(heap_comment(heap, "pid"), "12");
  g_autoptr(GBytes) bytes = save_bytes(heap, NULL);
  struct heap *back = load_bytes(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "back", NULL);
  assert_non_null(back);
  assert_int_equal(fingerprint(back), expected[MOMENTS - 1]);
  heap_free(back);
  heap_free(heap);
  recorded_free(recorded);
  g_free(made);
}

/* Names are asked for when there is a new stack, and a recorder that comes later goes on where the first one ended. */
static void goes_on_after_a_restart(void **state)
{
  struct made *made = made_new(30);
  (void)state;
  named_times = 0;
  for (int i = 0; i < 4; i++) {
    struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
    put(recorder, made, 12, start_ns + 2 * i);
    change_stack(made, 3);
    put(recorder, made, 12, start_ns + 2 * i + 1);
    recorder_free(recorder);
  }
  assert_int_equal(named_times, 4);
  struct recorded *recorded = open_recorded();
  const struct process_row *row = &g_array_index(recorded->processes, struct process_row, 0);
  assert_int_equal(recorded->processes->len, 1);
  assert_int_equal(row->moments, 8);
  struct heap *heap = read_at(recorded, INT64_MAX);
  assert_int_equal(heap->samples->len, 30);
  assert_int_equal(fingerprint(heap), fingerprint_of_made(made));
  heap_free(heap);
  recorded_free(recorded);
  g_free(made);
}

/* A clock that is set back does not bring moments out of order. */
static void clock_may_go_back(void **state)
{
  struct made *made = made_new(5);
  (void)state;
  struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  put(recorder, made, 12, start_ns + HOUR * AMOUNT_SECOND_NS);
  change_stack(made, 1);
  put(recorder, made, 12, start_ns);
  recorder_free(recorder);
  struct recorded *recorded = open_recorded();
  assert_int_equal(fingerprint_at(recorded, INT64_MAX), fingerprint_of_made(made));
  recorded_free(recorded);
  g_free(made);
}

static void feed(struct recorder *recorder, struct made *made, int moments, uint64_t *expected)
{
  for (int i = 0; i < moments; i++) {
    for (int change = 0; change < CHANGES; change++)
      change_stack(made, next_random(made) % made->stacks);
    put(recorder, made, 12, start_ns + i * 10 * AMOUNT_SECOND_NS);
    if (expected != NULL)
      expected[i] = fingerprint_of_made(made);
  }
}

/* What is stored while somebody reads has names that the reader has not seen. */
static void is_read_as_it_was_opened(void **state)
{
  struct made *few = made_new(50), *many = made_new(STACKS);
  struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  (void)state;
  put(recorder, few, 12, start_ns);
  struct recorded *recorded = open_recorded();
  put(recorder, many, 12, start_ns + AMOUNT_SECOND_NS);
  assert_int_equal(fingerprint_at(recorded, INT64_MAX), fingerprint_of_made(few));
  recorded_free(recorded);
  recorded = open_recorded();
  assert_int_equal(fingerprint_at(recorded, INT64_MAX), fingerprint_of_made(many));
  recorded_free(recorded);
  recorder_free(recorder);
  g_free(few);
  g_free(many);
}

static void points_have_the_ends_and_the_largest(void **state)
{
  enum { MOMENTS = 40, PARTS = 4, MOST = 1 << 30 };
  g_autoptr(GError) error = NULL;
  int64_t found = 0;
  struct made *made = made_new(50);
  struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  (void)state;
  feed(recorder, made, MOMENTS, NULL);
  must(store_do(recorder->store, &error, "UPDATE moment SET in_use = id", "") &&
           store_do(recorder->store, &error, "UPDATE moment SET in_use = ? WHERE id = 17", "i", (int64_t)MOST),
       error);
  recorder_free(recorder);
  struct recorded *recorded = open_recorded();
  const struct process_row *row = &g_array_index(recorded->processes, struct process_row, 0);
  g_autoptr(GArray) points = past_points(recorded->store, row, PARTS, &error),
                    all = past_points(recorded->store, row, 1000, &error);
  must(points != NULL && all != NULL, error);
  assert_int_equal(all->len, MOMENTS);
  assert_in_range(points->len, PARTS, PARTS + 2);
  for (guint i = 0; i < points->len; i++)
    found = MAX(found, g_array_index(points, struct past_point, i).in_use_bytes);
  assert_int_equal(found, MOST);
  assert_int_equal(g_array_index(points, struct past_point, 0).time_ns, start_ns);
  assert_int_equal(g_array_index(points, struct past_point, points->len - 1).time_ns, row->last_ns);
  recorded_free(recorded);
  g_free(made);
}

/* A day of 2,000 stacks, of which 100 change every 10 s, stays below 100 MB: an hour of it below its part, and with
 * HEAPPROF_TORTURE the whole. Nothing is thinned out. */
static void a_day_is_small(void **state)
{
  const char *torture = getenv("HEAPPROF_TORTURE");
  int moments = torture != NULL && torture[0] != '\0' && torture[0] != '0' ? DAY_MOMENTS : DAY_MOMENTS / 24;
  struct made *made = made_new(STACKS);
  (void)state;
  struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  feed(recorder, made, 1, NULL);
  uint64_t once = store_bytes(recorder->store);
  recorder_free(recorder);
  recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  feed(recorder, made, moments, NULL);
  recorder_free(recorder);
  print_message("%d moments: %" G_GUINT64_FORMAT " bytes, %.0f each\n", moments, file_bytes(),
                (double)file_bytes() / moments);
  assert_true(once < 4 << 20);
  assert_true(file_bytes() < once + (uint64_t)moments * (100000000 / DAY_MOMENTS));
  g_free(made);
}

/* --- thinning --- */

/* Values that follow from the number of the moment, so that any one can be told. */
static void make_moment(struct made *made, uint32_t number)
{
  made->random = number;
  for (uint32_t stack = 0; stack < made->stacks; stack++) {
    uint64_t step = number / (1 + stack % 7), mixed = (step + 1) * 2654435761u + stack * 40503u;
    for (unsigned i = 0; i < TYPES; i++) {
      made->values[stack][i] = (int64_t)(mixed >> i) & 0xffffff;
      made->variances[stack][i] = (float)(mixed >> (i + 3) & 0xffff);
    }
  }
}

static int64_t time_of(uint32_t number)
{
  return start_ns + (int64_t)number * MINUTE * AMOUNT_SECOND_NS;
}

/* Every moment that there is, of those that were put a minute apart. Returns how many; marks them. */
static unsigned check_moments(struct made *made, uint8_t *found)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(int64_t));
  struct recorded *recorded = open_recorded();
  sqlite3_stmt *query = store_query(recorded->store, &error, "SELECT time_ns FROM moment ORDER BY time_ns", "");
  while (store_next(recorded->store, query, &error)) {
    int64_t time_ns = sqlite3_column_int64(query, 0);
    g_array_append_val(times, time_ns);
  }
  (void)sqlite3_finalize(query);
  assert_null(error);
  for (guint i = 0; i < times->len; i++) {
    int64_t time_ns = g_array_index(times, int64_t, i);
    uint32_t number = (uint32_t)((time_ns - start_ns) / (MINUTE * AMOUNT_SECOND_NS));
    assert_int_equal(time_of(number), time_ns);
    make_moment(made, number);
    assert_int_equal(fingerprint_at(recorded, time_ns), fingerprint_of_made(made));
    if (found != NULL)
      found[number] = true;
  }
  recorded_free(recorded);
  return times->len;
}

static unsigned count_between(const uint8_t *found, int from, int to)
{
  unsigned count = 0;
  for (int i = MAX(from, 0); i < to; i++)
    count += found[i];
  return count;
}

/* Each minute of a day, ten minutes of a week: moments come each minute for three days. */
static void thins_out_with_age(void **state)
{
  enum { MOMENTS = 3 * 24 * 60, DAY = 24 * 60 };
  static uint8_t found[MOMENTS];
  struct made *made = made_new(20);
  (void)state;
  memset(found, 0, sizeof found);
  struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  for (uint32_t i = 0; i < MOMENTS; i++) {
    make_moment(made, i);
    put(recorder, made, 12, time_of(i));
    keep_up(recorder, time_of(i));
  }
  recorder_free(recorder);
  check_moments(made, found);
  assert_int_equal(count_between(found, MOMENTS - DAY, MOMENTS), DAY);
  assert_int_equal(count_between(found, MOMENTS - 3 * DAY, MOMENTS - 2 * DAY), DAY / 10);
  g_free(made);
}

/* The same with moments that come faster than minutes, and what is too old goes. */
static void forgets_what_is_too_old(void **state)
{
  enum { MOMENTS = 6 * 3 * 60, KEEP = 2 * HOUR };
  struct made *made = made_new(20);
  int64_t oldest_ns, count;
  (void)state;
  struct recorder *recorder = open_recorder(KEEP * AMOUNT_SECOND_NS, UINT64_MAX);
  for (int i = 0; i < 3 * MOMENTS; i++) {
    change_stack(made, (uint32_t)i % 20);
    put(recorder, made, 12, start_ns + i * 10 * AMOUNT_SECOND_NS);
    keep_up(recorder, start_ns + i * 10 * AMOUNT_SECOND_NS);
  }
  int64_t now_ns = start_ns + (3 * MOMENTS - 1) * 10 * AMOUNT_SECOND_NS;
  assert_true(store_number(recorder->store, NULL, &oldest_ns, 0, "SELECT min(time_ns) FROM moment", ""));
  assert_in_range(now_ns - oldest_ns, KEEP * AMOUNT_SECOND_NS, (KEEP + HOUR + MINUTE) * AMOUNT_SECOND_NS);
  assert_true(store_number(recorder->store, NULL, &count, 0, "SELECT count(*) FROM moment WHERE time_ns > ?", "i",
                           now_ns - HOUR * AMOUNT_SECOND_NS));
  assert_int_equal(count, 360);
  assert_true(store_number(recorder->store, NULL, &count, 0, "SELECT count(*) FROM moment WHERE time_ns < ?", "i",
                           now_ns - 2 * HOUR * AMOUNT_SECOND_NS));
  assert_in_range(count, 0, 61);
  recorder_free(recorder);
  g_free(made);
}

/* --- size --- */

static void stays_within_its_size(void **state)
{
  enum { SIZE = 8 << 20, MOMENTS = 300 };
  uint64_t written = 0, expected = 0;
  struct made *made = made_new(STACKS);
  (void)state;
  struct recorder *recorder = open_recorder(INT64_MAX / 2, SIZE);
  for (int i = 0; i < MOMENTS; i++) {
    for (uint32_t stack = 0; stack < STACKS; stack++)
      change_stack(made, stack);
    put(recorder, made, 12, start_ns + i * 10 * AMOUNT_SECOND_NS);
    keep_up(recorder, start_ns + i * 10 * AMOUNT_SECOND_NS);
    written += 40000;
    assert_true(store_bytes(recorder->store) <= SIZE);
  }
  assert_true(written > SIZE);
  expected = fingerprint_of_made(made);
  recorder_free(recorder);
  struct recorded *recorded = open_recorded();
  assert_int_equal(fingerprint_at(recorded, INT64_MAX), expected);
  recorded_free(recorded);
  g_free(made);
}

static int64_t number_of(struct recorder *recorder, const char *sql)
{
  int64_t number;
  g_autoptr(GError) error = NULL;
  must(store_number(recorder->store, &error, &number, -1, sql, ""), error);
  return number;
}

/* Processes that have ended leave nothing behind, and the space is given back. */
static void forgets_processes_that_ended(void **state)
{
  struct made *made = made_new(500);
  (void)state;
  struct recorder *recorder = open_recorder(HOUR * AMOUNT_SECOND_NS, UINT64_MAX);
  put(recorder, made, 1, start_ns);
  keep_up(recorder, start_ns);
  int64_t one = number_of(recorder, "PRAGMA page_count");
  for (int pid = 2; pid < 30; pid++)
    put(recorder, made, pid, start_ns);
  assert_true(number_of(recorder, "SELECT count(*) FROM process") == 29);
  assert_true(recorder_begin(recorder, NULL));
  for (int64_t process = 1; process < 30; process++)
    assert_true(recorder_end_process(recorder, process, NULL));
  assert_true(recorder_end(recorder, NULL));
  keep_up(recorder, start_ns);
  int64_t all = number_of(recorder, "PRAGMA page_count");
  put(recorder, made, 50, start_ns + 3 * HOUR * AMOUNT_SECOND_NS);
  keep_up(recorder, start_ns + 3 * HOUR * AMOUNT_SECOND_NS);
  assert_int_equal(number_of(recorder, "SELECT count(*) FROM process"), 1);
  assert_int_equal(number_of(recorder, "SELECT count(*) FROM part"), 1);
  assert_int_equal(number_of(recorder, "SELECT count(*) FROM moment"), 1);
  assert_true(all > 3 * one);
  assert_true(number_of(recorder, "PRAGMA page_count") <= 2 * one);
  assert_true(file_bytes() <= 2 * (uint64_t)(one * number_of(recorder, "PRAGMA page_size")));
  put(recorder, made, 51, start_ns + 3 * HOUR * AMOUNT_SECOND_NS);
  recorder_free(recorder);
  struct recorded *recorded = open_recorded();
  for (guint i = 0; i < recorded->processes->len; i++) {
    int64_t time_ns = INT64_MAX;
    struct heap *heap = moment_read(recorded->store, recorded->texts,
                                    g_array_index(recorded->processes, struct process_row, i).id, &time_ns, NULL);
    assert_non_null(heap);
    assert_int_equal(fingerprint(heap), fingerprint_of_made(made));
    heap_free(heap);
  }
  recorded_free(recorded);
  g_free(made);
}

/* All is old by one that was set forward, and is not when it is right again. */
static void believes_no_clock_at_once(void **state)
{
  enum { YEAR = 365 * 24 * HOUR, TURNS = 62 };
  struct made *made = made_new(5);
  (void)state;
  struct recorder *recorder = open_recorder(HOUR * AMOUNT_SECOND_NS, UINT64_MAX);
  put(recorder, made, 12, start_ns);
  keep_up(recorder, start_ns);
  for (int turn = 0; turn < TURNS; turn++) {
    bool is_wrong = turn != TURNS / 2;
    struct upkeep_time now = {.boot_ns = start_ns + turn * MINUTE * AMOUNT_SECOND_NS};
    now.real_ns = now.boot_ns + (is_wrong ? YEAR * AMOUNT_SECOND_NS : 0);
    assert_true(recorder_keep_up(recorder, now, NULL));
    assert_int_equal(number_of(recorder, "SELECT count(*) FROM moment"), 1);
  }
  for (int turn = TURNS; turn < 2 * TURNS; turn++) {
    struct upkeep_time now = {.boot_ns = start_ns + turn * MINUTE * AMOUNT_SECOND_NS};
    now.real_ns = now.boot_ns + YEAR * AMOUNT_SECOND_NS;
    assert_true(recorder_keep_up(recorder, now, NULL));
  }
  assert_int_equal(number_of(recorder, "SELECT count(*) FROM moment"), 0);
  recorder_free(recorder);
  g_free(made);
}

/* A recorder that starts while the clock is wrong, or after a day in which there was none. */
static void believes_no_clock_at_its_start(void **state)
{
  enum { YEAR = 365 * 24 * HOUR };
  struct made *made = made_new(5);
  (void)state;
  struct recorder *recorder = open_recorder(HOUR * AMOUNT_SECOND_NS, UINT64_MAX);
  put(recorder, made, 12, start_ns);
  recorder_free(recorder);
  recorder = open_recorder(HOUR * AMOUNT_SECOND_NS, UINT64_MAX);
  struct upkeep_time now = {.real_ns = start_ns + YEAR * AMOUNT_SECOND_NS, .boot_ns = 0};
  assert_true(recorder_keep_up(recorder, now, NULL));
  assert_int_equal(number_of(recorder, "SELECT count(*) FROM moment"), 1);
  now.boot_ns += HOUR * AMOUNT_SECOND_NS;
  now.real_ns += HOUR * AMOUNT_SECOND_NS;
  assert_true(recorder_keep_up(recorder, now, NULL));
  assert_int_equal(number_of(recorder, "SELECT count(*) FROM moment"), 0);
  recorder_free(recorder);
  g_free(made);
}

/* Texts that nobody uses any more are forgotten, and those that are used are not. */
static void forgets_texts(void **state)
{
  struct made *made = made_new(50);
  (void)state;
  struct recorder *recorder = open_recorder(HOUR * AMOUNT_SECOND_NS, UINT64_MAX);
  keep_up(recorder, start_ns);
  put(recorder, made, 1, start_ns);
  int64_t texts = number_of(recorder, "SELECT count(*) FROM text");
  assert_true(texts > 50);
  assert_true(recorder_begin(recorder, NULL));
  assert_true(recorder_end_process(recorder, 1, NULL));
  assert_true(recorder_end(recorder, NULL));
  keep_up(recorder, start_ns + 3 * HOUR * AMOUNT_SECOND_NS);
  assert_int_equal(number_of(recorder, "SELECT count(*) FROM text"), 0);
  put(recorder, made, 2, start_ns + 4 * HOUR * AMOUNT_SECOND_NS);
  assert_int_equal(number_of(recorder, "SELECT count(*) FROM text"), texts);
  recorder_free(recorder);
  g_free(made);
}

/* --- what goes wrong --- */

static void limit_pages(struct recorder *recorder, int64_t more)
{
  g_autofree char *sql =
      g_strdup_printf("PRAGMA max_page_count=%" G_GINT64_FORMAT, number_of(recorder, "PRAGMA page_count") + more);
  assert_true(store_do(recorder->store, NULL, sql, ""));
}

/* A moment for which there is no room is lost, whole; the next one for which there is some is stored. */
static void goes_on_after_a_full_disk(void **state)
{
  unsigned lost = 0, stored = 0;
  struct made *made = made_new(50);
  (void)state;
  struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  for (uint32_t i = 0; i < 60; i++) {
    g_autoptr(GError) error = NULL;
    made->stacks = 50 + i * 10;
    make_moment(made, i);
    if (i % 20 == 5)
      limit_pages(recorder, 3);
    if (i % 20 == 15)
      limit_pages(recorder, 1 << 20);
    bool is_stored = try_put(recorder, made, 12, time_of(i), &error);
    stored += is_stored;
    lost += !is_stored;
    if (!is_stored) {
      assert_true(error->domain == STORE_ERROR);
      assert_int_equal(error->code, STORE_ERROR_NO_ROOM);
      assert_non_null(strstr(error->message, path));
    }
    assert_true(is_stored || i % 20 < 15);
  }
  recorder_free(recorder);
  assert_true(lost >= 20);
  made->stacks = 0; /* how many there were goes by the number */
  struct recorded *recorded = open_recorded();
  const struct process_row *row = &g_array_index(recorded->processes, struct process_row, 0);
  assert_int_equal(row->moments, stored);
  for (uint32_t i = 0; i < 60; i++) {
    int64_t time_ns = time_of(i);
    struct heap *heap = moment_read(recorded->store, recorded->texts, row->id, &time_ns, NULL);
    assert_non_null(heap);
    uint32_t number = (uint32_t)((time_ns - start_ns) / (MINUTE * AMOUNT_SECOND_NS));
    made->stacks = 50 + number * 10;
    make_moment(made, number);
    assert_int_equal(fingerprint(heap), fingerprint_of_made(made));
    heap_free(heap);
  }
  recorded_free(recorded);
  g_free(made);
}

static uint32_t moments_so_far(void)
{
  if (access(path, F_OK) != 0)
    return 0;
  g_autoptr(GError) error = NULL;
  struct recorded *recorded = recorded_open(path, &error);
  if (recorded == NULL) /* killed before there was anything in it */
    return 0;
  int64_t last_ns = 0;
  assert_true(store_number(recorded->store, NULL, &last_ns, 0, "SELECT max(time_ns) FROM moment", ""));
  recorded_free(recorded);
  return last_ns == 0 ? 0 : (uint32_t)((last_ns - start_ns) / (MINUTE * AMOUNT_SECOND_NS)) + 1;
}

/* Records until it is killed; tells of each moment. */
static void record_for_ever(struct made *made, uint32_t number, int pipe)
{
  struct recorder *recorder = open_recorder(2 * HOUR * AMOUNT_SECOND_NS, UINT64_MAX);
  for (;; number++) {
    make_moment(made, number);
    put(recorder, made, 12, time_of(number));
    keep_up(recorder, time_of(number));
    if (write(pipe, "", 1) != 1)
      _exit(1);
  }
}

/* Of whatever the recorder was doing. What it has told of is there. */
static void kill_one(struct made *made, uint64_t *random)
{
  int ends[2];
  char byte;
  uint32_t before = moments_so_far(), told = 0;
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0)
    record_for_ever(made, before, ends[1]);
  (void)close(ends[1]);
  *random = *random * 6364136223846793005u + 1442695040888963407u;
  for (uint32_t wanted = *random >> 60; told <= wanted && read(ends[0], &byte, 1) == 1; told++) {
  }
  for (volatile uint32_t spin = (*random >> 33) % 2000000; spin > 0; spin--) {
  }
  (void)kill(child, SIGKILL);
  assert_int_equal(waitpid(child, NULL, 0), child);
  while (read(ends[0], &byte, 1) == 1)
    told++;
  (void)close(ends[0]);
  assert_true(moments_so_far() >= before + told);
}

/* Fifty times, at any moment, thinning and forgetting included: the file opens, and each moment in it is whole. */
static void survives_kills(void **state)
{
  enum { KILLS = 50 };
  uint64_t random = 50;
  struct made *made = made_new(40);
  (void)state;
  for (int i = 0; i < KILLS; i++) {
    kill_one(made, &random);
    assert_true(check_moments(made, NULL) > 0);
  }
  struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  sqlite3_stmt *query = store_query(recorder->store, NULL, "PRAGMA integrity_check", "");
  assert_true(store_next(recorder->store, query, NULL));
  assert_string_equal((const char *)sqlite3_column_text(query, 0), "ok");
  (void)sqlite3_finalize(query);
  recorder_free(recorder);
  g_free(made);
}

/* --- damage --- */

static void read_everything(void)
{
  static const char *const times[] = {"first", "last", "largest"};
  g_autoptr(GError) problem = NULL;
  struct recorded *recorded = recorded_open(path, &problem);
  assert_true((recorded == NULL) == (problem != NULL));
  for (size_t i = 0; recorded != NULL && i < G_N_ELEMENTS(times); i++) {
    g_autoptr(GError) error = NULL;
    struct recorded_words words = {.time = times[i]};
    struct heap *heap = recorded_heap(recorded, &words, &error);
    assert_true((heap == NULL) == (error != NULL));
    if (error != NULL)
      assert_null(strchr(error->message, '\n'));
    g_bytes_unref(heap != NULL ? save_bytes(heap, NULL) : NULL);
    heap_free(heap);
  }
  recorded_free(recorded);
}

/* Whatever bytes are changed, it is read, or refused with a line. */
static void reads_damaged_files(void **state)
{
  enum { TRIES = 400, CHANGED_MAX = 6 };
  struct made *made = made_new(30);
  gsize size;
  g_autofree char *bytes = NULL;
  (void)state;
  struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  feed(recorder, made, 12, NULL);
  recorder_free(recorder);
  assert_true(g_file_get_contents(path, &bytes, &size, NULL));
  for (int i = 0; i < TRIES; i++) {
    g_autofree char *damaged = g_memdup2(bytes, size);
    for (uint32_t change = 1 + next_random(made) % CHANGED_MAX; change > 0; change--)
      damaged[next_random(made) % size] = (char)next_random(made);
    gsize cut = i % 4 == 0 ? next_random(made) % size : size;
    assert_true(g_file_set_contents(path, damaged, (gssize)cut, NULL));
    read_everything();
  }
  g_free(made);
}

/* Blobs alone: what SQLite would not notice. */
static void reads_damaged_values(void **state)
{
  enum { TRIES = 2000, TEXTS = 3 };
  struct made *made = made_new(30);
  struct heap *heap = heap_of(made, start_ns);
  struct values *values = values_new(TYPES);
  (void)state;
  values_set_count(values, 30);
  for (uint32_t i = 0; i < 30; i++)
    values_set(values, i, heap_values(heap, i), &g_array_index(heap->variances, double, i *TYPES));
  g_autoptr(GBytes) packed = values_pack(values, true);
  g_autoptr(GByteArray) plain =
      pack_inflate(g_bytes_get_data(packed, NULL), g_bytes_get_size(packed), 1 << 20, "values", NULL);
  for (int i = 0; i < TRIES; i++) {
    g_autoptr(GByteArray) damaged = g_byte_array_sized_new(plain->len);
    g_byte_array_append(damaged, plain->data, i % 3 == 0 ? next_random(made) % plain->len : plain->len);
    if (damaged->len > 0)
      damaged->data[next_random(made) % damaged->len] = (uint8_t)next_random(made);
    g_autoptr(GBytes) repacked = pack_deflate(damaged);
    g_autoptr(GError) error = NULL;
    struct values *back = values_new(TYPES);
    bool is_read =
        values_unpack(back, g_bytes_get_data(repacked, NULL), g_bytes_get_size(repacked), 1000, "it", &error);
    assert_true(is_read == (error == NULL));
    assert_true(values_count(back) <= 1000);
    values_free(back);
  }
  values_free(values);
  heap_free(heap);
  g_free(made);
}

/* --- how people write amounts --- */

static void reads_amounts(void **state)
{
  static const struct {
    const char *text;
    int64_t ns;
  } durations[] = {{"10s", 10000000000},
                   {"5m", 300000000000},
                   {"24h", 86400000000000},
                   {"0.5s", 500000000},
                   {"90", 90000000000},
                   {"0", 0},
                   {"-1s", 0},
                   {"s", 0},
                   {"1w", 0},
                   {"1e30d", 0},
                   {"", 0}};
  static const struct {
    const char *text;
    uint64_t bytes;
  } sizes[] = {{"8M", 8 << 20}, {"1.5K", 1536}, {"1GiB", 1 << 30}, {"100", 100}, {"2kb", 2048},
               {"0", 0},        {"M", 0},       {"1X", 0},         {"1M1", 0},   {"1e30", 0}};
  (void)state;
  for (size_t i = 0; i < G_N_ELEMENTS(durations); i++) {
    int64_t ns = 0;
    assert_int_equal(amount_duration(durations[i].text, &ns), durations[i].ns != 0);
    if (durations[i].ns != 0)
      assert_int_equal(ns, durations[i].ns);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
    uint64_t bytes = 0;
    assert_int_equal(amount_size(sizes[i].text, &bytes), sizes[i].bytes != 0);
    if (sizes[i].bytes != 0)
      assert_int_equal(bytes, sizes[i].bytes);
  }
}

/* UTC 2023-11-14 22:13:20 is 1700000000. */
static void reads_times(void **state)
{
  static const struct {
    const char *text;
    int64_t seconds; /* the end of it; 0: none */
  } times[] = {{"22:13", 1700000040},
               {"22:13:20", 1700000001},
               {"22:13:19", 1700000000},
               {"22:13:21", 1700000002 - 86400},
               {"23:00", 1700002860 - 86400},
               {"00:00", 1699920060},
               {"2023-11-14 22:13", 1700000040},
               {"2023-11-14T22:13:25", 1700000006},
               {"2023-11-13 00:00:00", 1699833601},
               {"24:00", 0},
               {"10:60", 0},
               {"10", 0},
               {"10:31x", 0},
               {"2023-13-01 10:00", 0},
               {"2023-11-14", 0},
               {"", 0}};
  (void)state;
  for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
    int64_t time_ns = 0;
    bool is_time = amount_time(times[i].text, 1700000000 * AMOUNT_SECOND_NS, &time_ns);
    assert_int_equal(is_time, times[i].seconds != 0);
    if (is_time)
      assert_int_equal(time_ns, times[i].seconds * AMOUNT_SECOND_NS - 1);
  }
}

/* As precisely as they are written. */
static void reads_unix_times(void **state)
{
  static const char *const bad[] = {"unix:",     "unix:.5", "unix:1.",           "unix:1x",
                                    "unix:1.5x", "unix:-1", "unix:1.0000000000", "unix:99999999999999999999",
                                    "1700000000"};
  static const struct {
    const char *text;
    int64_t time_ns;
  } good[] = {{"unix:1700000000", 1700000000999999999},
              {"unix:1700000000.5", 1700000000599999999},
              {"unix:1700000000.042", 1700000000042999999},
              {"unix:1700000000.123456789", 1700000000123456789}};
  int64_t time_ns = 0;
  (void)state;
  for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
    assert_true(amount_time(good[i].text, 0, &time_ns));
    assert_int_equal(time_ns, good[i].time_ns);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
    assert_false(amount_time(bad[i], 0, &time_ns));
}

/* --- conditions --- */

static void reads_conditions(void **state)
{
  static const char *const good[] = {"inuse>2G", "growth>100M/10m", "cgroup>90%", "psi>10%", NULL};
  static const char *const bad[] = {"inuse",     "inuse>",      "inuse>2%", "growth>1M", "growth>1M/",
                                    "cgroup>1M", "cgroup>101%", "psi>-1%",  "other>1",   ">1",
                                    ""};
  g_autoptr(GArray) conditions = conditions_read(good);
  (void)state;
  assert_int_equal(conditions->len, 4);
  assert_true(g_array_index(conditions, struct condition, 0).bound == 0x1p31);
  assert_int_equal(g_array_index(conditions, struct condition, 1).window_ns, 600 * AMOUNT_SECOND_NS);
  assert_int_equal(g_array_index(conditions, struct condition, 3).kind, CONDITION_PSI);
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
    assert_null(conditions_read((const char *const[]){bad[i], NULL}));
}

static void write_file(const char *name, const char *text)
{
  g_autofree char *file = g_build_filename(folder, name, NULL), *parent = g_path_get_dirname(file);
  assert_int_equal(g_mkdir_with_parents(parent, 0700), 0);
  assert_true(g_file_set_contents(file, text, -1, NULL));
}

static void assert_limit(const char *membership, double expected)
{
  double percent;
  assert_true(pressure_of_limit(folder, membership, &percent) == (expected >= 0));
  assert_true(percent == expected);
}

static void assert_stall(const char *membership, double expected)
{
  double percent = -1;
  g_autofree char *machine = g_build_filename(folder, "machine", NULL);
  assert_true(pressure_stall(folder, membership, machine, &percent) == (expected >= 0));
  assert_true(percent == expected);
}

/* The nearest to its limit counts, of the group or one above it. */
static void reads_groups_of_version_2(void **state)
{
  (void)state;
  write_file("a/b/memory.current", "50\n");
  write_file("a/b/memory.max", "max\n");
  write_file("a/memory.current", "75\n");
  write_file("a/memory.max", "100\n");
  assert_limit("0::/a/b\n", 75);
  write_file("a/b/memory.max", "60\n");
  write_file("a/b/memory.current", "57\n");
  assert_limit("0::/a/b\n", 95);
  assert_limit("0::/elsewhere\n", -1);
  write_file("memory.current", "1\n");
  write_file("memory.max", "4\n"); /* as a container sees its own */
  assert_limit("0::/elsewhere\n", 25);
  assert_limit("0::/../..\n", 25);
  assert_stall("0::/a/b\n", -1);
  write_file("machine", "some avg10=3.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=9.00 avg60=0 avg300=0 total=1\n");
  assert_stall("0::/a/b\n", 3.5);
  write_file("a/b/memory.pressure", "some avg10=12.25 avg60=1.00 avg300=0.00 total=1\n");
  assert_stall("0::/a/b\n", 12.25);
}

static void reads_groups_of_version_1(void **state)
{
  (void)state;
  write_file("memory/docker/x/memory.usage_in_bytes", "30\n");
  write_file("memory/docker/x/memory.limit_in_bytes", "40\n");
  write_file("memory/memory.usage_in_bytes", "1000\n");
  write_file("memory/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
  assert_limit("9:name=systemd:/\n4:cpu,memory:/docker/x\n0::/\n", 75);
  assert_limit("4:cpu:/docker/x\n", -1);
  assert_limit("4:memory:/\n", -1);
  assert_limit("", -1);
  assert_limit("nonsense\n::\n", -1);
}

static int64_t kept_after(struct recorder *recorder, struct watch *watch, const struct made *made, int64_t time_ns)
{
  g_autoptr(GError) error = NULL;
  struct recorded_process process = {12, 12000, "made", "", 0};
  must(recorder_begin(recorder, &error), error);
  struct heap *heap = heap_of(made, time_ns);
  int64_t id = recorder_put(recorder, &process, heap, add_names, NULL, &error);
  heap_free(heap);
  must(id != 0 && watch_check(watch, recorder, id, 12, "made", &error), error);
  must(recorder_end(recorder, &error), error);
  return number_of(recorder, "SELECT count(*) FROM kept");
}

/* One stack, of so many bytes in use, that are so uncertain. */
static void set_in_use(struct made *made, int64_t bytes, double standard_error)
{
  for (unsigned i = 0; i < TYPES; i++) {
    made->values[0][i] = bytes;
    made->variances[0][i] = (float)(standard_error * standard_error);
  }
}

static void keeps_what_a_condition_asks_for(void **state)
{
  static const char *const texts[] = {"inuse>1000", NULL};
  g_autoptr(GArray) conditions = conditions_read(texts);
  struct made *made = made_new(1);
  struct watch *watch = watch_new(conditions, 2);
  struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  /* how much is in use, and how many are kept then; while it holds only what is a tenth more */
  static const int64_t steps[][2] = {{1000, 0}, {1001, 1}, {1100, 1}, {1300, 2}, {1299, 2}, {900, 2},
                                     {5000, 3}, {900, 3},  {2000, 3}, {900, 3},  {1500, 4}};
  (void)state;
  for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
    set_in_use(made, steps[i][0], 0);
    assert_int_equal(kept_after(recorder, watch, made, time_of((uint32_t)i)), steps[i][1]);
  }
  /* the first, the largest, the last two; the one of 1300 is gone */
  assert_int_equal(number_of(recorder, "SELECT count(*) FROM kept WHERE value IN (1001, 5000, 2000, 1500)"), 4);
  int64_t largest = number_of(recorder, "SELECT id FROM kept WHERE value = 5000");
  watch_free(watch);
  recorder_free(recorder);
  struct recorded *recorded = open_recorded();
  g_autoptr(GBytes) bytes = recorded_kept(recorded, largest, NULL, NULL);
  assert_non_null(bytes);
  struct heap *heap = load_bytes(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "kept", NULL);
  assert_non_null(heap);
  assert_int_equal(heap_values(heap, 0)[3], 5000);
  assert_string_equal(heap_function(heap, 0)->file, "/src/made.c");
  heap_free(heap);
  recorded_free(recorded);
  g_free(made);
}

/* In a quarter of an hour it grows by 2 GiB, of which 1 GiB would be too much; how sure that is, is what differs. */
static void growth_is_beyond_chance(void **state)
{
  static const char *const texts[] = {"growth>1G/10m", NULL};
  static const struct {
    double standard_error;
    int64_t kept;
  } cases[] = {{0, 1}, {0x1p27, 1}, {0x1p30, 0}};
  g_autoptr(GArray) conditions = conditions_read(texts);
  (void)state;
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    struct made *made = made_new(1);
    struct watch *watch = watch_new(conditions, 2);
    struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
    set_in_use(made, 1000, 0);
    assert_int_equal(kept_after(recorder, watch, made, time_of(0)), 0);
    assert_int_equal(kept_after(recorder, watch, made, time_of(5)), 0);
    set_in_use(made, 1000 + (INT64_C(2) << 30), cases[i].standard_error);
    assert_int_equal(kept_after(recorder, watch, made, time_of(15)), cases[i].kept);
    watch_free(watch);
    recorder_free(recorder);
    (void)unlink(path);
    g_free(made);
  }
}

/* What grew before those ten minutes does not count. */
static void growth_is_of_its_time(void **state)
{
  static const char *const texts[] = {"growth>1G/10m", NULL};
  g_autoptr(GArray) conditions = conditions_read(texts);
  struct made *made = made_new(1);
  struct watch *watch = watch_new(conditions, 2);
  struct recorder *recorder = open_recorder(INT64_MAX / 2, UINT64_MAX);
  (void)state;
  for (uint32_t i = 0; i < 40; i++) {
    set_in_use(made, (int64_t)i * (100 << 20), 0); /* in ten minutes 1000 MiB */
    assert_int_equal(kept_after(recorder, watch, made, time_of(i)), 0);
  }
  watch_free(watch);
  recorder_free(recorder);
  g_free(made);
}

static int make_folder(void **state)
{
  (void)state;
  folder = g_dir_make_tmp("heapprof-XXXXXX", NULL);
  path = g_build_filename(folder, "made.hpr", NULL);
  return folder != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
  const char *arguments[] = {"rm", "-rf", folder, NULL};
  (void)state;
  g_spawn_sync(NULL, (char **)(uintptr_t)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
  g_clear_pointer(&folder, g_free);
  g_clear_pointer(&path, g_free);
  return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(gives_back_what_it_got),
      TEST(goes_on_after_a_restart),
      TEST(clock_may_go_back),
      TEST(is_read_as_it_was_opened),
      TEST(points_have_the_ends_and_the_largest),
      TEST(a_day_is_small),
      TEST(thins_out_with_age),
      TEST(forgets_what_is_too_old),
      TEST(believes_no_clock_at_once),
      TEST(believes_no_clock_at_its_start),
      TEST(stays_within_its_size),
      TEST(forgets_processes_that_ended),
      TEST(forgets_texts),
      TEST(goes_on_after_a_full_disk),
      TEST(survives_kills),
      TEST(reads_damaged_files),
      TEST(reads_damaged_values),
      cmocka_unit_test(reads_conditions),
      TEST(reads_groups_of_version_2),
      TEST(reads_groups_of_version_1),
      TEST(keeps_what_a_condition_asks_for),
      TEST(growth_is_beyond_chance),
      TEST(growth_is_of_its_time),
      cmocka_unit_test(reads_amounts),
      cmocka_unit_test(reads_times),
      cmocka_unit_test(reads_unix_times),
  };
  (void)setenv("TZ", "UTC", 1);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
