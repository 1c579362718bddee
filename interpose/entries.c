/* SPDX-License-Identifier: MIT */
#include "interpose/entries.h"

#include "core/compiler.h"
#include "core/libc.h"
#include "core/region.h"
#include "core/region_hooks.h"
#include "core/text.h"
#include "interpose/object.h"
#include "interpose/patch/beside.h"
#include "interpose/patch/own.h"
#include "interpose/real.h"

static bool are_beside;
static uint32_t hooks; /* of a process that has been running */

/* Nobody calls our malloc by its name. */
static const char *take_over_own_malloc(const char *executable)
{
  static LARGE char reason[192];
  if (libc_is_musl())
    return "the program, or a library before this one, brings its own malloc: its calls do not come here";
  const char *refusal = own_take_over(executable, executable);
  if (refusal == NULL) {
    region_note_hooks(REGION_HOOKS_OWN);
    return NULL;
  }
  struct text text = TEXT_INIT(reason);
  text_put(&text, "the program, or a library before this one, brings its own malloc: its calls do not come here (");
  text_put(&text, refusal);
  text_put(&text, ")");
  return reason;
}

const char *entries_take_over(const char *executable, bool is_announced)
{
  const char *reason = real_is_interposed() ? NULL : take_over_own_malloc(executable);
  uint32_t beside = reason == NULL && !libc_is_musl() ? beside_take_over(executable, is_announced) : 0;
  are_beside = (beside & ((1u << REGION_HOOKS_REFUSED_SHIFT) - 1)) != 0;
  region_note_hooks(beside);
  return reason;
}

/* By the file that it executes, which may have got a younger one in its place. */
const char *entries_prepare_late(const char *executable)
{
  static const char file[] = "/proc/self/exe";
  static bool is_prepared;
  static const char *reason;
  if (is_prepared || libc_is_musl())
    return reason;
  is_prepared = true;
  bool is_own = real_allocator()->name != NULL && real_allocator()->name[0] == '\0';
  reason = is_own ? own_take_over(executable, file) : NULL;
  if (reason != NULL)
    return reason;
  uint32_t beside = beside_take_over(file, false);
  are_beside = (beside & ((1u << REGION_HOOKS_REFUSED_SHIFT) - 1)) != 0;
  hooks = beside | (is_own ? REGION_HOOKS_OWN : 0);
  region_note_hooks(hooks);
  return NULL;
}

uint32_t entries_late_hooks(void)
{
  return hooks;
}

bool entries_are_beside(void)
{
  return are_beside;
}
