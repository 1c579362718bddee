/* SPDX-License-Identifier: MIT */
/* What is written into a recording, and read from it, with a clock of the test's own. */
#include "tools/heap/load.h"
#include "tools/heap/save.h"
#include "tools/record/amount.h"
#include "tools/record/moment.h"
#include "tools/record/recorded.h"
#include "tools/record/recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
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

static void add_places(struct heap *heap)
{
  uint32_t program = heap_add_mapping(
      heap,
      (struct heap_mapping){.start = 0x400000, .limit = 0x800000, .path = "/usr/bin/made", .build_id = "0123abcd"});
  for (uint32_t i = 0; i < PLACES; i++)
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
  add_places(heap);
  heap_add_comment(heap, "pid", "12");
  heap_add_comment(heap, "created_unix_ns", "34");
  heap_add_comment(heap, "resident_bytes", "4096");
  for (uint32_t stack = 0; stack < made->stacks; stack++) {
    uint32_t frames[FRAMES];
    double variances[TYPES];
    for (uint32_t i = 0; i < FRAMES; i++)
      frames[i] = (stack * (i + 1) + i) % PLACES;
    frames[0] = stack % PLACES;
    frames[1] = stack / PLACES;
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
  struct recorded_process process = {pid, (uint64_t)pid * 1000, "made", "made --up"};
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

static int make_folder(void **state)
{
  (void)state;
  folder = g_dir_make_tmp("heapprof-XXXXXX", NULL);
  path = g_build_filename(folder, "made.hpr", NULL);
  return folder != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
  static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
  (void)state;
  for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++) {
    g_autofree char *name = g_strconcat(path, suffixes[i], NULL);
    (void)unlink(name);
  }
  (void)rmdir(folder);
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
      TEST(a_day_is_small),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
