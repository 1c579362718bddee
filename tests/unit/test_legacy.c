/* SPDX-License-Identifier: MIT */
/* Text profiles of others: what their counts, addresses and mapped files become, and what is refused. */
#include "tools/heap/legacy.h"

#include "heaps.h"
#include "tools/heap/legacy_estimate.h"
#include "tools/heap/legacy_maps.h"
#include "tools/heap/load.h"

#include <math.h>
#include <zlib.h>

static struct heap *read_text(const char *text)
{
  g_autoptr(GError) error = NULL;
  struct heap *heap = load_bytes((const uint8_t *)text, strlen(text), "a/file", &error);
  if (heap == NULL)
    fail_msg("%s", error->message);
  return heap;
}

static void assert_refused(const char *text, const char *why)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *expected = g_strconcat("a/file is not a heap profile, or is damaged: ", why, NULL);
  assert_null(load_bytes((const uint8_t *)text, strlen(text), "a/file", &error));
  assert_string_equal(error->message, expected);
}

static void assert_types(const struct heap *heap, const char *expected)
{
  g_autofree char *names = heap_type_names(heap);
  assert_string_equal(names, expected);
}

static void assert_values(const struct heap *heap, uint32_t sample, const int64_t *expected)
{
  assert_true(sample < heap->samples->len);
  for (uint32_t i = 0; i < heap->types->len; i++)
    assert_int_equal(heap_values(heap, sample)[i], expected[i]);
}

static const struct heap_location *frame_of(const struct heap *heap, uint32_t sample, uint32_t frame)
{
  assert_true(sample < heap->samples->len);
  const struct heap_sample *stack = heap_sample(heap, sample);
  assert_true(frame < stack->frame_count);
  return heap_location(heap, heap_frames(heap, stack)[frame]);
}

static const char *name_of(const struct heap *heap, const struct heap_location *location, uint32_t line)
{
  assert_true(line < location->line_count);
  return heap_function(heap, heap_lines(heap, location)[line].function)->name;
}

/* Formats. The numbers are those of google/pprof for the same text. */

static void test_sampled_with_poisson(void **state)
{
  (void)state;
  struct heap *heap = read_text("heap profile:    144:  8498176 [   144:  8498176] @ heapz_v2/524288\n"
                                "     1:     9216 [     1:     9216] @ 0xc635c8 0x42ecc3\n"
                                "     1:      144 [     1:      144] @ 0xc635c8\n"
                                "     7:   114688 [     7:   114688] @ 0x42ecc3\n");
  assert_types(heap, "objects, space");
  assert_int_equal(heap->period, 524288);
  assert_values(heap, 0, (const int64_t[]){57, 528909});
  assert_values(heap, 1, (const int64_t[]){3641, 524360});
  assert_values(heap, 2, (const int64_t[]){227, 3727658});
  assert_int_equal(frame_of(heap, 0, 0)->address, 0xc635c7);
  assert_int_equal(frame_of(heap, 0, 1)->address, 0x42ecc2);
  assert_ptr_equal(frame_of(heap, 0, 0), frame_of(heap, 1, 0));
  assert_non_null(heap->variances);
  heap_free(heap);
}

static void test_rate_that_is_doubled(void **state)
{
  (void)state;
  struct heap *heap = read_text("heap profile: 13: 1595680 [47130736: 2584596557304] @ heap/1048576\r\n"
                                "1: 524288 [3: 1572864] @ 0x420cef 0x422151\r\n"
                                "0: 0 [642: 6574080] @ 0x420cef\r\n");
  assert_types(heap, "alloc_objects, alloc_space, inuse_objects, inuse_space");
  assert_int_equal(heap->period, 524288);
  assert_values(heap, 0, (const int64_t[]){4, 2488234, 1, 829411});
  assert_values(heap, 1, (const int64_t[]){33192, 339890635, 0, 0});
  heap_free(heap);
}

