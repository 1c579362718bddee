/* SPDX-License-Identifier: MIT */
#include "tools/state/region_file.h"

#include "core/cuts.h"
#include "region_maker.h"
#include "tools/heap/save.h"
#include "tools/state/region_bytes.h"
#include "unit.h"

#include <fcntl.h>
#include <math.h>
#include <sys/mman.h>

enum { ALLOC_OBJECTS, ALLOC_SPACE, INUSE_OBJECTS, INUSE_SPACE };

static const uint64_t main_pc = 0x400123, library_pc = 0x7f0000001234, code_pc = 0x5000000;

/* Two modules, three stacks of which two have the same frames, and a stand-in. */
static void make(struct maker *maker)
{
  const uint64_t deep[] = {library_pc, main_pc}, made[] = {code_pc, main_pc};
  maker_init(maker);
  (void)maker_add_module(maker, "/lib/libfoo.so.1", 0x7f0000001000, 0x7f0000009000, false);
  (void)maker_add_module(maker, "/bin/made (deleted)", 0x400000, 0x401000, true);
  struct stack_record *one = maker_add_stack(maker, 0, deep, 2);
  maker_count(&one->allocated, 1, 100);
  maker_count(&one->allocated, 2, 200);
  maker_count(&one->freed, 1, 100);
  struct stack_record *same = maker_add_stack(maker, STACK_FRAME_POINTERS, deep, 2);
  maker_count(&same->allocated, 1.5, 10.5);
  struct stack_record *cut = maker_add_stack(maker, STACK_TRUNCATED, made, 2);
  maker_count(&cut->allocated, 1, 8);
  struct stack_record *full = maker_add_stack(maker, STACK_TABLE_FULL | STACK_TRUNCATED, NULL, 0);
  maker_count(&full->allocated, 2, 20);
  maker_header(maker)->stacks = 3;
}

static struct heap *read_moment(const void *bytes, size_t size, enum region_moment moment, GError **error)
{
  struct region_file *file = region_file_of_bytes(bytes, size, "made", error);
  struct heap *heap = file != NULL ? region_file_read(file, moment, "test", error) : NULL;
  region_file_close(file);
  return heap;
}

static struct heap *read_made(const struct maker *maker)
{
  GError *error = NULL;
  struct heap *heap = read_moment(maker->bytes, maker->end, REGION_NOW, &error);
  assert_null(error);
  assert_non_null(heap);
  return heap;
}

static void check_values(const struct heap *heap, uint32_t sample, int64_t a, int64_t b, int64_t c, int64_t d)
{
  const int64_t expected[] = {a, b, c, d, c, d}; /* no half has changed: the peak is what is in use */
  assert_int_equal(heap->types->len, G_N_ELEMENTS(expected));
  assert_memory_equal(heap_values(heap, sample), expected, sizeof expected);
}

static const struct heap_location *frame(const struct heap *heap, uint32_t sample, uint32_t index)
{
  assert_in_range(index, 0, heap_sample(heap, sample)->frame_count - 1);
  return heap_location(heap, heap_frames(heap, heap_sample(heap, sample))[index]);
}

/* What must be true of a heap of any file. */
static void check_sound(struct heap *heap)
{
  assert_int_equal(heap->types->len, 6);
  assert_int_equal(heap->values->len, 6 * heap->samples->len);
  assert_int_equal(heap->variances->len, heap->values->len);
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    assert_true(heap_sample(heap, i)->frame_count > 0);
    for (uint32_t j = 0; j < heap_sample(heap, i)->frame_count; j++)
      assert_in_range(heap_frames(heap, heap_sample(heap, i))[j], 0, heap->locations->len - 1);
    for (int type = 0; type < 6; type++) {
      assert_true(heap_values(heap, i)[type] >= 0);
      assert_true(heap_variance(heap, i, type) >= 0 && isfinite(heap_variance(heap, i, type)));
    }
  }
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    const struct heap_mapping *mapping = heap_mapping(heap, location->mapping);
    assert_true(location->address >= mapping->start && location->address < mapping->limit);
  }
  g_bytes_unref(save_bytes(heap, NULL));
}

