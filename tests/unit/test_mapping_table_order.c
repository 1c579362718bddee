/* SPDX-License-Identifier: MIT */
/* The table of what the program maps, under every order that C11 allows (tests/order/explorer.h). */
#include "core/compiler.h"
#include "core/sys.h"
#include "tests/order/explored.h"
#include "tests/order/threads.h"
#include "tests/order/weakened.h"

#include "core/mappings/mapping_table.h"
#include "core/region.h"

/* Four blocks of four slots. */
#define MAPPING_SLOTS 16
#define RANGES_IN_RECORD 4

#include "core/mappings/mapping_table.c"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;
static _Atomic uint64_t token = 1;
_Atomic uint64_t *process_token = &token;

/* The state file: blocks by number. */
enum { FILE_BLOCKS = 3, BLOCK_BYTES = sizeof(struct ranges_record) + RANGES_IN_RECORD * sizeof(struct mapped_range) };
static _Alignas(REGION_GRANULE_BYTES) char file[FILE_BLOCKS][BLOCK_BYTES];
static _Atomic uint32_t file_blocks = 1;

struct region_record *region_at(uint32_t granule)
{
  return (struct region_record *)file[granule];
}

struct region_record *region_reserve(size_t size_bytes, uint32_t *granule)
{
  explorer_require(size_bytes == BLOCK_BYTES);
  *granule = atomic_fetch_add_explicit(&file_blocks, 1, memory_order_relaxed);
  explorer_require(*granule < FILE_BLOCKS);
  return region_at(*granule);
}

void region_publish(struct region_record *record, enum region_record_type type, const uint64_t *constant, size_t words,
                    uint64_t hash)
{
  (void)record, (void)type, (void)constant, (void)words, (void)hash;
}

/* In none of the scenarios has a thread to wait for long. */
void region_lose(enum loss loss)
{
  (void)loss;
  explorer_require(false);
}

struct region_record *region_next(uint64_t *position, enum region_record_type type)
{
  (void)position, (void)type;
  return NULL;
}

struct stack_record *stacks_next_mapped(uint64_t *position)
{
  (void)position;
  return NULL;
}

void stacks_clear(struct stack_record *stack)
{
  (void)stack;
}

/* What each thread counted; before all of them, the first one did. */
static uint64_t ranges_counted[EXPLORER_THREADS], bytes_counted[EXPLORER_THREADS];

void stacks_count_mapped(uint32_t stack, uint64_t objects, uint64_t bytes)
{
  explorer_require(stack != 0);
  ranges_counted[explorer_thread()] += objects;
  bytes_counted[explorer_thread()] += bytes;
}

void stacks_count_unmapped(uint32_t stack, uint64_t objects, uint64_t bytes)
{
  explorer_require(stack != 0);
  ranges_counted[explorer_thread()] -= objects;
  bytes_counted[explorer_thread()] -= bytes;
}

/* At the end, the sums tell what is in the table, and no slot is busy. */
static void expect_sums(void)
{
  uint64_t ranges_there = 0, pages_there = 0, ranges_in_sums = 0, bytes_in_sums = 0;
  for (unsigned slot = 0; slot < mapping_table_used(); slot++) {
    uint64_t word = atomic_load_explicit(&ranges[slot], memory_order_relaxed);
    explorer_require((word & RANGE_IS_BUSY) == 0);
    ranges_there += word != 0;
    pages_there += range_pages(word);
  }
  for (unsigned i = 0; i < EXPLORER_THREADS; i++) {
    ranges_in_sums += ranges_counted[i];
    bytes_in_sums += bytes_counted[i];
  }
  explorer_require(ranges_there == ranges_in_sums && bytes_of(pages_there) == bytes_in_sums);
}

/* Ten pages of one stack, two of another. */
enum { FIRST = 0x100, HOLE = 0x104, LIMIT = 0x10a, LAST = LIMIT - 1, STACK = 5 };
enum { OTHER = 0x200, OTHER_LIMIT = 0x202, OTHER_STACK = 6 };
static const struct page_range whole = {FIRST, LIMIT}, other = {OTHER, OTHER_LIMIT};

static void add_whole(void)
{
  explorer_require(mapping_table_add(whole, STACK));
}

static void add_other(void)
{
  explorer_require(mapping_table_add(other, OTHER_STACK));
}

static void remove_whole(void)
{
  mapping_table_remove(whole, UINT64_MAX);
}

static void remove_page(uint64_t page)
{
  mapping_table_remove((struct page_range){page, page + 1}, UINT64_MAX);
}

static void make_hole(void)
{
  remove_page(HOLE);
}

static void remove_last(void)
{
  remove_page(LAST);
}

/* A range moves to another slot, in part, while another thread looks for that part. */

