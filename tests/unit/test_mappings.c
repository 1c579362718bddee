/* SPDX-License-Identifier: MIT */
/* The table of what a program maps itself: what is left of ranges, by whom, in the sums of stacks and in the state file. */
#include "core/mappings/mapping_table.h"

#include "core/stacks.h"
#include "core/tally.h"
#include "unit.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { PAGE = 4096, THREADS = 4 };

static uint32_t stack_of(uintptr_t caller)
{
  const uintptr_t pcs[] = {0x400000 + caller, 0x401000};
  return stacks_intern(pcs, 2, STACK_MAPPED);
}

static void add(uint64_t first, uint64_t pages, uint32_t stack)
{
  require(mapping_table_add((struct page_range){first, first + pages}, stack));
}

static void cut(uint64_t first, uint64_t pages)
{
  mapping_table_remove((struct page_range){first, first + pages}, UINT64_MAX);
}

/* In all, and now. */
static void require_sums(uint32_t stack, uint64_t objects, uint64_t pages, uint64_t objects_left, uint64_t pages_left)
{
  struct stack_sums sums = stacks_read((const struct stack_record *)region_at(stack));
  require(sums.allocated.objects_q16 == objects << 16 && sums.allocated.bytes_q4 == pages * PAGE << 4);
  require(sums.in_use.objects_q16 == objects_left << 16 && sums.in_use.bytes_q4 == pages_left * PAGE << 4);
}

/* Whose a page is in the file, and in how many ranges. */
static unsigned owners_in_file(uint64_t page, uint64_t *stack)
{
  struct ranges_record *block;
  unsigned count = 0;
  uint64_t position = 0;
  while ((block = (struct ranges_record *)region_next(&position, REGION_RECORD_RANGES)) != NULL)
    for (unsigned i = 0; i < RANGES_IN_RECORD; i++) {
      uint64_t word = block->ranges[i].range;
      if (page - range_first(word) >= range_pages(word))
        continue;
      require((word & RANGE_IS_BUSY) == 0);
      *stack = block->ranges[i].stack;
      count++;
    }
  return count;
}

static void require_owner(uint64_t page, uint32_t stack)
{
  uint64_t shown = 0;
  require(mapping_table_stack(page) == stack);
  require(owners_in_file(page, &shown) == (stack != 0) && shown == stack);
}

CHILD_TEST(parts_leave_the_rest)
{
  unit_region();
  uint32_t stack = stack_of(1);
  add(1000, 100, stack);
  require_sums(stack, 1, 100, 1, 100);
  cut(1040, 10); /* a hole */
  require_sums(stack, 2, 100, 2, 90);
  cut(990, 20);  /* the beginning */
  cut(1090, 30); /* the end */
  require_sums(stack, 2, 100, 2, 70);
  require_owner(1009, 0);
  require_owner(1010, stack);
  require_owner(1039, stack);
  require_owner(1040, 0);
  require_owner(1050, stack);
  require_owner(1090, 0);
  cut(1030, 30); /* of both pieces */
  require_sums(stack, 2, 100, 2, 50);
  cut(0, 2000);
  require_sums(stack, 2, 100, 0, 0);
  require_owner(1035, 0);
}

CHILD_TEST(stacks_are_told_apart)
{
  unit_region();
  uint32_t one = stack_of(1), other = stack_of(2);
  add(500, 10, one);
  add(510, 10, other);
  cut(505, 10);
  require_sums(one, 1, 10, 1, 5);
  require_sums(other, 1, 10, 1, 5);
  require_owner(504, one);
  require_owner(515, other);
}

/* What another thread was given at the same place meanwhile is not what was unmapped. */
CHILD_TEST(addresses_that_were_given_out_again_stay)
{
  unit_region();
  uint32_t before = stack_of(1), after = stack_of(2);
  add(700, 10, before);
  uint64_t event = mapping_table_event();
  cut(702, 4);
  add(702, 4, after);
  mapping_table_remove((struct page_range){700, 710}, event);
  require_sums(before, 2, 10, 0, 0);
  require_sums(after, 1, 4, 1, 4);
  require_owner(703, after);
  mapping_table_remove((struct page_range){700, 710}, mapping_table_event());
  require_sums(after, 1, 4, 0, 0);
}

CHILD_TEST(large_ranges_are_several)
{
  unit_region();
  uint32_t stack = stack_of(1);
  uint64_t pages = 2ull * RANGE_PAGES_MAX + 5, first = 1ull << 32;
  add(first, pages, stack);
  require_sums(stack, 3, pages, 3, pages);
  require_owner(first + pages - 1, stack);
  cut(first + 1, pages - 2);
  require_sums(stack, 3, pages, 2, 2);
  require_owner(first + RANGE_PAGES_MAX, 0);
}