static void test_counts_that_are_exact(void **state)
{
  (void)state;
  static const char *const kinds[] = {"heapprofile", "growth", "growthz", "fragmentationz", "heap_v2/1", "heap/2"};
  for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
    g_autofree char *text = g_strdup_printf("heap profile: 3: 70 [3: 70] @ %s\n3: 70 [3: 70] @ 0x1\n", kinds[i]);
    struct heap *heap = read_text(text);
    assert_values(heap, 0, (const int64_t[]){3, 70});
    assert_non_null(heap->variances);
    assert_true(heap_variance(heap, 0, 0) == 0 && heap_variance(heap, 0, 1) == 0);
    heap_free(heap);
  }
}

static void test_rate_that_is_not_told(void **state)
{
  (void)state;
  struct heap *heap = read_text("heap profile: 3: 70 [3: 70] @ heap_v2\n3: 60 [3: 60] @ 0x1\n");
  assert_values(heap, 0, (const int64_t[]){3, 60});
  assert_null(heap->variances);
  heap_free(heap);
}

static void test_growth_tells_nothing_of_use(void **state)
{
  (void)state;
  struct heap *heap = read_text("heap profile: 3: 70 [5: 90] @ growth\n3: 70 [5: 90] @ 0x1\n");
  assert_types(heap, "objects, space");
  heap_free(heap);
}

static void test_threads_of_jemalloc(void **state)
{
  (void)state;
  struct heap *heap = read_text("heap_v2/524288\n"
                                "  t*: 3: 120 [0: 0]\n  t0: 1: 60 [0: 0]\n  t1: 2: 60 [0: 0] worker\n"
                                "@ 0x10 0x20\n  t*: 2: 100 [0: 0]\n  t0: 1: 60 [0: 0]\n  t1: 1: 40 [0: 0] worker\n"
                                "@ 0x30\n  t*: 1: 9216 [0: 0]\n  t1: 1: 9216 [0: 0]\n");
  assert_types(heap, "objects, space");
  assert_int_equal(heap->samples->len, 2);
  assert_values(heap, 1, (const int64_t[]){57, 528909});
  assert_int_equal(frame_of(heap, 0, 1)->address, 0x1f);
  heap_free(heap);
}

static void test_what_jemalloc_accumulated(void **state)
{
  (void)state;
  struct heap *heap = read_text("heap_v2/1\n  t*: 1: 10 [2: 20]\n@ 0x10\n  t*: 1: 10 [2: 20]\n");
  assert_types(heap, "alloc_objects, alloc_space, inuse_objects, inuse_space");
  assert_values(heap, 0, (const int64_t[]){2, 20, 1, 10});
  heap_free(heap);
}

static void test_names_of_go(void **state)
{
  (void)state;
  struct heap *heap = read_text("heap profile: 2: 200 [2: 200] @ heap/2\n"
                                "1: 100 [1: 100] @ 0x11 0x21 0x31 0x41\n"
                                "#\t0x20\tmain.inner+0x2b\t\t/src/ma in.go:7\n"
                                "#\t0x20\tmain.outer+0x10\t\t/src/main.go:9\n"
                                "#\t0x30\tmain.main+0x10\t/src/main.go:10\n\n"
                                "1: 100 [1: 100] @ 0x21 0x41\n"
                                "#\t0x20\tmain.inner+0x2b\t\t/src/ma in.go:7\n"
                                "#\t0x20\tmain.outer+0x10\t\t/src/main.go:9\n\n"
                                "# runtime.MemStats\n# Alloc = 100\n#\t0x99\n");
  assert_int_equal(heap_sample(heap, 0)->frame_count, 3); /* its runtime's innermost is left out */
  const struct heap_location *leaf = frame_of(heap, 0, 0);
  assert_int_equal(leaf->line_count, 2);
  assert_string_equal(name_of(heap, leaf, 0), "main.inner");
  assert_string_equal(name_of(heap, leaf, 1), "main.outer");
  assert_string_equal(heap_function(heap, heap_lines(heap, leaf)->function)->file, "/src/ma in.go");
  assert_int_equal(heap_lines(heap, leaf)->line, 7);
  assert_string_equal(name_of(heap, frame_of(heap, 0, 2), 0), "runtime.goexit");
  assert_ptr_equal(frame_of(heap, 1, 0), leaf);
  heap_free(heap);
}

