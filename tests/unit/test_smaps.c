/* SPDX-License-Identifier: MIT */
/* The text of /proc/PID/smaps, as kernels write it, and as none does. */
#include "tools/resident/smaps.h"

#include "unit.h"

#include <string.h>

static GArray *parse(const char *text)
{
  return smaps_parse(text, strlen(text));
}

static const struct smaps_mapping *at(const GArray *mappings, guint index)
{
  assert_true(index < mappings->len);
  return &g_array_index(mappings, struct smaps_mapping, index);
}

static void test_mappings(void **state)
{
  (void)state;
  g_autoptr(GArray) mappings =
      parse("55d0c0000000-55d0c0003000 r-xp 00001000 fe:01 1234                       /usr/bin/a b\n"
            "Size:                 12 kB\n"
            "Rss:                   8 kB\n"
            "Pss:                   4 kB\n"
            "Swap:                  4 kB\n"
            "SwapPss:               0 kB\n"
            "VmFlags: rd ex mr mw me \n"
            "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
            "Rss:                   4 kB\n");
  assert_int_equal(mappings->len, 2);
  const struct smaps_mapping *first = at(mappings, 0), *second = at(mappings, 1);
  assert_int_equal(first->start, 0x55d0c0000000);
  assert_int_equal(first->limit, 0x55d0c0003000);
  assert_string_equal(first->permissions, "r-xp");
  assert_int_equal(first->inode, 1234);
  assert_string_equal(first->path, "/usr/bin/a b");
  assert_int_equal(first->resident_bytes, 8192);
  assert_int_equal(first->swapped_bytes, 4096);
  assert_string_equal(second->path, "");
  assert_int_equal(second->resident_bytes, 4096);
  assert_int_equal(second->swapped_bytes, 0);
}

/* A mapping that is left out takes its values along. */
static void test_out_of_order(void **state)
{
  (void)state;
  g_autoptr(GArray) mappings = parse("2000-3000 rw-p 0 0:0 0\nRss: 4 kB\n"
                                     "2800-4000 rw-p 0 0:0 0\nRss: 1 kB\n"
                                     "5000-5000 rw-p 0 0:0 0\nRss: 2 kB\n"
                                     "6000-7000 rw 0 0:0 0\nRss: 3 kB\n"
                                     "nonsense\nRss: 3 kB\n"
                                     "8000-9000 ---p 0 0:0 0\nRss: 0 kB\n");
  assert_int_equal(mappings->len, 2);
  assert_int_equal(at(mappings, 0)->resident_bytes, 4096);
  assert_int_equal(at(mappings, 1)->start, 0x8000);
}

static void test_more_than_there_is(void **state)
{
  (void)state;
  g_autoptr(GArray) mappings =
      parse("1000-2000 rw-p 0 0:0 0\nRss: 18446744073709551615 kB\nSwap: 99999999999999999999 kB\n");
  assert_int_equal(at(mappings, 0)->resident_bytes, 4096);
  assert_int_equal(at(mappings, 0)->swapped_bytes, 4096);
}

static void test_cut_anywhere(void **state)
{
  (void)state;
  static const char text[] = "1000-2000 rw-p 00000000 00:00 0                 [heap]\nRss:                   4 kB\n";
  for (size_t size = 0; size < sizeof text; size++) {
    g_autofree char *exact = g_memdup2(text, size); /* a sanitizer sees what lies beyond */
    g_autoptr(GArray) mappings = smaps_parse(exact != NULL ? exact : "", size);
    assert_true(mappings->len <= 1);
  }
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mappings),
      cmocka_unit_test(test_out_of_order),
      cmocka_unit_test(test_more_than_there_is),
      cmocka_unit_test(test_cut_anywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