/* Whatever the bytes: an error or a sound heap. Returns the number of samples, -1: refused. */
static int try_bytes(const void *bytes, size_t size)
{
  int samples = -1;
  for (enum region_moment moment = REGION_NOW; moment <= REGION_PEAK; moment++) {
    GError *error = NULL;
    struct heap *heap = read_moment(bytes, size, moment, &error);
    assert_true((heap == NULL) == (error != NULL));
    if (heap == NULL) {
      assert_true(g_utf8_strlen(error->message, -1) > 10);
      assert_null(strchr(error->message, '\n'));
      g_clear_error(&error);
      continue;
    }
    check_sound(heap);
    samples = (int)heap->samples->len;
    heap_free(heap);
  }
  return samples;
}

/* What a sound region says. */

/* Why the sample's stack was cut. */
static const char *label_of(const struct heap *heap, uint32_t sample)
{
  assert_int_equal(heap_sample(heap, sample)->label_count, 1);
  const struct heap_label *label =
      &g_array_index(heap->labels, struct heap_label, heap_sample(heap, sample)->first_label);
  assert_string_equal(label->key, "truncated");
  return label->text;
}

static void test_samples(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  make(maker);
  struct heap *heap = read_made(maker);
  check_sound(heap);
  assert_int_equal(heap->samples->len, 3);
  check_values(heap, 0, 5, 311, 4, 211); /* 4.5 and 310.5, 3.5 and 210.5: each rounded once */
  check_values(heap, 1, 1, 8, 1, 8);
  check_values(heap, 2, 2, 20, 2, 20);
  assert_true(heap_variance(heap, 0, ALLOC_SPACE) == 310.5);
  assert_true(heap_variance(heap, 0, INUSE_OBJECTS) == 3.5);
  assert_true(frame(heap, 0, 0)->address == library_pc && frame(heap, 0, 1)->address == main_pc);
  assert_int_equal(heap_sample(heap, 0)->label_count, 0);
  assert_string_equal(label_of(heap, 1), "unknown");
  assert_int_equal(heap->period, 512);
  heap_free(heap);
  g_free(maker);
}

/* Of the library's own reasons, of one that this version does not know, and of frames that were cut for several. */
/* What rounds to nothing is no sample, however much the allocator rounds it up; but where that is a value, it is. */
static void test_samples_of_rounding(void **state)
{
  (void)state;
  static const uint64_t pcs[] = {0x400100, 0x400200};
  struct maker *maker = g_new(struct maker, 1);
  maker_init(maker);
  (void)maker_add_module(maker, "/bin/made", 0x400000, 0x401000, true);
  struct stack_record *stack = maker_add_stack(maker, 0, pcs, 2);
  maker_count(&stack->allocated, 0.25, 0.25);
  stack->rounding_q16 = 1000 << 16;
  for (enum region_moment moment = REGION_NOW; moment <= REGION_ROUNDING; moment++) {
    struct heap *heap = read_moment(maker->bytes, maker->end, moment, NULL);
    assert_int_equal(heap->samples->len, moment == REGION_ROUNDING ? 1 : 0);
    heap_free(heap);
  }
  g_free(maker);
}

static void test_reasons(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  const uint64_t frames[] = {library_pc, main_pc};
  const uint32_t flags[] = {0,
                            cut_flags(CUT_no_cfi),
                            cut_flags(CUT_no_memory),
                            cut_flags(CUT_no_cfi) | STACK_FRAME_POINTERS,
                            STACK_TRUNCATED | STACK_CUT_MASK,
                            cut_flags(CUT_depth)};
  maker_init(maker);
  for (unsigned i = 0; i < G_N_ELEMENTS(flags); i++)
    maker_count(&maker_add_stack(maker, flags[i], frames, 2)->allocated, 1, 8);
  struct heap *heap = read_made(maker);
  assert_int_equal(heap->samples->len, 5);
  assert_int_equal(heap_sample(heap, 0)->label_count, 0);
  const char *const expected[] = {"no CFI", "no memory", "unknown", "depth"};
  for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++)
    assert_string_equal(label_of(heap, i + 1), expected[i]);
  assert_int_equal(heap_values(heap, 1)[ALLOC_OBJECTS], 2);
  heap_free(heap);
  g_free(maker);
}