static void test_places_of_java(void **state)
{
  (void)state;
  struct heap *heap = read_text("--- heapz 1 ---\nformat = java\nresolution = bytes\n"
                                "          7048     1 @ 0x00000003 0x00000004\n\n 880 1 @ 0x5\n\n"
                                " 0x00000003 a.b.c(d) (A.java:103)\n 0x00000004 libx (/usr/lib/libx.so)\n 0x5 GC\n");
  assert_types(heap, "inuse_objects, inuse_space");
  assert_values(heap, 0, (const int64_t[]){74, 527819});
  assert_values(heap, 1, (const int64_t[]){596, 524728});
  assert_string_equal(name_of(heap, frame_of(heap, 0, 0), 0), "a.b.c(d)");
  assert_int_equal(heap_lines(heap, frame_of(heap, 0, 0))->line, 103);
  assert_string_equal(name_of(heap, frame_of(heap, 0, 1), 0), "libx");
  assert_string_equal(name_of(heap, frame_of(heap, 1, 0), 0), "GC");
  heap_free(heap);
}

static void test_what_is_packed(void **state)
{
  (void)state;
  static const char text[] = "heap_v2/1\n  t*: 1: 10 [0: 0]\n@ 0x10\n  t*: 1: 10 [0: 0]\n";
  uint8_t packed[256];
  z_stream stream = {.next_in = (uint8_t *)(uintptr_t)text,
                     .avail_in = sizeof text - 1,
                     .next_out = packed,
                     .avail_out = sizeof packed};
  assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
  struct heap *heap = load_bytes(packed, stream.total_out, "packed", NULL);
  assert_non_null(heap);
  assert_int_equal(heaps_total(heap, 1), 10);
  heap_free(heap);
  deflateEnd(&stream);
}

/* Mapped files. */

static void assert_mapping(const struct heap *heap, uint32_t index, struct heap_mapping expected)
{
  assert_true(index < heap->mappings->len);
  const struct heap_mapping *mapping = heap_mapping(heap, index);
  assert_int_equal(mapping->start, expected.start);
  assert_int_equal(mapping->limit, expected.limit);
  assert_int_equal(mapping->file_offset, expected.file_offset);
  assert_string_equal(mapping->path, expected.path);
  assert_string_equal(mapping->build_id, expected.build_id != NULL ? expected.build_id : "");
}

static struct heap *read_maps(const char *lines)
{
  g_autofree char *text = g_strconcat("heap profile: 1: 1 [1: 1] @ growth\n1: 1 [1: 1] @ 0x400101\n", lines, NULL);
  return read_text(text);
}

static void test_lines_of_proc_maps(void **state)
{
  (void)state;
  struct heap *heap = read_maps("\nMAPPED_LIBRARIES:\n"
                                "00300000-00301000 r-xp 00000000 fe:00 11  /lib/libx.so.1\n"
                                "00400000-00410000 r-xp 00001000 fe:00 12      /opt/my app\n"
                                "00410000-00420000 r-xp 00011000 fe:00 12      /opt/my app (deleted)\n"
                                "00420000-00430000 rw-p 00021000 fe:00 12      /opt/my app\n"
                                "00430000-00440000 rwxp 00000000 00:00 0 \n"
                                "7ffc0000-7ffc2000 r-xp 00000000 00:00 0    [vdso]\n");
  assert_int_equal(heap->mappings->len, 4);
  assert_mapping(heap, 0, (struct heap_mapping){0x400000, 0x420000, 0x1000, .path = "/opt/my app"});
  assert_mapping(heap, 1, (struct heap_mapping){0x300000, 0x301000, 0, .path = "/lib/libx.so.1"});
  assert_mapping(heap, 2, (struct heap_mapping){0x430000, 0x440000, 0, .path = "//anon"});
  assert_mapping(heap, 3, (struct heap_mapping){0x7ffc0000, 0x7ffc2000, 0, .path = "[vdso]"});
  assert_int_equal(frame_of(heap, 0, 0)->mapping, 0);
  heap_free(heap);
}

