/* SPDX-License-Identifier: MIT */
#include "core/cfi/objects.h"

#include "core/arch/arch.h"
#include "core/cfi/locate.h"
#include "core/loader/loaded.h"
#include "core/on_stack.h"
#include "core/sys.h"

#include <errno.h>
#include <link.h>

/* The loader's answer takes room that nobody needs later. */
NOINLINE bool objects_ask_loader(uintptr_t pc, struct object_holder *holder)
{
  struct dl_find_object found;
  if (!loaded_find(pc, &found))
    return false;
  *holder = (struct object_holder){found.dlfo_link_map, found.dlfo_eh_frame};
  return true;
}

/* Under modules_lock. */

struct question {
  uintptr_t pc;
  bool asks_for_table;
  bool is_known, is_new_table; /* the answer */
};

static void put(const struct module *module, uintptr_t pc)
{
  struct object_holder holder = {module->link_map, module->eh_frame_hdr};
  struct cfi_object object = {.code = module_segment(module, pc), .entry = module->entry, .frames = module->frames};
  if (object.code.high == 0) {
    object.code = module->image;
    object.flags |= CFI_OBJECT_OPAQUE;
  }
  if (modules_are_permanent(module))
    object.flags |= CFI_OBJECT_PERMANENT;
  if (module->frames_are_checked)
    object.flags |= CFI_OBJECT_CHECKED;
  if (module->keeps_frames)
    object.flags |= CFI_OBJECT_KEEPS_FRAMES;
  object_cache_put(&holder, &object);
}

static struct module *find(uintptr_t pc)
{
  struct module *module = modules_find(pc);
  if (module != NULL && !module->frames_are_known)
    locate_frames(module);
  return module;
}

static void ask(void *argument)
{
  struct question *question = argument;
  struct module *module = find(question->pc);
  if (module == NULL)
    return;
  if (question->asks_for_table)
    question->is_new_table = locate_sort_if_needed(module);
  put(module, question->pc);
  question->is_known = true;
}

static void ask_for_all(void *unused)
{
  (void)unused;
  for (const struct link_map *map = modules_next_permanent(NULL); map != NULL; map = modules_next_permanent(map)) {
    const struct module *module = find((uintptr_t)map->l_ld); /* which lies in the object */
    for (unsigned i = 0; module != NULL && i < module->readable_count; i++)
      put(module, module->readable[i].low);
  }
}

/* A new module is described with its path, which is looked up. */
enum { ASKING_STACK_BYTES = 16 << 10 };
static LARGE char asking_stack[ASKING_STACK_BYTES]; /* not mapped: that could be refused */

static bool ask_modules(void (*what)(void *), struct question *question)
{
  if (!sys_may_call(SYS_rt_sigprocmask))
    return false;
  int saved_errno = errno;
  struct blocked_signals before = signals_block();
  bool is_asked = lock_try_for_a_moment(&modules_lock);
  if (is_asked) {
    arch_call_on_stack(what, question, asking_stack + ASKING_STACK_BYTES);
    lock_release(&modules_lock);
  }
  signals_restore(before);
  errno = saved_errno;
  return is_asked;
}

static NOINLINE enum objects_learned learn(struct question *question)
{
  if (!ask_modules(ask, question))
    return OBJECTS_BUSY;
  return question->is_known ? OBJECTS_LEARNED : OBJECTS_NONE;
}

enum objects_learned objects_learn(uintptr_t pc)
{
  struct question question = {.pc = pc};
  return learn(&question);
}

void objects_foresee(void)
{
  (void)ask_modules(ask_for_all, NULL);
}

static NOINLINE bool is_checked(const struct object_holder *holder, uintptr_t pc)
{
  struct cfi_object object;
  return !object_cache_get(holder, pc, &object) || (object.flags & CFI_OBJECT_CHECKED) != 0;
}

bool objects_check_table(const struct object_holder *holder, uintptr_t pc)
{
  struct question question = {.pc = pc, .asks_for_table = true};
  return !is_checked(holder, pc) && learn(&question) == OBJECTS_LEARNED && question.is_new_table;
}
