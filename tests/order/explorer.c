/* SPDX-License-Identifier: MIT */
#include "tests/order/explorer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum {
  THREADS = EXPLORER_THREADS,
  LOCATIONS = 64,
  WRITES = 32, /* of one location in one execution */
  CELLS = 128,
  CHOICES = 2000,
  STEPS = 2000,
  USAGES = 256,
  STACK_BYTES = 64 << 10,
  MAP_BYTES = 4 << 20,
  LOWEST_ADDRESS = 1 << 20, /* below it, something was added to NULL */
};

/* Of every location, the oldest write that may still be read; of every thread, how many steps of it are known; how many of
 * the seq_cst writes come before, in the order of all seq_cst accesses. */
struct view {
  uint8_t oldest[LOCATIONS];
  uint32_t steps[THREADS];
  uint32_t sc_writes;
};

struct write {
  uint64_t value;
  uint64_t name; /* the same in every execution that leads to this state; 0: what was there at the start */
  uint64_t view_hash;
  struct view view;
  uint32_t sc_number; /* of seq_cst writes, from 1; 0: it is none */
  uint8_t position;   /* in modification order */
  bool is_rmw;        /* nothing may come between it and the write before */
};

struct location {
  uintptr_t address;
  size_t size;
  unsigned count;
  struct write writes[WRITES];
  uint8_t order[WRITES];
};

/* Four bytes of plain memory. */
struct cell {
  uintptr_t address;
  uint32_t at_start;
  bool was_written;
  unsigned writer;
  uint32_t written_step;
  uint32_t read_step[THREADS];
};

struct thread {
  ucontext_t context;
  struct view view;
  struct view acquired; /* what an acquire fence would take over */
  struct view released; /* what relaxed writes give away: the view at the last release fence */
  uint64_t history;     /* of all that it has read: what it will do depends on nothing else */
  uint32_t step;        /* from 1: 0 is what nobody knows of */
  bool is_done;
};

struct choice {
  unsigned chosen, count;
};

/* Who uses a location, in all executions so far. */
struct usage {
  uintptr_t address;
  unsigned threads; /* a bit for each */
  bool is_written;
};

struct step {
  unsigned thread;
  const struct explorer_site *site;
  uintptr_t address;
  uint64_t value;
};

enum mode { OUTSIDE, STARTING, EXPLORING, FINISHING };

static enum mode mode;
static const struct explorer_scenario *scenario;
static struct explorer_outcome *outcome;
static struct thread threads[THREADS];
static unsigned current;
static ucontext_t driver;
static _Alignas(64) char stacks[THREADS][STACK_BYTES];

static struct location locations[LOCATIONS];
static unsigned location_count;
static struct cell cells[CELLS];
static unsigned cell_count;
static struct view sc_view;     /* of the last seq_cst fence */
static uint32_t sc_write_count; /* so far */

static struct usage usages[USAGES];
static unsigned usage_count;
static bool must_restart;

static struct choice path[CHOICES];
static unsigned path_length, path_position;
static struct step trace[STEPS];
static unsigned trace_length;

static _Alignas(4096) char mapped[MAP_BYTES];
static size_t mapped_bytes, mapped_at_start;

static _Noreturn void leave(void)
{
  if (mode == EXPLORING || mode == STARTING)
    (void)setcontext(&driver);
  fprintf(stderr, "%s\n", outcome != NULL ? outcome->violation : "explorer: outside");
  exit(1);
}

/* Finishing is done in the driver's own context: it goes on, and looks at the violation later. */
static void violate(const char *what, uintptr_t address)
{
  if (outcome->violation[0] == '\0')
    (void)snprintf(outcome->violation, sizeof outcome->violation, "%s (%#lx)", what, (unsigned long)address);
  if (mode != FINISHING)
    leave();
}

static _Noreturn void overflow(const char *what)
{
  fprintf(stderr, "explorer: too many %s in %s\n", what, scenario->name);
  exit(1);
}

void explorer_check(bool holds, const char *condition)
{
  if (!holds)
    violate(condition, 0);
}

unsigned explorer_thread(void)
{
  return mode == STARTING || mode == EXPLORING ? current : 0;
}

