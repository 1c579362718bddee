/* SPDX-License-Identifier: MIT */
/* Finding and making buckets, under every order that C11 allows (tests/order/explorer.h). What is counted in them has tests of its own:
 * test_tally_order, test_peak_order, test_own_stacks_order. */
#include "core/compiler.h"
#include "core/sys.h"
#include "tests/order/explored.h"
#include "tests/order/threads.h"
#include "tests/order/weakened.h"

#define sys_map_anonymous explorer_map
#define sys_munmap(address, size) ((void)(address), (void)(size))

/* The explorer sees what is copied. */
static inline void copy_words(uint64_t *to, const uint64_t *from, size_t bytes)
{
  for (size_t i = 0; i < bytes / sizeof *to; i++)
    to[i] = from[i];
}
#define memcpy(to, from, bytes) copy_words((to), (from), (bytes))

#include "core/stacks.c"

#include "core/lanes/lanes.c"
#include "core/lanes/spares.c"
#include "core/peak.c"
#include "core/tally.c"
#undef memcpy

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;

/* The region: records of the same size by number. */
enum {
  RECORDS = 5,
  RECORD_BYTES = (sizeof(struct stack_record) + 64) & ~63u,
  FIRST = REGION_HEADER_BYTES / REGION_GRANULE_BYTES
};
static _Alignas(64) char log_bytes[RECORDS][RECORD_BYTES];
static struct region_header header;
static _Atomic uint32_t appended;
static uint32_t room = RECORDS;

struct region_header *region_header(void)
{
  return &header;
}

struct region_record *region_at(uint32_t granule)
{
  return (struct region_record *)log_bytes[granule - FIRST];
}

struct region_record *region_reserve(size_t size_bytes, uint32_t *granule)
{
  explorer_require(size_bytes <= RECORD_BYTES);
  uint32_t number = atomic_fetch_add_explicit(&appended, 1, memory_order_relaxed);
  *granule = FIRST + number;
  return number < room ? region_at(*granule) : NULL;
}

void region_publish(struct region_record *record, enum region_record_type type, const uint64_t *constant, size_t words,
                    uint64_t hash)
{
  (void)hash;
  record->constant_offset = (uint32_t)((const char *)constant - (const char *)record);
  record->constant_words = (uint32_t)words;
  atomic_store_explicit(&record->tag, REGION_RECORD_TAG | (uint32_t)type, memory_order_relaxed);
}

struct region_record *region_next(uint64_t *position, enum region_record_type type)
{
  (void)position, (void)type;
  return NULL;
}

uint32_t own_stack_of(uint32_t stack)
{
  return stack;
}

_Atomic uint32_t *own_stacks_claim(uint32_t stack)
{
  (void)stack;
  return NULL;
}

void own_stacks_set(_Atomic uint32_t *claimed, uint32_t own)
{
  (void)claimed;
  (void)own;
}

void region_lose(enum loss loss)
{
  (void)loss;
}

void region_note_seen(const void *pointer)
{
  (void)pointer;
}

void region_add_own(const void *start, uint64_t bytes)
{
  (void)start;
  (void)bytes;
}

/* Three stacks; the first two have one hash, so one tag and one place. */
enum { FLAGS = STACK_MAPPED };
static const struct {
  uint64_t hash;
  uintptr_t pc;
} stacks[] = {{7ull << 32 | 4, 1000}, {7ull << 32 | 4, 2000}, {8ull << 32 | 4, 3000}};

static uint32_t intern(unsigned number)
{
  return stacks_intern_hashed(stacks[number].hash, &stacks[number].pc, 1, FLAGS);
}

static bool is_of(uint32_t id, unsigned number)
{
  const struct stack_record *stack = stack_at(id);
  return stack->flags == FLAGS && stack->record.constant_words == 1 && stack->pcs[0] == stacks[number].pc;
}

static void intern_and_look(unsigned number)
{
  uint32_t id = intern(number);
  explorer_require(id != 0 && is_of(id, number));
  explorer_require(intern(number) == id);
}

static void intern_first(void)
{
  intern_and_look(0);
}

static void intern_second(void)
{
  intern_and_look(1);
}

static void intern_third(void)
{
  intern_and_look(2);
}

static void make_stand_in(void)
{
  explorer_require(stand_in() != 0);
}

static void expect_first(void)
{
  unsigned slots_used = 0;
  for (unsigned i = 0; i < FIRST_LEVEL_SLOTS; i++)
    slots_used += atomic_load_explicit(&first_level[i], memory_order_relaxed) != 0;
  explorer_require(slots_used == 1 && is_of(intern(0), 0));
}

static void expect_three(void)
{
  explorer_require(is_of(intern(0), 0) && is_of(intern(1), 1) && is_of(intern(2), 2));
}

static const struct explorer_scenario same = {.name = "one stack in two threads",
                                              .set_up = make_stand_in,
                                              .threads = {intern_first, intern_first},
                                              .finish = expect_first};
static const struct explorer_scenario different = {.name = "three stacks at one place",
                                                   .set_up = make_stand_in,
                                                   .threads = {intern_first, intern_second, intern_third},
                                                   .finish = expect_three};

/* Without room there is the stand-in. Two that find none make one each, and use the same; who comes too late for one, and sees none,
 * has no bucket. */

static void leave_room_for_two(void)
{
  room = 2;
}

static void intern_or_stand_in(void)
{
  uint32_t id = intern(0);
  explorer_require(id == 0 || is_of(id, 0) || (stack_at(id)->flags & STACK_TABLE_FULL) != 0);
}

static void expect_stand_in(void)
{
  explorer_require(stacks_is_stand_in(intern(2)));
}

static const struct explorer_scenario no_room = {.name = "two without room",
                                                 .set_up = leave_room_for_two,
                                                 .threads = {intern_or_stand_in, intern_or_stand_in},
                                                 .finish = expect_stand_in};

/* The first level's places are all taken: both map the third level. */

static void fill_levels(void)
{
  make_stand_in();
  for (size_t i = 0; i < FIRST_REACH; i++)
    atomic_store_explicit(&first_level[4 + i], 9ull << 32 | FIRST, memory_order_relaxed);
  for (size_t i = 0; i < REACH; i++)
    atomic_store_explicit(&second_level[4 + i], 9ull << 32 | FIRST, memory_order_relaxed);
}

static void expect_two(void)
{
  explorer_require(is_of(intern(0), 0) && is_of(intern(1), 1));
}

static const struct explorer_scenario level_is_mapped = {.name = "a level is mapped by two",
                                                         .set_up = fill_levels,
                                                         .threads = {intern_first, intern_second},
                                                         .finish = expect_two};

static const struct explorer_scenario *const scenarios[] = {&same, &no_room, &level_is_mapped, &different};

ORDER_MAIN(bucket_is_whole_and_one_for_each_stack, "core/lanes/", "core/peak", "core/tally", "core/process.h",
           "core/lock.h", NULL)