static void test_mappings(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  make(maker);
  struct heap *heap = read_made(maker);
  assert_int_equal(heap->mappings->len, 4);
  assert_string_equal(heap_mapping(heap, 0)->path, "/bin/made"); /* the main program first, as if it were still there */
  assert_string_equal(heap_mapping(heap, 1)->path, "/lib/libfoo.so.1");
  assert_string_equal(heap_mapping(heap, 1)->build_id, "deadbeef");
  assert_int_equal(heap_mapping(heap, 1)->file_offset, 0x1000);
  assert_int_equal(frame(heap, 0, 0)->mapping, 1);
  assert_int_equal(frame(heap, 0, 1)->mapping, 0);
  assert_string_equal(heap_mapping(heap, frame(heap, 1, 0)->mapping)->path, "//anon");
  const struct heap_location *stand_in = frame(heap, 2, 0);
  assert_string_equal(heap_mapping(heap, stand_in->mapping)->path, "[heapprof]");
  assert_int_equal(stand_in->line_count, 1);
  assert_string_equal(heap_function(heap, heap_lines(heap, stand_in)->function)->name, "[stack table full]");
  heap_free(heap);
  g_free(maker);
}

static void test_comments(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  make(maker);
  maker_header(maker)->lost[LOSS_region] = 4;
  maker_header(maker)->lost[LOSS_truncated] = 9;
  maker_header(maker)->lost[LOSS_truncated_depth] = 8;
  memset(maker_header(maker)->program, 'p', sizeof maker_header(maker)->program); /* not terminated */
  maker_header(maker)->program[1] = '\n';
  struct heap *heap = read_made(maker);
  uint64_t number;
  assert_string_equal(heap_comment(heap, "reason"), "test");
  assert_true(g_str_has_prefix(heap_comment(heap, "program"), "p pp"));
  assert_int_equal(strlen(heap_comment(heap, "program")), sizeof maker_header(maker)->program);
  assert_true(heap_comment_number(heap, "pid", &number) && number == 77);
  assert_true(heap_comment_number(heap, "samples", &number) && number == 5);
  assert_true(heap_comment_number(heap, "stacks", &number) && number == 3);
  assert_true(heap_comment_number(heap, "lost.total", &number) && number == 4);
  assert_true(heap_comment_number(heap, "lost.truncated", &number) && number == 9);
  assert_true(heap_comment_number(heap, "lost.truncated.depth", &number) && number == 8);
  assert_true(heap_comment_number(heap, "estimated_units", &number) && number == 346); /* 7.5 + 338.5 */
  assert_true(heap_comment_number(heap, "created_unix_ns", &number) && number == 1700000000000000000u);
  assert_null(heap_comment(heap, "incomplete"));
  heap_free(heap);
  g_free(maker);
}

static void test_summary(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  make(maker);
  maker_header(maker)->timed_samples = 2;
  maker_header(maker)->timed_ticks = 3000;
  maker_header(maker)->look_up_ticks = 64;
  maker_header(maker)->ticks_per_second = 1000000000;
  maker_header(maker)->cpu_ns = 80000;
  struct region_file *file = region_file_of_bytes(maker->bytes, maker->end, "made", NULL);
  struct region_summary summary;
  assert_true(region_file_summarize(file, &summary, NULL));
  region_file_close(file);
  assert_int_equal(summary.pid, 77);
  assert_int_equal(summary.samples, 5);
  assert_true(summary.in_use_bytes == 238.5 && summary.allocated_bytes == 338.5);
  assert_true(summary.in_use_bytes_variance == 238.5);
  assert_int_equal(summary.sampling_ns, 7500 + 64);
  assert_int_equal(summary.cpu_ns, 80000);
  assert_true(summary.is_whole);
  assert_string_equal(summary.allocator, "/lib/liballocator.so");
  g_free(maker);
}

/* Hostile bytes. */

/* A sanitizer that is slow and has nothing to see here gets a part of them. */
enum { FIRST_PATTERN = UNIT_IS_THREAD_SANITIZED ? 7 : 0 };