void explorer_wait(void)
{
  if (mode != EXPLORING)
    violate("nobody is there to wait for", 0);
  else
    leave();
}

void *explorer_map(size_t size)
{
  size = (size + 63) & ~(size_t)63;
  if (size > MAP_BYTES - mapped_bytes)
    return NULL;
  mapped_bytes += size;
  return mapped + mapped_bytes - size;
}

/* Hashing. Sums of these do not depend on the order in which things were met. */

static uint64_t mix(uint64_t a, uint64_t b)
{
  uint64_t h = (a ^ b * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
  h = (h ^ h >> 32) * 0x9fb21c651e98df25u;
  return h ^ h >> 29;
}

static uint64_t hash_view(const struct view *view)
{
  uint64_t hash = 0;
  for (unsigned i = 0; i < location_count; i++)
    if (view->oldest[i] != 0)
      hash += mix(locations[i].address, locations[i].writes[view->oldest[i]].name);
  for (unsigned i = 0; i < THREADS; i++)
    hash += mix(i + 1, view->steps[i]);
  return hash + mix(THREADS + 1, view->sc_writes);
}

static uint64_t hash_location(const struct location *location)
{
  uint64_t hash = 0;
  for (unsigned i = 1; i < location->count; i++) {
    const struct write *write = &location->writes[location->order[i]];
    hash = mix(hash, mix(write->name + write->is_rmw, mix(write->value, write->view_hash)));
  }
  return hash == 0 ? 0 : mix(location->address, hash);
}

static uint64_t hash_cell(const struct cell *cell)
{
  uint32_t content;
  memcpy(&content, (const void *)cell->address, sizeof content);
  uint64_t hash = mix(cell->address, (uint64_t)content << 32 | cell->written_step);
  for (unsigned i = 0; i < THREADS; i++)
    hash = mix(hash, cell->read_step[i]);
  return mix(hash, cell->was_written ? cell->writer + 1 : 0);
}

static uint64_t hash_state(void)
{
  uint64_t hash = mix(3 + sc_write_count, hash_view(&sc_view));
  for (unsigned i = 0; i < THREADS; i++) {
    const struct thread *thread = &threads[i];
    uint64_t views = mix(hash_view(&thread->view), mix(hash_view(&thread->acquired), hash_view(&thread->released)));
    hash = mix(hash, mix(thread->history, mix(views, thread->step << 1 | thread->is_done)));
  }
  for (unsigned i = 0; i < location_count; i++)
    hash += hash_location(&locations[i]);
  for (unsigned i = 0; i < cell_count; i++)
    hash += hash_cell(&cells[i]);
  return hash;
}

/* The states that were met. */

static uint64_t *met;
static size_t met_capacity, met_count;

static bool met_insert(uint64_t hash)
{
  size_t at = hash & (met_capacity - 1);
  while (met[at] != 0 && met[at] != hash)
    at = (at + 1) & (met_capacity - 1);
  bool is_new = met[at] == 0;
  met[at] = hash;
  return is_new;
}

static void met_grow(void)
{
  uint64_t *old = met;
  size_t old_capacity = met_capacity;
  met_capacity = met_capacity == 0 ? 1 << 16 : met_capacity * 4;
  met = calloc(met_capacity, sizeof *met);
  if (met == NULL)
    overflow("states");
  for (size_t i = 0; i < old_capacity; i++)
    if (old[i] != 0)
      (void)met_insert(old[i]);
  free(old);
}

static bool is_new_state(void)
{
  if (met_count * 2 >= met_capacity)
    met_grow();
  uint64_t hash = hash_state();
  bool is_new = met_insert(hash != 0 ? hash : 1);
  met_count += is_new;
  return is_new;
}

/* Choices: an execution is told by them. The first ones are those of the one before. */

static unsigned choose(unsigned count)
{
  if (path_position == CHOICES)
    overflow("choices");
  struct choice *choice = &path[path_position++];
  if (path_position > path_length) {
    *choice = (struct choice){0, count};
    path_length = path_position;
  }
  return choice->chosen;
}

/* False: all were made. */
static bool next_path(void)
{
  while (path_length > 0 && path[path_length - 1].chosen + 1 == path[path_length - 1].count)
    path_length--;
  if (path_length == 0)
    return false;
  path[path_length - 1].chosen++;
  return true;
}

/* Which thread goes on: the current one first, for it costs no switch. */
static unsigned choose_thread(void)
{
  unsigned candidates[THREADS], count = 0;
  if (path_position == path_length && !is_new_state())
    leave();
  for (unsigned i = 0; i < THREADS; i++)
    if (!threads[(current + i) % THREADS].is_done)
      candidates[count++] = (current + i) % THREADS;
  if (count == 0)
    leave();
  return candidates[count > 1 ? choose(count) : 0];
}

static bool is_shared(const struct usage *usage)
{
  return usage->is_written && (usage->threads & (usage->threads - 1)) != 0;
}

static struct usage *usage_of(uintptr_t address)
{
  for (unsigned i = 0; i < usage_count; i++)
    if (usages[i].address == address)
      return &usages[i];
  if (usage_count == USAGES)
    overflow("locations");
  usages[usage_count] = (struct usage){.address = address};
  return &usages[usage_count++];
}

/* What one thread alone uses, or nobody writes, need not wait for its turn. When it turns out that others do, all begins anew. */
static bool needs_turn(const volatile void *address, bool is_write)
{
  struct usage *usage = usage_of((uintptr_t)address);
  bool was_shared = is_shared(usage);
  usage->threads |= 1u << current;
  usage->is_written |= is_write;
  if (is_shared(usage) && !was_shared) {
    must_restart = true;
    leave();
  }
  return was_shared;
}

/* Before each step. At the start, every thread comes to its first one. */
static void schedule(void)
{
  unsigned from = current;
  if (mode == STARTING) {
    (void)swapcontext(&threads[from].context, &driver);
    return;
  }
  current = choose_thread();
  if (current != from)
    (void)swapcontext(&threads[from].context, &threads[current].context);
}

/* Views. */

static unsigned position_of(unsigned location, unsigned write)
{
  return locations[location].writes[write].position;
}

static void join(struct view *into, const struct view *from)
{
  for (unsigned i = 0; i < location_count; i++)
    if (position_of(i, from->oldest[i]) > position_of(i, into->oldest[i]))
      into->oldest[i] = from->oldest[i];
  for (unsigned i = 0; i < THREADS; i++)
    if (from->steps[i] > into->steps[i])
      into->steps[i] = from->steps[i];
  if (from->sc_writes > into->sc_writes)
    into->sc_writes = from->sc_writes;
}

static bool is_acquire(int order)
{
  return order == memory_order_acquire || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

static bool is_release(int order)
{
  return order == memory_order_release || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

static void end_step(const struct explorer_site *site, const volatile void *address, uint64_t value)
{
  struct thread *thread = &threads[current];
  if (trace_length == STEPS)
    overflow("steps");
  trace[trace_length++] = (struct step){current, site, (uintptr_t)address, value};
  thread->view.steps[current] = ++thread->step;
}

/* Locations. */

static void wait_for_turn(const volatile void *address, bool is_write)
{
  if ((uintptr_t)address < LOWEST_ADDRESS)
    violate("nothing is at that address", (uintptr_t)address);
  if (needs_turn(address, is_write))
    schedule();
}

static unsigned locate(const volatile void *address, size_t size)
{
  for (unsigned i = 0; i < location_count; i++)
    if (locations[i].address == (uintptr_t)address)
      return i;
  if (location_count == LOCATIONS)
    overflow("locations");
  struct location *location = &locations[location_count];
  location->address = (uintptr_t)address;
  location->size = size;
  location->count = 1;
  location->order[0] = 0;
  location->writes[0] = (struct write){.value = 0};
  memcpy(&location->writes[0].value, (const void *)(uintptr_t)address, size);
  return location_count++;
}

/* May a write come right behind the one at this position? */
static bool has_room_behind(const struct location *location, unsigned position)
{
  return position + 1 == location->count || !location->writes[location->order[position + 1]].is_rmw;
}

/* All seq_cst accesses are in one order: writes in that of their steps, a load anywhere behind what its thread knows of.
 * None reads, or goes behind, a write that is older than a seq_cst one of the location before it. */

static unsigned oldest_for_sc(const struct location *location, uint32_t sc_writes)
{
  for (unsigned position = location->count; position-- > 0;) {
    uint32_t number = location->writes[location->order[position]].sc_number;
    if (number != 0 && number <= sc_writes)
      return position;
  }
  return 0;
}

static void see_sc(unsigned index, int order, bool is_write)
{
  struct view *view = &threads[current].view;
  if (order != memory_order_seq_cst)
    return;
  if (is_write)
    view->sc_writes = sc_write_count;
  unsigned position = oldest_for_sc(&locations[index], view->sc_writes);
  if (position > position_of(index, view->oldest[index]))
    view->oldest[index] = locations[index].order[position];
}

static uint64_t take(struct location *location, unsigned chosen, int order)
{
  struct thread *thread = &threads[current];
  const struct write *write = &location->writes[chosen];
  unsigned index = (unsigned)(location - locations);
  if (write->position > position_of(index, thread->view.oldest[index]))
    thread->view.oldest[index] = (uint8_t)chosen;
  if (order == memory_order_seq_cst && write->sc_number > thread->view.sc_writes)
    thread->view.sc_writes = write->sc_number;
  join(&thread->acquired, &write->view);
  if (is_acquire(order))
    join(&thread->view, &write->view);
  thread->history = mix(thread->history, write->value + 1);
  return write->value;
}

static void insert(struct location *location, unsigned position, unsigned number)
{
  for (unsigned i = location->count; i > position; i--) {
    location->order[i] = location->order[i - 1];
    location->writes[location->order[i]].position = (uint8_t)i;
  }
  location->order[position] = (uint8_t)number;
  location->count++;
}

/* `read`: of a read-modify-write, what it read. */
static void put(struct location *location, unsigned behind, int order, uint64_t value, const struct write *read)
{
  struct thread *thread = &threads[current];
  unsigned index = (unsigned)(location - locations), number = location->count;
  if (number == WRITES)
    overflow("writes");
  struct write *write = &location->writes[number];
  *write = (struct write){.value = value, .position = (uint8_t)(behind + 1), .is_rmw = read != NULL};
  write->name = mix(current + 1, thread->step);
  insert(location, behind + 1, number);
  thread->view.oldest[index] = (uint8_t)number;
  if (order == memory_order_seq_cst)
    write->sc_number = thread->view.sc_writes = ++sc_write_count;
  write->view = is_release(order) ? thread->view : thread->released;
  write->view.oldest[index] = (uint8_t)number;
  if (read != NULL)
    join(&write->view, &read->view);
  write->view_hash = hash_view(&write->view);
}

/* The writes that may be read, or behind which one may be put, the latest first. */
struct candidates {
  unsigned count;
  uint8_t positions[WRITES];
};

static struct candidates visible(unsigned index, bool needs_room)
{
  struct candidates candidates = {.count = 0};
  const struct location *location = &locations[index];
  for (unsigned i = location->count; i-- > position_of(index, threads[current].view.oldest[index]);)
    if (!needs_room || has_room_behind(location, i))
      candidates.positions[candidates.count++] = (uint8_t)i;
  return candidates;
}

static unsigned choose_of(const struct candidates *candidates)
{
  return candidates->positions[candidates->count > 1 ? choose(candidates->count) : 0];
}

/* In the driver's own context there is one thread, and memory. */

static struct cell *cell_at(uintptr_t address);

static bool is_alone(void)
{
  return mode == OUTSIDE || mode == FINISHING;
}

static uint64_t plain_load(const volatile void *address, size_t size)
{
  uint64_t value = 0;
  memcpy(&value, (const void *)(uintptr_t)address, size);
  return value;
}

static void plain_store(volatile void *address, size_t size, uint64_t value)
{
  if (mode == FINISHING)
    for (uintptr_t at = (uintptr_t)address & ~(uintptr_t)3; at < (uintptr_t)address + size; at += 4)
      (void)cell_at(at);
  memcpy((void *)(uintptr_t)address, &value, size);
}

/* The operations. */

uint64_t explorer_load(struct explorer_site *site, const volatile void *address, size_t size)
{
  if (is_alone())
    return plain_load(address, size);
  wait_for_turn(address, false);
  unsigned index = locate(address, size);
  struct location *location = &locations[index];
  see_sc(index, site->order, false);
  struct candidates candidates = visible(index, false);
  uint64_t value = take(location, location->order[choose_of(&candidates)], site->order);
  end_step(site, address, value);
  return value;
}

void explorer_store(struct explorer_site *site, volatile void *address, size_t size, uint64_t value)
{
  if (is_alone()) {
    plain_store(address, size, value);
    return;
  }
  wait_for_turn(address, true);
  unsigned index = locate(address, size);
  see_sc(index, site->order, true);
  struct candidates candidates = visible(index, true);
  put(&locations[index], choose_of(&candidates), site->order, value, NULL);
  end_step(site, address, value);
}

static uint64_t cut(uint64_t value, size_t size)
{
  return size == sizeof value ? value : value & ((1ull << 8 * size) - 1);
}

static uint64_t modify(struct explorer_site *site, volatile void *address, size_t size, uint64_t keep, uint64_t value)
{
  if (is_alone()) {
    uint64_t before = plain_load(address, size);
    plain_store(address, size, (before & keep) + value);
    return before;
  }
  wait_for_turn(address, true);
  unsigned index = locate(address, size);
  struct location *location = &locations[index];
  see_sc(index, site->order, true);
  struct candidates candidates = visible(index, true);
  unsigned position = choose_of(&candidates), read = location->order[position];
  uint64_t before = take(location, read, site->order);
  put(location, position, site->order, cut((before & keep) + value, size), &location->writes[read]);
  end_step(site, address, before);
  return before;
}

uint64_t explorer_exchange(struct explorer_site *site, volatile void *address, size_t size, uint64_t value)
{
  return modify(site, address, size, 0, value);
}

uint64_t explorer_add(struct explorer_site *site, volatile void *address, size_t size, uint64_t value)
{
  return modify(site, address, size, UINT64_MAX, value);
}

uint64_t explorer_or(struct explorer_site *site, volatile void *address, size_t size, uint64_t value)
{
  return modify(site, address, size, ~value, value);
}

bool explorer_compare_exchange(struct explorer_site *success, struct explorer_site *failure, volatile void *address,
                               size_t size, void *expected, uint64_t desired)
{
  uint64_t wanted = plain_load(expected, size), value;
  if (is_alone()) {
    value = plain_load(address, size);
    if (value == wanted)
      plain_store(address, size, desired);
    memcpy(expected, &value, size);
    return value == wanted;
  }
  wait_for_turn(address, true);
  unsigned index = locate(address, size);
  struct location *location = &locations[index];
  struct candidates all = visible(index, false), candidates = {.count = 0};
  uint32_t known = threads[current].view.sc_writes;
  for (unsigned i = 0; i < all.count; i++) {
    bool is_equal = location->writes[location->order[all.positions[i]]].value == wanted;
    int order = is_equal ? success->order : failure->order;
    if ((!is_equal || has_room_behind(location, all.positions[i])) &&
        (order != memory_order_seq_cst ||
         all.positions[i] >= oldest_for_sc(location, is_equal ? sc_write_count : known)))
      candidates.positions[candidates.count++] = all.positions[i];
  }
  unsigned position = choose_of(&candidates), read = location->order[position];
  bool is_equal = location->writes[read].value == wanted;
  value = take(location, read, is_equal ? success->order : failure->order);
  if (is_equal)
    put(location, position, success->order, desired, &location->writes[read]);
  memcpy(expected, &value, size);
  end_step(is_equal ? success : failure, address, value);
  return is_equal;
}

void explorer_fence(struct explorer_site *site)
{
  if (is_alone())
    return;
  struct thread *thread = &threads[current];
  if (site->order == memory_order_seq_cst)
    schedule();
  if (is_acquire(site->order))
    join(&thread->view, &thread->acquired);
  if (site->order == memory_order_seq_cst) {
    join(&thread->view, &sc_view);
    thread->view.sc_writes = sc_write_count;
    sc_view = thread->view;
  }
  if (is_release(site->order))
    thread->released = thread->view;
  end_step(site, NULL, 0);
}

/* Plain memory. */

static struct cell *cell_at(uintptr_t address)
{
  for (unsigned i = 0; i < cell_count; i++)
    if (cells[i].address == address)
      return &cells[i];
  if (cell_count == CELLS)
    overflow("cells");
  struct cell *cell = &cells[cell_count++];
  *cell = (struct cell){.address = address};
  memcpy(&cell->at_start, (const void *)address, sizeof cell->at_start);
  return cell;
}

static void access_cell(struct cell *cell, bool is_write)
{
  struct thread *thread = &threads[current];
  if (cell->was_written && cell->writer != current && cell->written_step > thread->view.steps[cell->writer])
    violate("a race with a write", cell->address);
  for (unsigned i = 0; is_write && i < THREADS; i++)
    if (i != current && cell->read_step[i] > thread->view.steps[i])
      violate("a race with a read", cell->address);
  if (is_write) {
    cell->was_written = true;
    cell->writer = current;
    cell->written_step = thread->step;
  } else {
    uint32_t content;
    memcpy(&content, (const void *)cell->address, sizeof content);
    cell->read_step[current] = thread->step;
    thread->history = mix(thread->history, content + 7ull);
  }
}

static void access_plain(const void *start, size_t size, bool is_write)
{
  uintptr_t first = (uintptr_t)start;
  if (mode == OUTSIDE || (first >= (uintptr_t)stacks && first < (uintptr_t)stacks + sizeof stacks))
    return;
  if (first < LOWEST_ADDRESS)
    violate("nothing is at that address", first);
  if (mode == FINISHING && (!is_write || first >= (uintptr_t)__builtin_frame_address(0)))
    return;
  for (uintptr_t at = first & ~(uintptr_t)3; at < first + size; at += 4) {
    struct cell *cell = cell_at(at);
    if (mode != FINISHING)
      access_cell(cell, is_write);
  }
}

/* What the compiler's instrumentation calls. */

#define FOR_SIZE(size)                                                                                                 \
  void __tsan_read##size(void *address);                                                                               \
  void __tsan_read##size(void *address)                                                                                \
  {                                                                                                                    \
    access_plain(address, size, false);                                                                                \
  }                                                                                                                    \
  void __tsan_write##size(void *address);                                                                              \
  void __tsan_write##size(void *address)                                                                               \
  {                                                                                                                    \
    access_plain(address, size, true);                                                                                 \
  }                                                                                                                    \
  void __tsan_unaligned_read##size(void *address);                                                                     \
  void __tsan_unaligned_read##size(void *address)                                                                      \
  {                                                                                                                    \
    access_plain(address, size, false);                                                                                \
  }                                                                                                                    \
  void __tsan_unaligned_write##size(void *address);                                                                    \
  void __tsan_unaligned_write##size(void *address)                                                                     \
  {                                                                                                                    \
    access_plain(address, size, true);                                                                                 \
  }
FOR_SIZE(1)
FOR_SIZE(2)
FOR_SIZE(4)
FOR_SIZE(8)
FOR_SIZE(16)

void __tsan_read_range(void *address, size_t size);
void __tsan_read_range(void *address, size_t size)
{
  access_plain(address, size, false);
}

void __tsan_write_range(void *address, size_t size);
void __tsan_write_range(void *address, size_t size)
{
  access_plain(address, size, true);
}

void *__tsan_memcpy(void *to, const void *from, size_t size);
void *__tsan_memcpy(void *to, const void *from, size_t size)
{
  access_plain(from, size, false);
  access_plain(to, size, true);
  return memcpy(to, from, size);
}

void *__tsan_memset(void *to, int byte, size_t size);
void *__tsan_memset(void *to, int byte, size_t size)
{
  access_plain(to, size, true);
  return memset(to, byte, size);
}

void __tsan_init(void);
void __tsan_init(void) {}

void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
  (void)caller;
}

void __tsan_func_exit(void *caller);
void __tsan_func_exit(void *caller)
{
  (void)caller;
}

/* An execution. */

static void run_thread(unsigned number)
{
  scenario->threads[number]();
  threads[number].is_done = true;
  schedule();
}

static void reset_thread(unsigned number)
{
  struct thread *thread = &threads[number];
  memset(&thread->view, 0, sizeof thread->view);
  thread->acquired = thread->released = thread->view;
  thread->history = 0;
  thread->view.steps[number] = thread->step = 1;
  thread->is_done = scenario->threads[number] == NULL;
}

static void start_thread(unsigned number)
{
  struct thread *thread = &threads[number];
  (void)getcontext(&thread->context);
  thread->context.uc_stack.ss_sp = stacks[number];
  thread->context.uc_stack.ss_size = STACK_BYTES;
  thread->context.uc_link = NULL;
  makecontext(&thread->context, (void (*)(void))(void *)run_thread, 1, number);
  current = number;
  (void)swapcontext(&driver, &thread->context);
}

static void begin_execution(void)
{
  memset(&sc_view, 0, sizeof sc_view);
  sc_write_count = 0;
  location_count = cell_count = trace_length = path_position = 0;
  mapped_bytes = mapped_at_start;
  for (unsigned i = 0; i < THREADS; i++)
    reset_thread(i);
  mode = STARTING;
  for (unsigned i = 0; i < THREADS; i++)
    if (!threads[i].is_done)
      start_thread(i);
}

static bool all_are_done(void)
{
  for (unsigned i = 0; i < THREADS; i++)
    if (!threads[i].is_done)
      return false;
  return true;
}

static void finish(void)
{
  for (unsigned i = 0; i < location_count; i++) {
    struct location *location = &locations[i];
    memcpy((void *)location->address, &location->writes[location->order[location->count - 1]].value, location->size);
  }
  mode = FINISHING;
  if (scenario->finish != NULL)
    scenario->finish();
}

static void restore(void)
{
  mode = OUTSIDE;
  for (unsigned i = 0; i < cell_count; i++)
    if (memcmp((void *)cells[i].address, &cells[i].at_start, sizeof cells[i].at_start) != 0) /* it may be a constant */
      memcpy((void *)cells[i].address, &cells[i].at_start, sizeof cells[i].at_start);
  for (unsigned i = 0; i < location_count; i++)
    memcpy((void *)locations[i].address, &locations[i].writes[0].value, locations[i].size);
}

static void execute(void)
{
  volatile bool is_back = false;
  begin_execution();
  mode = EXPLORING;
  (void)getcontext(&driver);
  if (!is_back && !must_restart && outcome->violation[0] == '\0') {
    is_back = true;
    current = 0;
    current = choose_thread();
    (void)setcontext(&threads[current].context);
  }
  if (!must_restart && all_are_done() && outcome->violation[0] == '\0')
    finish();
  restore();
}

/* True: what was explored so far does not count. */
static bool begins_anew(void)
{
  if (!must_restart)
    return false;
  must_restart = false;
  path_length = 0;
  memset(met, 0, met_capacity * sizeof *met);
  met_count = 0;
  return true;
}

void explorer_run(const struct explorer_scenario *chosen, struct explorer_outcome *result)
{
  scenario = chosen;
  outcome = result;
  *result = (struct explorer_outcome){0};
  if (scenario->set_up != NULL)
    scenario->set_up();
  mapped_at_start = mapped_bytes;
  do {
    execute();
    result->executions++;
  } while (result->violation[0] == '\0' && (begins_anew() || next_path()));
  result->states = met_count;
}

void explorer_print_trace(void)
{
  for (unsigned i = 0; i < trace_length; i++) {
    const struct step *step = &trace[i];
    fprintf(stderr, "  thread %u  %s:%d %s: %s %#lx -> %#lx\n", step->thread, step->site->file, step->site->line,
            step->site->function, step->site->operation, (unsigned long)step->address, (unsigned long)step->value);
  }
}
