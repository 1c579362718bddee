/* SPDX-License-Identifier: MIT */
/* The log of the region, under every order that C11 allows (tests/order/explorer.h): who appends, who makes it grow and who reads. */
#include "core/compiler.h"
#include "tests/order/explored.h"

#include "core/on_stack.h"
#include "tests/order/threads.h"
#include "tests/order/weakened.h"

/* Memory of the process, never a file. */
#define sys_map_anonymous explorer_map
#define sys_may_call(number) false
#define on_stack_below(end, function, argument) ((void)(end), (function)(argument))
#undef INVARIANT
#define INVARIANT(condition) explorer_require(condition)

#include "core/region.c"
#include "core/text.c"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;
static _Atomic uint64_t token = 1;
_Atomic uint64_t *process_token = &token;
_Atomic unsigned sys_filters, sys_strict_filters, sys_clock_refusals;

/* Of the file, which there is none of. */

const char *command_line(void)
{
  return "";
}

int descriptor_open(const char *path, int flags, unsigned mode)
{
  (void)path, (void)flags, (void)mode;
  return -EPERM;
}

long descriptor_read_file(const char *path, int flags, void *to, size_t size)
{
  (void)path, (void)flags, (void)to, (void)size;
  return -EPERM;
}

void message_print_parts(const char *const *parts)
{
  (void)parts;
}

/* Records of one granule of header and two of content. */
enum { RECORD_BYTES = 3 * REGION_GRANULE_BYTES, WORDS = 2, CAPACITY = REGION_FIRST_SEGMENT_BYTES };
struct test_record {
  struct region_record record;
  uint64_t words[WORDS];
};
_Static_assert(sizeof(struct test_record) <= RECORD_BYTES, "it has room");

/* The next record begins there. */
static void begin_at(uint64_t position)
{
  struct region_header *header = explorer_map(CAPACITY);
  atomic_store_explicit(&header->log_end, position, memory_order_relaxed);
  atomic_store_explicit(&region.capacity, CAPACITY, memory_order_relaxed);
  set_segments((char *)header, 0, CAPACITY);
}

static uint32_t append(uint64_t value)
{
  uint32_t granule;
  struct test_record *record = (struct test_record *)region_reserve(RECORD_BYTES, &granule);
  if (record == NULL)
    return 0;
  for (unsigned i = 0; i < WORDS; i++)
    record->words[i] = value;
  region_publish(&record->record, REGION_RECORD_STACK, record->words, WORDS, region_hash_words(record->words, WORDS));
  return granule;
}

/* No walk through the log: it looks for tags where others write other things. */
static uint64_t value_at(uint64_t position)
{
  const struct test_record *record = (const struct test_record *)address_of(position);
  if (!is_sound(&record->record, RECORD_BYTES))
    return 0;
  explorer_require(record->words[0] != 0 && record->words[0] == record->words[1]);
  return record->words[0];
}

enum { FIRST_VALUE = 1, SECOND_VALUE = 2, THIRD_VALUE = 4 };

static void append_first(void)
{
  explorer_require(append(FIRST_VALUE) != 0);
}

static void append_second(void)
{
  explorer_require(append(SECOND_VALUE) != 0);
}

static void read_log(void)
{
  uint64_t sum = value_at(REGION_HEADER_BYTES) + value_at(REGION_HEADER_BYTES + RECORD_BYTES);
  explorer_require(sum <= FIRST_VALUE + SECOND_VALUE);
}

static uint64_t values_in_log(void)
{
  uint64_t sum = 0, position = 0;
  const struct test_record *record;
  while ((record = (const struct test_record *)region_next(&position, REGION_RECORD_STACK)) != NULL)
    sum += record->words[0];
  return sum;
}

static void expect_both(void)
{
  explorer_require(values_in_log() == FIRST_VALUE + SECOND_VALUE);
}

static void begin_with_room(void)
{
  begin_at(REGION_HEADER_BYTES);
}

static const struct explorer_scenario appended = {.name = "two append, one reads",
                                                  .set_up = begin_with_room,
                                                  .threads = {append_first, append_second, read_log},
                                                  .finish = expect_both};

/* One fills what is mapped. */

static void begin_at_end(void)
{
  begin_at(CAPACITY - RECORD_BYTES);
}

static const struct explorer_scenario grown = {.name = "two append, and there is room for one",
                                               .set_up = begin_at_end,
                                               .threads = {append_first, append_second},
                                               .finish = expect_both};

/* Who is told of a record finds it, in memory that was mapped since. */

static _Atomic uint32_t told;

static void append_and_tell(void)
{
  append_first();
  uint32_t granule = append(THIRD_VALUE);
  atomic_store_explicit(&told, granule, memory_order_release);
}

static void look_at_told(void)
{
  uint32_t granule = atomic_load_explicit(&told, memory_order_acquire);
  if (granule != 0)
    explorer_require(((const struct test_record *)region_at(granule))->words[0] == THIRD_VALUE);
}

static const struct explorer_scenario told_of = {
    .name = "a record that others are told of", .set_up = begin_at_end, .threads = {append_and_tell, look_at_told}};

/* The region itself. */

enum { DEPTH = 5 };

static void make_region(void)
{
  struct region_header *header = explorer_map(CAPACITY);
  header->depth = DEPTH;
  set_segments((char *)header, 0, CAPACITY);
}

static void look_for_region(void)
{
  const struct region_header *header = region_header();
  if (header != NULL)
    explorer_require(header->depth == DEPTH);
}

static const struct explorer_scenario made = {.name = "the region is made", .threads = {make_region, look_for_region}};

/* Others read the file: where there is a length, there is a start. */

static char own[1];

static void add_own(void)
{
  region_add_own(own, sizeof own);
}

static void read_own(void)
{
  const struct own_range *range = &region_header()->own_ranges[0];
  if (atomic_load_explicit(&range->bytes, memory_order_acquire) != 0)
    explorer_require(atomic_load_explicit(&range->start, memory_order_relaxed) == (uintptr_t)own);
}

static const struct explorer_scenario range_is_added = {
    .name = "a range of its own is added", .set_up = begin_with_room, .threads = {add_own, read_own}};

static const struct explorer_scenario *const scenarios[] = {&appended, &grown, &told_of, &made, &range_is_added};

/* What one thread does before there are others is no matter of order, and what other processes see of the file is the kernel's. */
ORDER_MAIN(records_are_whole, "region_create", "region_adopt", "region_announce", "map_more_of_file",
           "region_is_in_file", "core/process.h", "core/lock.h", NULL)
