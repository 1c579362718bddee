/* SPDX-License-Identifier: MIT */
/* What mappings count as, and that nothing counts twice or is forgotten. */
#include "tools/resident/account.h"

#include "unit.h"

#include <string.h>

enum { PAGE = 4096 };

/* Every page is resident. */
static uint64_t all_of(const void *of, uint64_t start, uint64_t limit)
{
  (void)of;
  return limit - start;
}

struct world {
  const char *text;
  uint64_t seen[2];
  uint64_t top;
  const char *allocator;
  struct account_range ranges[3];
};

static struct account_sums sums_of(struct world world)
{
  g_autoptr(GArray) mappings = smaps_parse(world.text, strlen(world.text)),
                    tops = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
                    ranges = g_array_new(FALSE, FALSE, sizeof(struct account_range));
  g_array_append_val(tops, world.top);
  for (size_t i = 0; i < G_N_ELEMENTS(world.ranges); i++)
    if (world.ranges[i].limit > 0)
      g_array_append_val(ranges, world.ranges[i]);
  struct account_clues clues = {.seen = world.seen,
                                .seen_count = G_N_ELEMENTS(world.seen),
                                .allocator = world.allocator != NULL ? world.allocator : "/lib/other.so",
                                .thread_tops = tops,
                                .ranges = ranges,
                                .resident = all_of};
  struct account_sums sums;
  account(mappings, &clues, &sums, NULL);
  uint64_t sum = 0, kernel = 0;
  for (int part = 0; part < ACCOUNT_PARTS; part++)
    sum += sums.bytes[part];
  for (guint i = 0; i < mappings->len; i++)
    kernel += g_array_index(mappings, struct smaps_mapping, i).resident_bytes;
  assert_int_equal(sum, sums.total_bytes);
  assert_int_equal(kernel, sums.total_bytes);
  return sums;
}

static void check(enum account_part part, const char *line)
{
  g_autofree char *text = g_strdup_printf("%s\nRss: 4 kB\n", line);
  struct account_sums sums = sums_of((struct world){.text = text});
  if (sums.bytes[part] != PAGE)
    fail_msg("%s", line);
}

static void test_names(void **state)
{
  (void)state;
  check(ACCOUNT_FILES, "1000-2000 r-xp 0 8:1 5 /usr/bin/app");
  check(ACCOUNT_FILES, "1000-2000 r--s 0 8:1 5 /var/lib/table");
  check(ACCOUNT_FILES, "1000-2000 r-xp 0 0:0 0 [vdso]");
  check(ACCOUNT_STACKS, "1000-2000 rw-p 0 0:0 0 [stack]");
  check(ACCOUNT_ALLOCATOR, "1000-2000 rw-p 0 0:0 0 [heap]");
  check(ACCOUNT_DIRECT, "1000-2000 rw-p 0 0:0 0");
  check(ACCOUNT_DIRECT, "1000-2000 rwxp 0 0:0 0 [anon:jit]");
  check(ACCOUNT_SHARED, "1000-2000 rw-s 0 0:1 5 /memfd:x (deleted)");
  check(ACCOUNT_SHARED, "1000-2000 rw-s 0 0:1 5 /dev/shm/x");
  check(ACCOUNT_SHARED, "1000-2000 rw-s 0 0:1 5 /SYSV00000000 (deleted)");
  check(ACCOUNT_SHARED, "1000-2000 rw-s 0 0:1 5 /dev/zero (deleted)");
  check(ACCOUNT_OWN, "1000-2000 r-xp 0 8:1 5 /usr/lib/libheapprof.so");
  check(ACCOUNT_OWN, "1000-2000 rw-s 0 0:1 5 /dev/shm/heapprof-0/12.heapprof");
  check(ACCOUNT_OWN, "1000-2000 rw-s 0 8:1 5 /tmp/12.heapprof (deleted)");
}

static void test_seen(void **state)
{
  (void)state;
  static const char text[] = "1000-3000 rw-p 0 0:0 0\nRss: 8 kB\n5000-6000 rw-p 0 0:0 0\nRss: 4 kB\n";
  struct account_sums sums = sums_of((struct world){.text = text, .seen = {0x2fff, 0x6000}});
  assert_int_equal(sums.bytes[ACCOUNT_ALLOCATOR], 2 * PAGE);
  assert_int_equal(sums.bytes[ACCOUNT_DIRECT], PAGE);
}

static void test_arena(void **state)
{
  (void)state;
  static const char text[] =
      "7f0004000000-7f0004002000 rw-p 0 0:0 0\nRss: 8 kB\n7f0004002000-7f0008000000 ---p 0 0:0 0\n"
      "7f0014001000-7f0014002000 rw-p 0 0:0 0\nRss: 4 kB\n";
  assert_int_equal(sums_of((struct world){.text = text, .allocator = "/lib/libc.so.6"}).bytes[ACCOUNT_ALLOCATOR],
                   2 * PAGE);
  assert_int_equal(sums_of((struct world){.text = text}).bytes[ACCOUNT_ALLOCATOR], 0);
}