static void test_flips(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  make(maker);
  size_t size = maker->end;
  unsigned refused = 0, intact = 0;
  g_autofree uint8_t *copy = g_malloc(size);
  for (size_t at = 0; at < size; at++) {
    if (at >= sizeof(struct region_header) && at < MAKER_HEADER_BYTES)
      continue;
    for (unsigned pattern = FIRST_PATTERN; pattern < 10; pattern++) { /* each bit, then all, then none */
      memcpy(copy, maker->bytes, size);
      copy[at] = pattern < 8 ? copy[at] ^ (uint8_t)(1u << pattern) : pattern == 8 ? 0xff : 0;
      int samples = try_bytes(copy, size);
      refused += samples < 0;
      intact += samples == 3;
    }
  }
  assert_true(refused > 20 && intact > 200);
  g_free(maker);
}

static void test_truncations(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  make(maker);
  int before = -1;
  for (size_t size = 0; size <= maker->end; size += size < sizeof(struct region_header) || size % 16 != 0 ? 1 : 16) {
    int samples = try_bytes(maker->bytes, size);
    assert_true(samples >= before); /* what is there is never less with more of it */
    before = samples;
    if (samples < 0)
      continue;
    struct heap *heap = read_moment(maker->bytes, size, REGION_NOW, NULL);
    assert_int_equal(heap_comment(heap, "incomplete") != NULL, size < maker->end);
    heap_free(heap);
  }
  assert_int_equal(before, 3);
  g_free(maker);
}

/* Changes one thing of a sound region. `samples`: how many are left of three, -1: the whole file is refused. */
struct damage {
  const char *what;
  void (*apply)(struct maker *maker);
  int samples;
};

static struct stack_record *first_stack(struct maker *maker)
{
  size_t at = MAKER_HEADER_BYTES;
  while (((const struct region_record *)(maker->bytes + at))->tag != (REGION_RECORD_TAG | REGION_RECORD_STACK))
    at += REGION_GRANULE_BYTES;
  return (struct stack_record *)(maker->bytes + at);
}

static struct module_record *first_module(struct maker *maker)
{
  return (struct module_record *)(maker->bytes + MAKER_HEADER_BYTES);
}

static void publish_again(struct region_record *record)
{
  maker_publish(record, (enum region_record_type)(record->tag & 0xff), record->constant_offset, record->constant_words);
}

#define DAMAGE(name, statement)                                                                                        \
  static void name(struct maker *maker)                                                                                \
  {                                                                                                                    \
    statement;                                                                                                         \
  }

DAMAGE(no_magic, maker_header(maker)->magic[0] = 'h')
DAMAGE(unfinished, memset(maker_header(maker)->magic, 0, 8))
DAMAGE(other_version, maker_header(maker)->version = REGION_VERSION + 1)
DAMAGE(version_zero, maker_header(maker)->version = 0)
DAMAGE(short_header, maker_header(maker)->header_bytes = 16)
DAMAGE(odd_header, maker_header(maker)->header_bytes = MAKER_HEADER_BYTES + 8)
DAMAGE(long_header, maker_header(maker)->header_bytes = 0xfffffff0)
DAMAGE(no_segment, maker_header(maker)->first_segment_bytes = 0)
DAMAGE(odd_segment, maker_header(maker)->first_segment_bytes = 3 << 14)
DAMAGE(tiny_segment, maker_header(maker)->first_segment_bytes = 16)
DAMAGE(huge_segment, maker_header(maker)->first_segment_bytes = (uint64_t)1 << 63)
DAMAGE(log_ends_before_it_begins, maker_header(maker)->log_end = 16)
DAMAGE(endless_log, maker_header(maker)->log_end = UINT64_MAX)
DAMAGE(no_file, maker_header(maker)->file_end = 0)
DAMAGE(endless_file, maker_header(maker)->file_end = maker_header(maker)->log_end = UINT64_MAX)
DAMAGE(stack_of_no_size, first_stack(maker)->record.size_bytes = 0)
DAMAGE(stack_of_16_bytes, first_stack(maker)->record.size_bytes = 16)
DAMAGE(stack_of_odd_size, first_stack(maker)->record.size_bytes += 8)
DAMAGE(endless_stack, first_stack(maker)->record.size_bytes = 0xfffffff0)
DAMAGE(stack_over_the_next, first_stack(maker)->record.size_bytes *= 2)
DAMAGE(stack_over_the_segment, first_stack(maker)->record.size_bytes = REGION_FIRST_SEGMENT_BYTES)
DAMAGE(constant_part_outside, first_stack(maker)->record.constant_offset = 0xfffffff8)
DAMAGE(constant_part_elsewhere, first_stack(maker)->record.constant_offset -= 8;
       publish_again(&first_stack(maker)->record))
