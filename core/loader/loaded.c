/* SPDX-License-Identifier: MIT */
#include "core/loader/loaded.h"

#include "core/libc.h"
#include "core/lock.h"
#include "core/object_image.h"
#include "core/on_stack.h"
#include "core/region.h"

#include <elf.h>
#include <link.h>

static loaded_finder *find_object; /* NULL: there is nothing to ask */

enum { OBJECTS_MAX = 1024, ADDING_STACK_BYTES = 8 << 10 };

struct object {
  const struct link_map *original;
  struct link_map map; /* as glibc would have it: the program has no name, and the vDSO has one */
  struct address_range range;
  void *eh_frame_hdr;
};

/* The i-th of the loader's list is the i-th of ours, so whoever writes an entry twice writes the same. */
static struct list {
  _Alignas(16) char adding_stack[ADDING_STACK_BYTES];
  struct lock adding;
  const volatile int *loader_state; /* RT_CONSISTENT: the loader's list is whole. NULL: nothing comes any more */
  _Atomic unsigned openings;        /* of musl's dlopen that are under way */
  _Atomic uintptr_t opener;         /* who made the first of them */
  _Atomic unsigned count;
  struct object objects[OBJECTS_MAX];
} * list; /* NULL: it is not needed */

/* Reading the loader's list. */

static void *eh_frame_hdr_of(const struct object_image *image)
{
  for (unsigned i = 0; i < image->count; i++)
    if (image->headers[i].p_type == PT_GNU_EH_FRAME)
      return (void *)(image->bias + image->headers[i].p_vaddr);
  return NULL;
}

/* musl gives the program its path, and the vDSO no name. */
static char *name_of(const struct link_map *original, unsigned position)
{
  static char of_vdso[] = "linux-vdso.so.1";
  if (position == 0)
    return of_vdso + sizeof of_vdso - 1;
  return original->l_name != NULL && original->l_name[0] != '\0' ? original->l_name : of_vdso;
}

static void describe(const struct link_map *original, unsigned position)
{
  struct object *object = &list->objects[position];
  object->original = original;
  object->map.l_addr = original->l_addr;
  object->map.l_ld = original->l_ld;
  object->map.l_name = name_of(original, position);
  struct dl_find_object found = {.dlfo_map_start = (void *)original->l_addr, .dlfo_link_map = &object->map};
  struct object_image image;
  if (object_image_open(&found, &image)) {
    object->eh_frame_hdr = eh_frame_hdr_of(&image);
    object->range = image.range;
  }
  if (position > 0) {
    object->map.l_prev = &list->objects[position - 1].map;
    list->objects[position - 1].map.l_next = &object->map;
  }
}

static bool add(const struct link_map *original)
{
  unsigned position = atomic_load_explicit(&list->count, memory_order_relaxed);
  if (original == NULL || position == OBJECTS_MAX || !sys_is_readable((uintptr_t)original))
    return false;
  describe(original, position);
  return atomic_compare_exchange_strong_explicit(&list->count, &position, position + 1,
                                                 memory_order_release /* pairs with find */, memory_order_relaxed);
}

/* Looking in ours. */

static const struct object *find(uintptr_t pc)
{
  unsigned count = atomic_load_explicit(&list->count, memory_order_acquire /* pairs with add */);
  for (unsigned i = 0; i < count; i++)
    if (pc >= list->objects[i].range.low && pc < list->objects[i].range.high)
      return &list->objects[i];
  return NULL;
}

/* Whoever runs in what a dlopen has brought is behind it; only what is being brought now may go again. */
static bool may_add(void)
{
  unsigned under_way = atomic_load(&list->openings);
  bool is_own = under_way == 1 && atomic_load(&list->opener) == lock_thread_identity();
  return (under_way == 0 || is_own) && *list->loader_state == RT_CONSISTENT;
}

static void add_until_found(void *argument)
{
  uintptr_t pc = *(const uintptr_t *)argument;
  while (may_add() && add(list->objects[atomic_load(&list->count) - 1].original->l_next) && find(pc) == NULL)
    ;
}

/* On a stack of ours: the caller's may be short. */
static NOINLINE void look_further(uintptr_t pc)
{
  if (list->loader_state == NULL || !may_add() || !sys_may_call(SYS_rt_sigprocmask))
    return;
  struct blocked_signals before = signals_block();
  if (lock_try_for_a_moment(&list->adding)) {
    arch_call_on_stack(add_until_found, &pc, list->adding_stack + ADDING_STACK_BYTES);
    lock_release(&list->adding);
  }
  signals_restore(before);
}

static int find_in_list(void *pc, struct dl_find_object *result)
{
  const struct object *found = find((uintptr_t)pc);
  if (found == NULL) {
    look_further((uintptr_t)pc);
    found = find((uintptr_t)pc);
  }
  if (found == NULL)
    return -1;
  *result = (struct dl_find_object){.dlfo_map_start = (void *)found->range.low,
                                    .dlfo_map_end = (void *)found->range.high,
                                    .dlfo_link_map = (struct link_map *)&found->map,
                                    .dlfo_eh_frame = found->eh_frame_hdr};
  return 0;
}

/* For others. */

static void make_list(const struct link_map *first, const int *loader_state)
{
  list = first != NULL ? sys_map_anonymous(sizeof *list) : NULL;
  if (list == NULL)
    return;
  region_add_own(list, sizeof *list);
  for (const struct link_map *map = first; map != NULL && add(map); map = map->l_next)
    ;
  list->loader_state = loader_state;
  find_object = find_in_list;
}

void loaded_init(loaded_finder *of_libc, const struct link_map *first, const int *loader_state)
{
  find_object = of_libc;
  if (of_libc == NULL)
    make_list(first, loader_state);
}

bool loaded_are_known(void)
{
  return find_object != NULL;
}

bool loaded_are_all_known(void)
{
  return find_object != NULL && (list == NULL || list->loader_state != NULL);
}

bool loaded_find(uintptr_t pc, struct dl_find_object *object)
{
  return find_object != NULL && find_object((void *)pc, object) == 0;
}

bool loaded_are_changing(void)
{
  return UNLIKELY(list != NULL) && list->loader_state != NULL && (!may_add() || atomic_load(&list->adding.holder) != 0);
}

void loaded_begin_opening(void)
{
  if (list == NULL)
    return;
  if (atomic_fetch_add(&list->openings, 1) == 0)
    atomic_store(&list->opener, lock_thread_identity());
  /* Whoever follows the list meanwhile has seen no opening: until then nothing may be taken back. */
  if (lock_try_for_a_moment(&list->adding))
    lock_release(&list->adding);
}

void loaded_end_opening(void)
{
  if (list != NULL)
    atomic_fetch_sub(&list->openings, 1);
}

void loaded_was_forked(void)
{
  if (list != NULL)
    atomic_store(&list->openings,
                 atomic_load(&list->openings) > 0 && atomic_load(&list->opener) == lock_thread_identity());
}