static void test_short_lines_of_maps(void **state)
{
  (void)state;
  struct heap *heap = read_maps("--- Memory map: ---\n\tsource=/srv\n a line of no kind\n"
                                "  00400000-00fcb000: $source/app\n"
                                "  7f47a4351000-7f47a4352000: /lib/liba.so (@ff00)   0123abcdef\n"
                                "0xff6810563000 0xff6810565000 r-xp libb.so 87C4D547F895CFD6\n"
                                "  7f47a4356000-7f47a4352000: /upside/down\n");
  assert_int_equal(heap->mappings->len, 3);
  assert_mapping(heap, 0, (struct heap_mapping){0x400000, 0xfcb000, 0, .path = "/srv/app"});
  assert_mapping(
      heap, 1,
      (struct heap_mapping){0x7f47a4351000, 0x7f47a4352000, 0xff00, .path = "/lib/liba.so", .build_id = "0123abcdef"});
  assert_mapping(
      heap, 2,
      (struct heap_mapping){0xff6810563000, 0xff6810565000, 0, .path = "libb.so", .build_id = "87c4d547f895cfd6"});
  heap_free(heap);
}

static void test_addresses_find_their_mappings(void **state)
{
  (void)state;
  struct heap *heap = read_maps("MAPPED_LIBRARIES:\n00300000-00301000 r-xp 00000000 fe:00 11  /lib/libx.so.1\n"
                                "00400000-00410000 r-xp 00001000 fe:00 12  /bin/app\n"
                                "00500000-00501000 r-xp 00001000 fe:00 12  /lib/liby.so\n");
  static const struct {
    uint64_t address;
    uint32_t mapping;
  } expected[] = {{0, HEAP_NONE},        {0x2fffff, HEAP_NONE}, {0x300000, 1},          {0x300fff, 1},
                  {0x301000, HEAP_NONE}, {0x400000, 0},         {0x40ffff, 0},          {0x410000, HEAP_NONE},
                  {0x500fff, 2},         {0x501000, HEAP_NONE}, {UINT64_MAX, HEAP_NONE}};
  for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
    assert_int_equal(legacy_maps_find(heap, expected[i].address), expected[i].mapping);
  heap_free(heap);
}

/* A short line may name a long text many times. */
static void test_variables_do_not_explode(void **state)
{
  (void)state;
  g_autoptr(GString) lines = g_string_new("MAPPED_LIBRARIES:\na=");
  for (int i = 0; i < 100000; i++)
    g_string_append_c(lines, 'x');
  g_string_append(lines, "\n400000-410000: /");
  for (int i = 0; i < 1000; i++)
    g_string_append(lines, "$a");
  struct heap *heap = read_maps(lines->str);
  assert_int_equal(heap->mappings->len, 1);
  assert_true(strlen(heap_mapping(heap, 0)->path) < 5000);
  heap_free(heap);
}

static void test_frames_of_the_allocator_go(void **state)
{
  (void)state;
  struct heap *heap = read_text("heap_v2/1\n  t*: 2: 20 [0: 0]\n"
                                "@ 0x7f0011 0x7f0021 0x400101\n  t*: 1: 10 [0: 0]\n@ 0x7f0011\n  t*: 1: 10 [0: 0]\n"
                                "MAPPED_LIBRARIES:\n00400000-00410000 r-xp 00000000 fe:00 12 /bin/app\n"
                                "007f0000-00800000 r-xp 00000000 fe:00 12 /usr/lib/libjemalloc.so.2\n");
  assert_int_equal(heap_sample(heap, 0)->frame_count, 1);
  assert_int_equal(frame_of(heap, 0, 0)->address, 0x400100);
  assert_int_equal(heap_sample(heap, 1)->frame_count, 1); /* one stays */
  heap_free(heap);
}

/* What is refused. */