DAMAGE(odd_constant_part, first_stack(maker)->record.constant_offset += 4)
DAMAGE(endless_frames, first_stack(maker)->record.constant_words = 0xffffffff)
DAMAGE(frames_behind_the_end, first_stack(maker)->record.constant_words += 1;)
DAMAGE(fewer_frames, first_stack(maker)->record.constant_words = 1)
DAMAGE(no_frames, first_stack(maker)->record.constant_words = 0; publish_again(&first_stack(maker)->record))
DAMAGE(wrong_hash, first_stack(maker)->record.hash++)
DAMAGE(unfinished_stack, first_stack(maker)->record.tag = 0)
DAMAGE(unknown_type, first_stack(maker)->record.tag = REGION_RECORD_TAG | 77)
DAMAGE(address_zero, first_stack(maker)->pcs[0] = 0; publish_again(&first_stack(maker)->record))
DAMAGE(address_max, first_stack(maker)->pcs[0] = UINT64_MAX; publish_again(&first_stack(maker)->record))
DAMAGE(all_flags, first_stack(maker)->flags = UINT32_MAX)
DAMAGE(more_freed_than_allocated, maker_count(&first_stack(maker)->freed, 1000, 100000))
DAMAGE(not_a_number, first_stack(maker)->allocated.variance_bytes = NAN)
DAMAGE(infinite, first_stack(maker)->allocated.variance_bytes = INFINITY)
DAMAGE(negative, first_stack(maker)->allocated.variance_objects = -1e300)
DAMAGE(most, memset((void *)&first_stack(maker)->allocated, 0xff, sizeof(struct tally)))
DAMAGE(torn, first_stack(maker)->allocated.begun = 1000000)
DAMAGE(module_upside_down, first_module(maker)->limit = 0; publish_again(&first_module(maker)->record))
DAMAGE(module_everywhere, first_module(maker)->start = 0; first_module(maker)->limit = UINT64_MAX;
       publish_again(&first_module(maker)->record))
DAMAGE(long_build_id, first_module(maker)->build_id_bytes = 33; publish_again(&first_module(maker)->record))
DAMAGE(endless_build_id, first_module(maker)->build_id_bytes = UINT32_MAX; publish_again(&first_module(maker)->record))
DAMAGE(endless_path, memset(first_module(maker)->path, '/', 24); publish_again(&first_module(maker)->record))
DAMAGE(binary_path, memset(first_module(maker)->path, 0x9b, 8); publish_again(&first_module(maker)->record))
DAMAGE(module_without_path, first_module(maker)->record.size_bytes = 96; first_module(maker)->record.constant_words = 8;
       publish_again(&first_module(maker)->record))
DAMAGE(everything_is_set, memset(maker->bytes + MAKER_HEADER_BYTES, 0xff, maker->end - MAKER_HEADER_BYTES))
DAMAGE(garbage,
       for (size_t i = MAKER_HEADER_BYTES; i < maker->end; i++) maker->bytes[i] = (uint8_t)(i * 2654435761u >> 7))

