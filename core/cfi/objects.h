/* SPDX-License-Identifier: MIT */
/* The object that holds a pc: asked of the loader without a lock, then looked up in a cache (object_cache.h). One that
 * is not there is looked up, and recorded if it is new, under modules_lock, on a stack of ours, with signals blocked:
 * once for each, in the usual case. Where another thread keeps the lock (it has lost its processor, or forks), the
 * object is looked at without it, so that the walk goes on.
 *
 * Threads, signals: safe. Stack: 200 bytes. Memory: a stack of 16 KiB; one that is mapped for such a look.
 */
#ifndef HEAPPROF_CFI_OBJECTS_H
#define HEAPPROF_CFI_OBJECTS_H

#include "core/cfi/object_cache.h"
#include "core/modules.h"

#include <stdbool.h>
#include <stdint.h>

/* False: none does. */
bool objects_ask_loader(uintptr_t pc, struct object_holder *holder);

enum objects_learned {
  OBJECTS_LEARNED,
  OBJECTS_SEEN, /* that is right, but nobody else is told: the next one who asks shall learn it */
  OBJECTS_NONE, /* no object, or no room to record it */
  OBJECTS_BUSY, /* not now: signals can't be blocked, it may be unloaded, or that takes the lock */
};

/* To be kept in what the user needs besides. */
struct objects_question {
  const struct object_holder *holder; /* what the loader said */
  uintptr_t pc;
  void (*use)(const struct cfi_object *object, struct objects_question *question);
  bool asks_for_table;
  enum objects_learned learned : 8;
};

/* Calls question->use with what is known of the object or can be found out; in the last two cases it is not called. The
 * object is a copy: in the cache others may write it again. What is not from there is used with signals blocked and on
 * a stack of ours. */
bool objects_use_known(struct objects_question *question);
void objects_learn(struct objects_question *question);

static ALWAYS_INLINE void objects_answer(struct objects_question *question)
{
  if (UNLIKELY(!objects_use_known(question)))
    objects_learn(question);
}

/* Those that the program started with: soon nothing may be asked. */
void objects_foresee(void);

/* Nothing was found for the pc by this table of its object's, which is not CFI_OBJECT_CHECKED. */
enum objects_table {
  OBJECTS_TABLE_IS_RIGHT,
  OBJECTS_TABLE_IS_NEW, /* there is another one now */
  OBJECTS_TABLE_UNKNOWN /* it can't be told now: the entries themselves can be read */
};
enum objects_table objects_check_table(uintptr_t pc, uintptr_t table);

#endif
