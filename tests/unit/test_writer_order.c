/* SPDX-License-Identifier: MIT */
/* Writers of files, and who ends the process meanwhile, under every order that C11 allows (tests/order/explorer.h). */
#include "core/compiler.h"
#include "tests/order/explored.h"

#include "core/sys.h"
#include "core/text.h"
#include "core/ticks.h"

/* Of a path the first byte stands for all: who writes it while another one reads it is told of. */
#define strcpy(to, from) ((to)[0] = (from)[0])

static void remove_file(const char *path);
#define sys_unlink remove_file
#define sys_getpid() 1
#define sys_get_limit(resource, limit) ((void)(limit), -1)
#define ticks_now() 0

#include "core/writer.c"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;
_Atomic unsigned sys_filters, sys_strict_filters, sys_clock_refusals;

void text_put(struct text *text, const char *string)
{
  (void)text;
  (void)string;
}

void text_put_bytes(struct text *text, const char *bytes, size_t size)
{
  (void)bytes;
  (void)size;
  text->bytes[0] = (char)('A' + explorer_thread());
}

void text_put_hex(struct text *text, uint64_t value)
{
  (void)text;
  (void)value;
}

void text_put_u64(struct text *text, uint64_t value)
{
  (void)text;
  (void)value;
}

const char *text_basename(const char *path)
{
  return path;
}

/* Of each thread's: made, not removed by it, and removed by another one. What comes first, the kernel sees. */
static unsigned is_made[EXPLORER_THREADS], is_removed[EXPLORER_THREADS];

int descriptor_open(const char *path, int flags, unsigned mode)
{
  (void)path;
  (void)flags;
  (void)mode;
  is_made[explorer_thread()] = 1;
  return 3;
}

static void remove_file(const char *path)
{
  if (path[0] == (char)('A' + explorer_thread()))
    is_made[explorer_thread()] = 0;
  else
    is_removed[path[0] - 'A'] = 1;
}

static struct writer writers[EXPLORER_THREADS]; /* not on stacks: whoever ends the process reads none of them */

static void leave_unfinished(void)
{
  (void)writer_open(&writers[explorer_thread()], "");
}

static void write_and_discard(void)
{
  struct writer *writer = &writers[explorer_thread()];
  if (writer_open(writer, "") == 0)
    writer_discard(writer);
}

static void expect_nothing_left(void)
{
  for (unsigned i = 0; i < EXPLORER_THREADS; i++)
    explorer_require(!is_made[i] || is_removed[i]);
}

/* At the end only one writer is there, and one place. */
static void leave_one_place(void)
{
  for (unsigned place = 1; place < UNFINISHED_MAX; place++)
    atomic_store_explicit(&unfinished[place].taken_in, PROCESS_EPOCH_FIRST, memory_order_relaxed);
}

static const struct explorer_scenario one_writes = {.name = "the process ends while one writes",
                                                    .set_up = leave_one_place,
                                                    .threads = {leave_unfinished, writer_remove_unfinished},
                                                    .finish = expect_nothing_left};
static const struct explorer_scenario place_is_taken = {
    .name = "and a place is taken again",
    .set_up = leave_one_place,
    .threads = {write_and_discard, leave_unfinished, writer_remove_unfinished}};

static const struct explorer_scenario *const scenarios[] = {&one_writes, &place_is_taken};

ORDER_MAIN(no_file_is_left, "core/process.h", "core/sys.h", NULL)