static const struct damage damages[] = {
    {"magic", no_magic, -1},
    {"not announced", unfinished, -1},
    {"version + 1", other_version, -1},
    {"version 0", version_zero, -1},
    {"header of 16 bytes", short_header, -1},
    {"header of odd size", odd_header, -1},
    {"header of 4 GiB", long_header, -1},
    {"segments of 0 bytes", no_segment, -1},
    {"segments of 48 KiB", odd_segment, -1},
    {"segments of 16 bytes", tiny_segment, -1},
    {"segments of 8 EiB", huge_segment, 3},
    {"log ends in the header", log_ends_before_it_begins, 0},
    {"log ends nowhere", endless_log, 3},
    {"nothing in the file", no_file, 0},
    {"file ends nowhere", endless_file, 3},
    {"stack: size 0", stack_of_no_size, 3},
    {"stack: size 16", stack_of_16_bytes, 3},
    {"stack: size not a multiple of 16", stack_of_odd_size, 3},
    {"stack: size 4 GiB", endless_stack, 3},
    {"stack: size runs over the next one", stack_over_the_next, 3},
    {"stack: size of a segment", stack_over_the_segment, 3},
    {"stack: constant part far outside", constant_part_outside, 3},
    {"stack: constant part begins early", constant_part_elsewhere, 3},
    {"stack: constant part not aligned", odd_constant_part, 3},
    {"stack: 4 G frames", endless_frames, 3},
    {"stack: a frame too many", frames_behind_the_end, 3},
    {"stack: a frame less, same hash", fewer_frames, 3},
    {"stack: no frames", no_frames, 3},
    {"stack: hash", wrong_hash, 3},
    {"stack: no tag", unfinished_stack, 3},
    {"stack: unknown type", unknown_type, 3},
    {"stack: address 0", address_zero, 3},
    {"stack: highest address", address_max, 3},
    {"stack: all flags", all_flags, 4},
    {"stack: more freed than allocated", more_freed_than_allocated, 3},
    {"stack: variance not a number", not_a_number, 3},
    {"stack: variance infinite", infinite, 3},
    {"stack: variance negative", negative, 3},
    {"stack: highest counts", most, 3},
    {"stack: counts that never agree", torn, 3},
    {"module: limit below start", module_upside_down, 3},
    {"module: the whole address space", module_everywhere, 3},
    {"module: build id of 33 bytes", long_build_id, 3},
    {"module: build id of 4 GiB", endless_build_id, 3},
    {"module: path not terminated", endless_path, 3},
    {"module: path of bytes that are no text", binary_path, 3},
    {"module: no room for a path", module_without_path, 3},
    {"records: all bits set", everything_is_set, 0},
    {"records: garbage", garbage, 0},
};

/* A damaged first stack leaves its twin, so there are three samples as before, but the first counts less. */
static void test_damages(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  bool failed = false;
  for (size_t i = 0; i < G_N_ELEMENTS(damages); i++) {
    make(maker);
    damages[i].apply(maker);
    int samples = try_bytes(maker->bytes, maker->end);
    if (samples != damages[i].samples)
      print_error("%s: %d samples, expected %d\n", damages[i].what, samples, damages[i].samples);
    failed = failed || samples != damages[i].samples;
  }
  assert_false(failed);
  g_free(maker);
}

static void test_counts_that_cannot_be(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  make(maker);
  more_freed_than_allocated(maker);
  struct heap *heap = read_made(maker);
  check_values(heap, 0, 5, 311, 2, 11); /* of the twin alone: 1.5 and 10.5 */
  heap_free(heap);
  make(maker);
  most(maker);
  heap = read_made(maker);
  check_values(heap, 0, (int64_t)(UINT64_MAX >> 16), (int64_t)(UINT64_MAX >> 4), 2, 11); /* in use: less than none */
  heap_free(heap);
  g_free(maker);
}

/* Each granule claims to begin a record of 64 KiB, the longest there may be: hashing them all would take for ever. */
static void test_work_is_bounded(void **state)
{
  (void)state;
  enum { BYTES = 32 << 20 };
  struct maker *maker = g_new(struct maker, 1);
  maker_init(maker);
  uint8_t *bytes = g_malloc0(BYTES);
  memcpy(bytes, maker->bytes, MAKER_HEADER_BYTES);
  struct region_header *header = (struct region_header *)bytes;
  header->log_end = header->file_end = BYTES;
  header->first_segment_bytes = (uint64_t)1 << 32;
  for (size_t at = MAKER_HEADER_BYTES; at + 32 <= BYTES; at += 16) {
    uint32_t size = (uint32_t)MIN(BYTES - at, (size_t)64 << 10) & ~15u;
    const uint32_t claim[4] = {REGION_RECORD_TAG | REGION_RECORD_STACK, size, 16, size / 8 - 2};
    memcpy(bytes + at, claim, sizeof claim);
  }
  struct region_file *file = region_file_of_bytes(bytes, BYTES, "made", NULL);
  assert_non_null(file);
  GError *error = NULL;
  struct region_summary summary;
  assert_false(region_file_summarize(file, &summary, &error));
  assert_non_null(strstr(error->message, "damaged"));
  g_error_free(error);
  region_file_close(file);
  g_free(bytes);
  g_free(maker);
}

