/* SPDX-License-Identifier: MIT */
#include "core/cfi/objects.h"

#include "core/arch/arch.h"
#include "core/cfi/locate.h"
#include "core/cfi/readers.h"
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

static struct cfi_object object_of(const struct module *module, uintptr_t pc)
{
  struct cfi_object object = {.code = module_segment(module, pc), .entry = module->entry, .frames = module->frames};
  if (object.code.high == 0) {
    object.code = module->image;
    object.flags |= CFI_OBJECT_OPAQUE;
  }
  if (modules_are_permanent(module->link_map))
    object.flags |= CFI_OBJECT_PERMANENT;
  if (module->frames_are_checked)
    object.flags |= CFI_OBJECT_CHECKED;
  if (module->keeps_frames)
    object.flags |= CFI_OBJECT_KEEPS_FRAMES;
  return object;
}

/* Under modules_lock. */

static void put(const struct module *module, const struct cfi_object *object)
{
  struct object_holder holder = {module->link_map, module->eh_frame_hdr};
  object_cache_put(&holder, object);
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
  struct objects_question *question = argument;
  struct module *module = find(question->pc);
  if (module == NULL)
    return;
  if (question->asks_for_table)
    locate_sort_if_needed(module);
  struct cfi_object object = object_of(module, question->pc);
  put(module, &object);
  question->use(&object, question);
  question->learned = OBJECTS_LEARNED;
}

static void ask_for_all(void *unused)
{
  (void)unused;
  for (const struct link_map *map = modules_next_permanent(NULL); map != NULL; map = modules_next_permanent(map)) {
    const struct module *module = find((uintptr_t)map->l_ld); /* which lies in the object */
    for (unsigned i = 0; module != NULL && i < module->readable_count; i++) {
      struct cfi_object object = object_of(module, module->readable[i].low);
      put(module, &object);
    }
  }
}

/* A new module is described with its path, which is looked up. */
enum { ASKING_STACK_BYTES = 16 << 10 };
static LARGE char asking_stack[ASKING_STACK_BYTES]; /* not mapped: that could be refused */

/* A fork keeps the lock for as long as it takes: who comes meanwhile need not wait each time. */
static _Atomic bool is_kept;

static NOINLINE bool take_modules(void)
{
  bool is_taken = atomic_load_explicit(&is_kept, memory_order_relaxed) ? lock_try(&modules_lock)
                                                                       : lock_try_for_a_moment(&modules_lock);
  atomic_store_explicit(&is_kept, !is_taken, memory_order_relaxed);
  return is_taken;
}

static ALWAYS_INLINE bool ask_modules(void (*what)(void *), struct objects_question *question)
{
  if (!sys_may_call(SYS_rt_sigprocmask))
    return false;
  int saved_errno = errno;
  struct blocked_signals before = signals_block();
  bool is_asked = take_modules();
  if (is_asked) {
    arch_call_on_stack(what, question, asking_stack + ASKING_STACK_BYTES);
    lock_release(&modules_lock);
  }
  signals_restore(before);
  errno = saved_errno;
  return is_asked;
}

void objects_foresee(void)
{
  (void)ask_modules(ask_for_all, NULL);
}

/* Without the lock. */

static void see(void *argument)
{
  struct objects_question *question = argument;
  struct module module;
  if (!modules_look(question->pc, &module) || !locate_noted_frames(&module))
    return;
  struct cfi_object object = object_of(&module, question->pc);
  question->use(&object, question);
  question->learned = OBJECTS_SEEN;
}

/* What is being unloaded is not looked at: it may be gone. */
static NOINLINE void see_without_lock(struct objects_question *question)
{
  enum { LOOKING_STACK_BYTES = 8 << 10 };
  int saved_errno = errno;
  question->learned = OBJECTS_BUSY;
  if (sys_may_call(SYS_rt_sigprocmask) &&
      (modules_are_permanent(question->holder->link_map) || !readers_see_unloading()))
    (void)on_fresh_stack(see, question, LOOKING_STACK_BYTES);
  errno = saved_errno;
}

/* For all. */

bool objects_use_known(struct objects_question *question)
{
  struct cfi_object object;
  if (UNLIKELY(!object_cache_get(question->holder, question->pc, &object)))
    return false;
  question->learned = OBJECTS_LEARNED;
  question->use(&object, question);
  return true;
}

void objects_learn(struct objects_question *question)
{
  question->learned = OBJECTS_NONE;
  if (!ask_modules(ask, question))
    see_without_lock(question);
}

struct table_question {
  struct objects_question question;
  uintptr_t table;
};

static void note_table(const struct cfi_object *object, struct objects_question *question)
{
  ((struct table_question *)question)->table = object->frames.table;
}

enum objects_table objects_check_table(uintptr_t pc, uintptr_t table)
{
  struct table_question now = {.question = {.pc = pc, .use = note_table, .asks_for_table = true}, .table = table};
  if (!ask_modules(ask, &now.question))
    return OBJECTS_TABLE_UNKNOWN;
  return now.table == table ? OBJECTS_TABLE_IS_RIGHT : OBJECTS_TABLE_IS_NEW;
}