static void test_what_is_wrong_is_told(void **state)
{
  (void)state;
  static const char *const texts[][2] = {
      {"heap profile: 1: 2",
       "line 1: \"heap profile: 1: 2\" is not heap profile: COUNT: BYTES [COUNT: BYTES] @ KIND/RATE"},
      {"heap profile: 1: 2 [1: 2] @ heapest/9\n", "line 1: \" heapest/9\" is not heap_v2/RATE, heap/RATE, heapprofile "
                                                  "or growth, the kinds of profile that are known"},
      {"heap profile: 1: 2 [1: 2] @ heap_v2/-9\n", "line 1: \" heap_v2/-9\" is not heap_v2/RATE, heap/RATE, "
                                                   "heapprofile or growth, the kinds of profile that are known"},
      {"heap profile: 1: 2 [1: 2] @ growth\n\n1: 2 [1: 2] 0x1\n",
       "line 3: \"1: 2 [1: 2] 0x1\" is not COUNT: BYTES [COUNT: BYTES] @ ADDRESS..."},
      {"heap profile: 1: 2 [1: 2] @ growth\n1: 2 [1: 2] @ 0x11112222333344445\n",
       "line 2: \"1: 2 [1: 2] @ 0x11112222333344445\" is not COUNT: BYTES [COUNT: BYTES] @ ADDRESS..."},
      {"heap profile: 1: 2 [1: 2] @ growth\n1: 9223372036854775808 [1: 2] @ 0x1\n",
       "line 2: \"1: 9223372036854775808 [1: 2] @ 0x1\" is not COUNT: BYTES [COUNT: BYTES] @ ADDRESS..."},
      {"heap profile: 1: 2 [1: 2] @ growth\n0: 2 [1: 2] @ 0x1\n", "line 2: no objects, but 2 bytes of them"},
      {"heap profile: 1: 2 [3: 4] @ heapprofile\n1: 2 [0: 7] @ 0x1\n", "line 2: no objects, but 7 bytes of them"},
      {"heap_v2/x\n", "line 1: \"heap_v2/x\" is not heap_v2/RATE"},
      {"heap_v2/1", "it ends behind its first line"},
      {"heap_v2/1\n t*: 1: 2 [0: 0]\n@ 0x1\n@ 0x2\n", "line 4: the stack before has no counts"},
      {"heap_v2/1\n t*: 1: 2 [0: 0]\n@ 0x1\n", "line 3: the last stack has no counts"},
      {"heap_v2/1\n t*: 1: 2 [0: 0]\n@ 0x1\n t*: 1: 2\n",
       "line 4: \"t*: 1: 2\" is not t*: COUNT: BYTES [COUNT: BYTES]"},
      {"heap_v2/1\n t*: 1: 2 [0: 0]\nx\x01\xff"
       "0123456789012345678901234567890123456789012345678901234567890123456789\n",
       "line 3: \"x\\001\\377012345678901234567890123456789012345678901234567890123456...\" is not "
       "t*: COUNT: BYTES [COUNT: BYTES]"},
      {"--- heapz 1 ---\nformat = cxx\n", "line 2: \"format = cxx\" is not format = java"},
      {"--- heapz 1 ---\n12 0 @ 0x1\n", "line 2: \"12 0 @ 0x1\" is not BYTES COUNT @ PLACE..."},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
    assert_refused(texts[i][0], texts[i][1]);
}

static void test_huge_counts_are_clamped(void **state)
{
  (void)state;
  struct heap *heap = read_text("heap profile: 1: 2 [1: 2] @ heap_v2/9223372036854775807\n"
                                "9223372036854775807: 9223372036854775807 [0: 0] @ 0x1\n"
                                "9223372036854775807: 1 [0: 0] @ 0x0\n-1: 5 [0: 0] @ 0xffffffffffffffff\n");
  assert_int_equal(heap_values(heap, 0)[0], INT64_MAX);
  assert_int_equal(heap_values(heap, 1)[1], INT64_MAX);
  assert_int_equal(frame_of(heap, 1, 0)->address, 0);
  for (uint32_t i = 0; i < 3 && heap->variances != NULL; i++)
    assert_true(isfinite(heap_variance(heap, i, 0)) && isfinite(heap_variance(heap, i, 1)));
  heap_free(heap);
}

/* Certainty. */

static double probability(double size, double interval)
{
  return -expm1(-size / interval);
}

/* Samples of sizes, as jemalloc adds up what they stand for, and what the variances of that are. */
struct mix {
  double objects, bytes, variance_objects, variance_bytes;
};

static void mix_add(struct mix *mix, double samples, double size, double interval)
{
  double p = probability(size, interval);
  mix->objects += samples * round(8 / p) / 8; /* as jemalloc rounds them */
  mix->bytes += samples * round(size / p);
  mix->variance_objects += samples * (1 - p) / (p * p);
  mix->variance_bytes += samples * (1 - p) / (p * p) * size * size;
}

/* What it prints, so that scaling by the mean size gives the same again. */
static struct legacy_estimate printed_and_read(const struct mix *mix, int64_t interval)
{
  double p = probability(mix->bytes / mix->objects, (double)interval);
  const struct legacy_sampling sampling = {interval, true};
  return legacy_estimate((int64_t)round(mix->objects * p), (int64_t)round(mix->bytes * p), &sampling);
}

static void test_one_size_has_its_variance(void **state)
{
  (void)state;
  static const int64_t sizes[] = {8, 16, 48, 112, 128, 160, 1024, 7168, 65536, 524288, 8 << 20};
  const int64_t interval = 524288;
  for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
    for (int samples = 1; samples < 1000; samples *= 7) {
      struct mix mix = {0};
      mix_add(&mix, samples, (double)sizes[i], (double)interval);
      struct legacy_estimate estimate = printed_and_read(&mix, interval);
      assert_true(estimate.is_certainty_known);
      assert_true(fabs(estimate.variance_objects - mix.variance_objects) <= mix.variance_objects * 0.03 + 1e-9);
      assert_true(fabs(estimate.variance_bytes - mix.variance_bytes) <= mix.variance_bytes * 0.03 + 1e-9);
    }
}

static void test_mixed_sizes_have_a_bound(void **state)
{
  (void)state;
  static const int64_t sizes[] = {8, 32, 112, 1280, 14336, 98304, 524288, 1572864, 14 << 20};
  const int64_t interval = 524288;
  for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
    for (size_t j = 0; j < i; j++)
      for (int samples = 20; samples < 2000; samples *= 3) {
        struct mix mix = {0};
        mix_add(&mix, samples, (double)sizes[i], (double)interval);
        mix_add(&mix, 400, (double)sizes[j], (double)interval);
        struct legacy_estimate estimate = printed_and_read(&mix, interval);
        assert_true(estimate.is_certainty_known);
        assert_true(estimate.variance_objects >= mix.variance_objects * 0.98);
        assert_true(estimate.variance_bytes >= mix.variance_bytes * 0.98);
        assert_true(estimate.variance_bytes <= (double)interval * mix.bytes * 1.01);
      }
}

/* gperftools scales by the mean size, which is not the truth for mixed ones, however often it is sampled. */
static void test_mixed_sizes_are_uncertain_elsewhere(void **state)
{
  (void)state;
  struct heap *mixed = read_text("heap profile: 2: 5 [2: 5] @ heap_v2/512\n1: 3 [1: 3] @ 0x1\n2: 5 [2: 5] @ 0x1\n"),
              *plain = read_text("heap profile: 2: 5 [2: 5] @ heap_v2/512\n1: 3 [1: 3] @ 0x1\n2: 6 [2: 6] @ 0x1\n");
  assert_null(mixed->variances);
  assert_non_null(plain->variances);
  double p = probability(3, 512);
  assert_true(fabs(heap_variance(plain, 1, 1) - 2 * (1 - p) / (p * p) * 9) < 1);
  heap_free(mixed);
  heap_free(plain);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sampled_with_poisson),
      cmocka_unit_test(test_rate_that_is_doubled),
      cmocka_unit_test(test_counts_that_are_exact),
      cmocka_unit_test(test_rate_that_is_not_told),
      cmocka_unit_test(test_growth_tells_nothing_of_use),
      cmocka_unit_test(test_threads_of_jemalloc),
      cmocka_unit_test(test_what_jemalloc_accumulated),
      cmocka_unit_test(test_names_of_go),
      cmocka_unit_test(test_places_of_java),
      cmocka_unit_test(test_what_is_packed),
      cmocka_unit_test(test_lines_of_proc_maps),
      cmocka_unit_test(test_short_lines_of_maps),
      cmocka_unit_test(test_addresses_find_their_mappings),
      cmocka_unit_test(test_variables_do_not_explode),
      cmocka_unit_test(test_frames_of_the_allocator_go),
      cmocka_unit_test(test_what_is_wrong_is_told),
      cmocka_unit_test(test_huge_counts_are_clamped),
      cmocka_unit_test(test_one_size_has_its_variance),
      cmocka_unit_test(test_mixed_sizes_have_a_bound),
      cmocka_unit_test(test_mixed_sizes_are_uncertain_elsewhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