/* Files. */

static char *in_directory(const char *name)
{
  return g_strconcat(unit_directory(), "/", name, NULL);
}

static char *write_file(const char *name, const void *bytes, size_t size)
{
  char *path = in_directory(name);
  assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
  return path;
}

static void check_refused(const char *path, uid_t owner, const char *why)
{
  GError *error = NULL;
  struct region_file *file = region_file_open(path, owner, &error);
  assert_null(file);
  if (strstr(error->message, why) == NULL || strstr(error->message, path) == NULL)
    print_error("%s: '%s' is not in it\n", error->message, why);
  assert_non_null(strstr(error->message, why));
  assert_non_null(strstr(error->message, path));
  g_error_free(error);
}

/* That this process has read from files, with all calls. */
static uint64_t bytes_read(void)
{
  g_autofree char *text = NULL;
  assert_true(g_file_get_contents("/proc/self/io", &text, NULL, NULL));
  assert_true(g_str_has_prefix(text, "rchar: "));
  return g_ascii_strtoull(text + strlen("rchar: "), NULL, 10);
}

/* A file of one page may say that it has 512 MiB. */
static void test_holes_are_stepped_over(void **state)
{
  (void)state;
  struct maker maker;
  make(&maker);
  uint64_t size = (uint64_t)512 << 20;
  maker_header(&maker)->log_end = maker_header(&maker)->file_end = size;
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp("hole-XXXXXX", &path, NULL);
  assert_int_equal(write(fd, maker.bytes, maker.end), maker.end);
  assert_int_equal(ftruncate(fd, (off_t)size), 0);
  close(fd);
  uint64_t before = bytes_read();
  struct region_file *file = region_file_open(path, (uid_t)-1, NULL);
  struct heap *heap = region_file_read(file, REGION_NOW, "test", NULL);
  assert_true(bytes_read() - before < (4 << 20));
  assert_int_equal(heap->samples->len, 3);
  heap_free(heap);
  region_file_close(file);
  unlink(path);
}

static void test_what_is_no_file(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  make(maker);
  g_autofree char *good = write_file("good", maker->bytes, maker->end);
  g_autofree char *empty = write_file("empty", "", 0), *brief = write_file("brief", "HEAPPROF", 8);
  g_autofree char *text = write_file("text", memset(g_alloca(8192), 'x', 8192), 8192);
  g_autofree char *link = in_directory("link"), *fifo = in_directory("fifo"), *none = in_directory("none");
  g_autofree char *big = write_file("big", maker->bytes, maker->end);
  assert_int_equal(symlink(good, link), 0);
  assert_int_equal(mkfifo(fifo, 0600), 0);
  assert_int_equal(truncate(big, ((off_t)512 << 20) + 1), 0);
  check_refused(empty, getuid(), "empty");
  check_refused(brief, getuid(), "too short");
  check_refused(text, getuid(), "not a state file");
  check_refused(link, getuid(), "symbolic link");
  check_refused(fifo, getuid(), "no regular file");
  check_refused(unit_directory(), getuid(), "directory");
  check_refused(none, getuid(), "No such file");
  check_refused(big, getuid(), "larger");
  check_refused(good, getuid() + 1, "belongs to user");
  struct region_file *file = region_file_open(good, (uid_t)-1, NULL);
  assert_non_null(file);
  region_file_close(file);
  g_free(maker);
}

