/* SPDX-License-Identifier: MIT */
#include "interpose/late.h"

#include "core/arch/arch.h"
#include "core/compiler.h"
#include "core/lock.h"
#include "core/modules.h"
#include "core/on_stack.h"
#include "core/record.h"
#include "core/region.h"
#include "core/sampler.h"
#include "core/settle.h"
#include "core/sys.h"
#include "core/text.h"
#include "interpose/entries.h"
#include "interpose/inert.h"
#include "interpose/lifecycle.h"
#include "interpose/object.h"
#include "interpose/patch/running.h"
#include "interpose/real.h"
#include "interpose/rebind.h"

#include <errno.h>
#include <stdatomic.h>

static _Atomic int is_busy;
static bool is_begun, is_in_force; /* belong to whoever made `is_busy` 1 */
static bool are_entries_hooked;

static enum attachment_answer refuse(struct attachment *attachment, const char *reason)
{
  struct text text = TEXT_INIT(attachment->reason);
  text_put(&text, reason);
  return ATTACHMENT_REFUSED;
}

/* What was started with the library. */
static enum attachment_answer change_early(struct attachment *attachment)
{
  if (inert_reason() != NULL)
    return refuse(attachment, inert_reason());
  if (attachment->wish == ATTACHMENT_ON)
    sampler_switch(SAMPLER_STOPPED, SAMPLER_ON);
  else
    sampler_switch(SAMPLER_ON, SAMPLER_STOPPED);
  return ATTACHMENT_SETTLED;
}

/* The file is that of the kernel: the program may be in another folder by now. */
static const char *prepare_entries(void)
{
  static LARGE char reason[ATTACHMENT_TEXT_BYTES];
  char executable[MODULE_PATH_MAX] = "";
  (void)sys_readlink("/proc/self/exe", executable, sizeof executable - 1);
  const char *refusal = entries_prepare_late(executable);
  if (refusal == NULL)
    return NULL;
  struct text text = TEXT_INIT(reason);
  text_put(&text, "it brings its own malloc, whose functions get no hooks while it runs: ");
  text_put(&text, refusal);
  text_put(&text, "; heapprof run may start it with hooks");
  return reason;
}

/* A fork waits meanwhile, so that a child has all of them or none. */
static bool put_entries(bool are_hooked, const char **reason)
{
  if (are_entries_hooked == are_hooked)
    return true;
  struct blocked_signals before = signals_block();
  bool is_mine = lock_try_for_a_moment(&rebind_lock);
  *reason = is_mine ? running_put(are_hooked) : NULL;
  if (is_mine)
    lock_release(&rebind_lock);
  signals_restore(before);
  if (is_mine && *reason == NULL)
    are_entries_hooked = are_hooked;
  return are_entries_hooked == are_hooked;
}

/* Once. */
static const char *begin(const struct attachment *attachment)
{
  const char *reason = NULL;
  if (real_allocator()->name == NULL || !real_core_agrees())
    reason = "its allocator is not found";
  if (reason == NULL)
    reason = lifecycle_may_begin_late(attachment->program, attachment->settings);
  if (reason == NULL)
    reason = prepare_entries();
  if (reason == NULL)
    reason = lifecycle_begin_late();
  is_begun = reason == NULL;
  return reason;
}

static enum attachment_answer attach(struct attachment *attachment)
{
  const char *reason = is_begun ? NULL : begin(attachment);
  if (reason != NULL)
    return refuse(attachment, reason);
  bool was_in_force = is_in_force;
  if (!was_in_force && !(put_entries(true, &reason) && rebind_to_hooks())) {
    const char *ignored;
    (void)rebind_to_real();
    (void)put_entries(false, &ignored);
    return reason != NULL ? refuse(attachment, reason) : ATTACHMENT_NOT_NOW;
  }
  is_in_force = true;
  if (!was_in_force)
    region_note_attached();
  settle_begin(); /* who has attached wants to see it, also before it allocates much */
  sampler_switch(SAMPLER_STOPPED, SAMPLER_ON);
  attachment->has_file = region_is_in_file();
  return was_in_force ? ATTACHMENT_SETTLED : ATTACHMENT_IN_FORCE;
}

/* Where one of both does not succeed, what stays in force counts nothing while sampling is off. */
static enum attachment_answer detach(struct attachment *attachment)
{
  const char *reason = NULL;
  sampler_switch(SAMPLER_ON, SAMPLER_STOPPED);
  if (!is_in_force)
    return ATTACHMENT_SETTLED;
  if (!put_entries(false, &reason) && reason != NULL)
    return refuse(attachment, reason);
  if (are_entries_hooked || !rebind_to_real())
    return ATTACHMENT_NOT_NOW; /* its hooks stay */
  is_in_force = false;
  return ATTACHMENT_IN_FORCE;
}

static enum attachment_answer change(struct attachment *attachment)
{
  int nobody = 0;
  if (attachment->version != ATTACHMENT_VERSION || attachment->bytes != sizeof *attachment)
    return refuse(attachment, "its library is of another version than this command");
  if (!atomic_compare_exchange_strong(&is_busy, &nobody, 1))
    return refuse(attachment, "somebody else is attaching to it or detaching from it");
  real_ensure();
  enum attachment_answer answer;
  if (!real_is_late())
    answer = change_early(attachment);
  else
    answer = attachment->wish == ATTACHMENT_ON ? attach(attachment) : detach(attachment);
  struct text allocator = TEXT_INIT(attachment->allocator);
  text_put(&allocator, real_allocator_path());
  attachment->hooks = real_is_late() ? entries_late_hooks() : 0;
  attachment->sample_interval_bytes = sampler_interval();
  attachment->depth = record_depth();
  attachment->seed = sampler_seed();
  atomic_store(&is_busy, 0);
  return answer;
}

ARCH_ENTRY int ATTACHMENT_FUNCTION(struct attachment *attachment)
{
  int saved_errno = errno;
  atomic_store(&attachment->answer, change(attachment));
  errno = saved_errno;
  return 0;
}