static void test_bss(void **state)
{
  (void)state;
  static const char text[] =
      "1000-2000 rw-p 0 8:1 5 /usr/lib/a.so\nRss: 4 kB\n2000-3000 rw-p 0 0:0 0\nRss: 4 kB\n"
      "3000-4000 r--p 0 8:1 5 /usr/lib/b.so\nRss: 4 kB\n4000-5000 rw-p 0 0:0 0\nRss: 4 kB\n"
      "6000-7000 rw-p 0 8:1 5 /usr/lib/libheapprof.so\nRss: 4 kB\n7000-8000 rw-p 0 0:0 0\nRss: 4 kB\n";
  struct account_sums sums = sums_of((struct world){.text = text});
  assert_int_equal(sums.bytes[ACCOUNT_FILES], 3 * PAGE);
  assert_int_equal(sums.bytes[ACCOUNT_DIRECT], PAGE);
  assert_int_equal(sums.bytes[ACCOUNT_OWN], 2 * PAGE);
  sums = sums_of((struct world){.text = text, .allocator = "/usr/lib/a.so"});
  assert_int_equal(sums.bytes[ACCOUNT_FILES], 2 * PAGE);
  assert_int_equal(sums.bytes[ACCOUNT_ALLOCATOR], PAGE);
}

/* The kernel has made one mapping of a stack and what lies above it. */
static void test_stack(void **state)
{
  (void)state;
  static const char text[] = "1000-2000 ---p 0 0:0 0\n2000-6000 rw-p 0 0:0 0\nRss: 16 kB\n";
  struct account_sums sums = sums_of((struct world){.text = text, .top = 0x4ff0});
  assert_int_equal(sums.bytes[ACCOUNT_STACKS], 3 * PAGE);
  assert_int_equal(sums.bytes[ACCOUNT_DIRECT], PAGE);
  sums = sums_of((struct world){.text = text, .top = 0x4ff0, .seen = {0x5000, 0}});
  assert_int_equal(sums.bytes[ACCOUNT_STACKS], 3 * PAGE);
  assert_int_equal(sums.bytes[ACCOUNT_ALLOCATOR], PAGE);
  sums = sums_of((struct world){.text = text, .top = 0x6000});
  assert_int_equal(sums.bytes[ACCOUNT_STACKS], 0);
}

/* Without a guard in front, memory from the allocator is the allocator's. */
static void test_stack_from_malloc(void **state)
{
  (void)state;
  static const char text[] = "2000-6000 rw-p 0 0:0 0\nRss: 16 kB\n";
  struct account_sums sums = sums_of((struct world){.text = text, .top = 0x4ff0, .seen = {0x5000, 0}});
  assert_int_equal(sums.bytes[ACCOUNT_ALLOCATOR], 4 * PAGE);
}

static void test_ranges(void **state)
{
  (void)state;
  static const char text[] = "2000-6000 rw-p 0 0:0 0\nRss: 12 kB\n8000-9000 rw-p 0 8:1 5 /a/file\nRss: 4 kB\n";
  struct world world = {.text = text,
                        .seen = {0x5000, 0},
                        .ranges = {{0x1000, 0x3000, ACCOUNT_OWN, 0, 0}, {0x5000, 0x9000, ACCOUNT_OWN, 0, 0}}};
  struct account_sums sums = sums_of(world);
  assert_int_equal(sums.bytes[ACCOUNT_OWN], 2 * PAGE);
  assert_int_equal(sums.bytes[ACCOUNT_ALLOCATOR], PAGE);
  assert_int_equal(sums.bytes[ACCOUNT_FILES], PAGE);
  /* Ranges that overlap, and claim more than is resident. */
  world.ranges[0] = (struct account_range){0x2000, 0x5000, ACCOUNT_OWN, 0, 0};
  world.ranges[1] = (struct account_range){0x2000, 0x6000, ACCOUNT_SHARED, 0, 0};
  world.ranges[2] = (struct account_range){0, UINT64_MAX, ACCOUNT_STACKS, 0, 0};
  sums = sums_of(world);
  assert_int_equal(sums.bytes[ACCOUNT_OWN], 3 * PAGE);
  assert_int_equal(sums.bytes[ACCOUNT_SHARED] + sums.bytes[ACCOUNT_STACKS] + sums.bytes[ACCOUNT_ALLOCATOR], 0);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),  cmocka_unit_test(test_seen),  cmocka_unit_test(test_arena),
      cmocka_unit_test(test_bss),    cmocka_unit_test(test_stack), cmocka_unit_test(test_stack_from_malloc),
      cmocka_unit_test(test_ranges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