static void test_growth_is_seen(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  make(maker);
  g_autofree char *path = write_file("grows", maker->bytes, maker->end);
  struct region_file *file = region_file_open(path, getuid(), NULL);
  struct heap *heap = region_file_read(file, REGION_NOW, "test", NULL);
  assert_int_equal(heap->samples->len, 3);
  heap_free(heap);
  const uint64_t pc = main_pc + 4;
  while (maker->end < REGION_FIRST_SEGMENT_BYTES - 512)
    maker_count(&maker_add_stack(maker, 0, &pc, 1)->allocated, 1, 16);
  int fd = open(path, O_WRONLY);
  assert_int_equal(pwrite(fd, maker->bytes, maker->end, 0), maker->end);
  close(fd);
  heap = region_file_read(file, REGION_NOW, "test", NULL);
  assert_int_equal(heap->samples->len, 4);
  heap_free(heap);
  region_file_close(file);
  g_free(maker);
}

static void test_cut_under_our_hands(void **state)
{
  (void)state;
  g_autofree uint8_t *ones = memset(g_malloc(4096), 1, 4096);
  g_autofree char *path = write_file("cut", ones, 4096);
  struct region_bytes *bytes = region_bytes_open(path, getuid(), NULL);
  uint8_t read[8];
  uint64_t size;
  assert_true(region_bytes_begin(bytes, 4096, &size, NULL));
  assert_int_equal(size, 4096);
  assert_int_equal(truncate(path, 1000), 0);
  region_bytes_read(bytes, 900, read, sizeof read);
  assert_int_equal(read[7], 1);
  assert_true(region_bytes_end(bytes, NULL));
  region_bytes_read(bytes, 996, read, sizeof read);
  assert_int_equal(read[3], 1);
  assert_int_equal(read[4], 0);
  GError *error = NULL;
  assert_false(region_bytes_end(bytes, &error));
  assert_non_null(strstr(error->message, "was cut"));
  g_error_free(error);
  assert_true(region_bytes_begin(bytes, 4096, &size, NULL));
  assert_int_equal(size, 1000);
  assert_true(region_bytes_end(bytes, NULL));
  region_bytes_close(bytes);
}

/* While it is read, the file loses its end again and again. */

static _Atomic bool stops_cutting;

static void *cut_and_grow(void *path)
{
  while (!stops_cutting) {
    require(truncate(path, REGION_FIRST_SEGMENT_BYTES / 8) == 0);
    require(truncate(path, 2 * REGION_FIRST_SEGMENT_BYTES) == 0);
  }
  return NULL;
}

static void test_reading_while_it_is_cut(void **state)
{
  (void)state;
  struct maker *maker = g_new(struct maker, 1);
  make(maker);
  const uint64_t pc = main_pc;
  while (maker->end < REGION_FIRST_SEGMENT_BYTES - 512)
    maker_count(&maker_add_stack(maker, 0, &pc, 1)->allocated, 1, 16);
  g_autofree char *path = write_file("cuts", maker->bytes, maker->end);
  struct region_file *file = region_file_open(path, getuid(), NULL);
  pthread_t cutter;
  stops_cutting = false;
  assert_int_equal(pthread_create(&cutter, NULL, cut_and_grow, path), 0);
  unsigned errors = 0;
  for (unsigned i = 0; errors == 0 || i < 500; i++) {
    GError *error = NULL;
    struct heap *heap = region_file_read(file, REGION_NOW, "test", &error);
    assert_true((heap == NULL) == (error != NULL));
    errors += error != NULL;
    g_clear_error(&error);
    heap_free(heap);
  }
  stops_cutting = true;
  assert_int_equal(pthread_join(cutter, NULL), 0);
  region_file_close(file);
  g_free(maker);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_samples),
      cmocka_unit_test(test_samples_of_rounding),
      cmocka_unit_test(test_reasons),
      cmocka_unit_test(test_mappings),
      cmocka_unit_test(test_comments),
      cmocka_unit_test(test_summary),
      cmocka_unit_test(test_flips),
      cmocka_unit_test(test_truncations),
      cmocka_unit_test(test_damages),
      cmocka_unit_test(test_counts_that_cannot_be),
      cmocka_unit_test(test_work_is_bounded),
      cmocka_unit_test(test_holes_are_stepped_over),
      cmocka_unit_test(test_what_is_no_file),
      cmocka_unit_test(test_growth_is_seen),
      cmocka_unit_test(test_cut_under_our_hands),
      cmocka_unit_test(test_reading_while_it_is_cut),
  };
  return cmocka_run_group_tests_name("region_file", tests, NULL, NULL);
}
