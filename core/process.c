/* SPDX-License-Identifier: MIT */
#include "core/process.h"

#include "core/sys.h"

enum { PAGE_BYTES = 4096 };

/* What is wiped on fork. */
struct page {
  _Atomic uint64_t token;
  _Atomic uint64_t has_begun_epoch; /* this process, and not only its parent */
};

static struct page early_page = {.token = 1, .has_begun_epoch = 1}; /* before the constructor has run */
static struct page *page = &early_page;
_Atomic uint64_t *process_token = &early_page.token;
_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;

bool process_init(void)
{
  struct page *fresh = sys_map_anonymous(PAGE_BYTES);
  if (fresh == NULL)
    return false;
  (void)sys_madvise(fresh, PAGE_BYTES, MADV_WIPEONFORK); /* refused by kernels before 4.14: see process_was_forked */
  atomic_store_explicit(&fresh->token, 1, memory_order_relaxed);
  atomic_store_explicit(&fresh->has_begun_epoch, 1, memory_order_relaxed);
  page = fresh;
  process_token = &fresh->token;
  return true;
}

/* By a process with one thread, or by the one that adopts: the others see it with the token. */
static void move_epoch(void)
{
  uint64_t next = process_epoch() + PROCESS_EPOCH_FIRST;
  atomic_store_explicit(&process_current_epoch, next != 0 ? next : PROCESS_EPOCH_FIRST, memory_order_relaxed);
  atomic_store_explicit(&page->has_begun_epoch, 1, memory_order_relaxed);
}

void process_was_forked(void)
{
  atomic_store_explicit(process_token, 0, memory_order_relaxed);
  move_epoch();
}

void process_begin_epoch(void)
{
  if (atomic_load_explicit(&page->has_begun_epoch, memory_order_relaxed) == 0)
    move_epoch();
}

void process_set_settled(void)
{
  atomic_store_explicit(process_token, 1, memory_order_release /* pairs with process_is_settled */);
}