static void expect_hole_and_end(void)
{
  explorer_require(mapping_table_stack(HOLE) == 0 && mapping_table_stack(LAST) == 0);
  explorer_require(mapping_table_stack(FIRST) == STACK && mapping_table_stack(LAST - 1) == STACK);
  expect_sums();
}

static void look_behind_hole(void)
{
  explorer_require(mapping_table_stack(LAST) == STACK);
}

static const struct explorer_scenario hole_and_end = {.name = "a hole and the end of one range",
                                                      .set_up = add_whole,
                                                      .threads = {make_hole, remove_last},
                                                      .finish = expect_hole_and_end};
static const struct explorer_scenario looked_behind = {.name = "a look behind a hole that is made",
                                                       .set_up = add_whole,
                                                       .threads = {make_hole, look_behind_hole},
                                                       .finish = expect_sums};

/* A slot that is left is another range's. */

static void expect_other_alone(void)
{
  explorer_require(mapping_table_stack(OTHER) == OTHER_STACK && mapping_table_stack(FIRST) == 0);
  expect_sums();
}

static void look_for_other(void)
{
  uint32_t stack = mapping_table_stack(OTHER);
  explorer_require(stack == 0 || stack == OTHER_STACK);
}

static const struct explorer_scenario slot_is_taken = {.name = "a slot is left and taken",
                                                       .set_up = add_whole,
                                                       .threads = {remove_whole, add_other, look_for_other},
                                                       .finish = expect_other_alone};

static void expect_two(void)
{
  explorer_require(mapping_table_stack(OTHER) == OTHER_STACK && mapping_table_stack(FIRST) == STACK);
  expect_sums();
}

static void begin_with_block(void)
{
  explorer_require(block_of(0) != NULL);
}

static const struct explorer_scenario two_are_added = {
    .name = "two are added", .set_up = begin_with_block, .threads = {add_whole, add_other}, .finish = expect_two};

/* Two threads append a block for the same slots: both show them in one. */

static struct ranges_record *block_got[EXPLORER_THREADS];

static void get_block(void)
{
  block_got[explorer_thread()] = block_of(0);
}

static void expect_one_block(void)
{
  explorer_require(block_got[0] != NULL && block_got[0] == block_got[1] && block_of(0) == block_got[0]);
}

static const struct explorer_scenario block_is_appended = {
    .name = "a block is appended by two", .threads = {get_block, get_block}, .finish = expect_one_block};

/* Where the kernel gives an address out again, its lock orders what both threads did before and after. */

static _Atomic int is_unmapped, is_mapped_again;

static void unmap(void)
{
  uint64_t event = mapping_table_event();
  atomic_store_explicit(&is_unmapped, 1, memory_order_release);
  mapping_table_remove(whole, event);
}

static void map_again(void)
{
  if (atomic_load_explicit(&is_unmapped, memory_order_acquire) == 0)
    return;
  mapping_table_remove(whole, UINT64_MAX);
  explorer_require(mapping_table_add(whole, OTHER_STACK));
  atomic_store_explicit(&is_mapped_again, 1, memory_order_relaxed);
}

static void expect_latest(void)
{
  bool is_there = atomic_load_explicit(&is_mapped_again, memory_order_relaxed) == 1;
  explorer_require(mapping_table_stack(FIRST) == (is_there ? OTHER_STACK : 0));
  expect_sums();
}

static const struct explorer_scenario mapped_again = {.name = "an address is given out again",
                                                      .set_up = add_whole,
                                                      .threads = {unmap, map_again},
                                                      .finish = expect_latest};

/* Who reads the state file finds each range with its own stack. */

static void replace(void)
{
  remove_whole();
  add_other();
}

static void read_file(void)
{
  const struct mapped_range *shown = &((const struct ranges_record *)file[1])->ranges[0];
  uint64_t word = atomic_load_explicit(&shown->range, memory_order_acquire);
  uint64_t stack = atomic_load_explicit(&shown->stack, memory_order_acquire);
  if (word == 0 || atomic_load_explicit(&shown->range, memory_order_relaxed) != word)
    return;
  explorer_require(stack == (range_first(word) == FIRST ? STACK : OTHER_STACK));
}

static const struct explorer_scenario read_outside = {
    .name = "a reader of the file", .set_up = add_whole, .threads = {replace, read_file}, .finish = expect_other_alone};

static const struct explorer_scenario *const scenarios[] = {
    &read_outside, &looked_behind, &slot_is_taken, &two_are_added, &block_is_appended, &mapped_again, &hole_and_end};

/* Whether this process is settled, test_settle_order explores. */
ORDER_MAIN(table_and_sums_agree, "core/process.h", "core/lock.h", NULL)