CHILD_TEST(full_table_counts_what_it_loses)
{
  unit_region();
  uint32_t stack = stack_of(1);
  for (unsigned i = 0; i < MAPPING_SLOTS; i++)
    add(10 * i, 5, stack);
  require(mapping_table_used() == MAPPING_SLOTS);
  require(!mapping_table_add((struct page_range){1 << 20, (1 << 20) + 1}, stack));
  require_sums(stack, MAPPING_SLOTS, 5 * MAPPING_SLOTS, MAPPING_SLOTS, 5 * MAPPING_SLOTS);
  uint64_t lost = region_header()->lost[LOSS_mapping];
  cut(10002, 1); /* no room for what is behind the hole: that is lost */
  require(region_header()->lost[LOSS_mapping] == lost + 1);
  require_sums(stack, MAPPING_SLOTS, 5 * MAPPING_SLOTS, MAPPING_SLOTS, 5 * MAPPING_SLOTS - 3);
  require_owner(10004, 0);
  cut(0, 10 * MAPPING_SLOTS);
  require_sums(stack, MAPPING_SLOTS, 5 * MAPPING_SLOTS, 0, 0);
  add(1 << 20, 1, stack); /* there is room again, ... */
  require(mapping_table_used() == MAPPING_SLOTS);
  require_owner(1 << 20, stack); /* ... and each is found, wherever it lies */
}

CHILD_TEST(heap_knows_nothing_of_it)
{
  unit_region();
  uint64_t position = 0;
  const struct stack_record *record;
  const uintptr_t pcs[] = {0x400001, 0x401000};
  uint32_t mapped = stack_of(1), heap = stacks_intern(pcs, 2, 0);
  add(100, 1, mapped);
  require(mapped != 0 && heap != 0 && mapped != heap && region_header()->stacks == 1);
  while ((record = stacks_next(&position)) != NULL)
    require((record->flags & STACK_MAPPED) == 0 &&
            tally_read(&record->allocated, &record->freed).allocated.samples == 0);
  position = 0;
  require(stacks_next_mapped(&position) == (struct stack_record *)region_at(mapped));
  require(stacks_next_mapped(&position) == NULL);
}

enum { SHARED_PAGES = 2000 };

static void *cut_every_fourth(void *number)
{
  for (uint64_t page = (uintptr_t)number; page < SHARED_PAGES; page += THREADS)
    if (page % 5 != 0)
      cut(10000 + page, 1);
  return NULL;
}

CHILD_TEST(threads_cut_one_range)
{
  unit_region();
  pthread_t threads[THREADS];
  uint32_t stack = stack_of(1);
  add(10000, SHARED_PAGES, stack);
  for (uintptr_t i = 0; i < THREADS; i++)
    require(pthread_create(&threads[i], NULL, cut_every_fourth, (void *)i) == 0);
  for (unsigned i = 0; i < THREADS; i++)
    require(pthread_join(threads[i], NULL) == 0);
  /* Who waits in vain for a thread that is not running leaves the page, and says so. */
  uint64_t lost = region_header()->lost[LOSS_mapping], stayed = 0;
  for (uint64_t page = 0; page < SHARED_PAGES; page++)
    if (page % 5 == 0)
      require_owner(10000 + page, stack);
    else
      stayed += mapping_table_stack(10000 + page) == stack;
  require(stayed <= lost);
  struct stack_sums sums = stacks_read((const struct stack_record *)region_at(stack));
  require(sums.in_use.bytes_q4 == (SHARED_PAGES / 5 + stayed) * PAGE << 4);
}

/* Whose first write to the file faults, in between. */
static char *page_of_block;

static void cut_in_handler(int number)
{
  (void)number;
  require(mprotect(page_of_block, PAGE, PROT_READ | PROT_WRITE) == 0);
  cut(1002, 5);
}

static void die_of_yielding(void)
{
  struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_yield, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

CHILD_TEST(handler_does_not_wait_for_whom_it_interrupted)
{
  if (UNIT_IS_THREAD_SANITIZED) /* the fault would be in its own code, with its own locks held */
    return;
  unit_region();
  uint32_t stack = stack_of(1);
  uint64_t position = 0;
  add(1000, 10, stack);
  struct ranges_record *block = (struct ranges_record *)region_next(&position, REGION_RECORD_RANGES);
  page_of_block = (char *)((uintptr_t)block->ranges & -(uintptr_t)PAGE);
  require(signal(SIGSEGV, cut_in_handler) != SIG_ERR);
  die_of_yielding();
  require(mprotect(page_of_block, PAGE, PROT_READ) == 0);
  cut(1000, 4);
  require(region_header()->lost[LOSS_mapping] == 1);
  require_sums(stack, 1, 10, 1, 6);
  require_owner(1003, 0);
  require_owner(1004, stack);
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parts_leave_the_rest),
      cmocka_unit_test(stacks_are_told_apart),
      cmocka_unit_test(addresses_that_were_given_out_again_stay),
      cmocka_unit_test(large_ranges_are_several),
      cmocka_unit_test(full_table_counts_what_it_loses),
      cmocka_unit_test(heap_knows_nothing_of_it),
      cmocka_unit_test(threads_cut_one_range),
      cmocka_unit_test(handler_does_not_wait_for_whom_it_interrupted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
