/* SPDX-License-Identifier: MIT */
#include "interpose/patch/late.h"

#include "core/arch/arch.h"
#include "core/compiler.h"
#include "core/region.h"
#include "core/sampler.h"
#include "core/settle.h"
#include "core/text.h"
#include "interpose/inert.h"
#include "interpose/lifecycle.h"
#include "interpose/object.h"
#include "interpose/patch/hooks_whole.h"
#include "interpose/patch/patch.h"
#include "interpose/real.h"

#include <elf.h>
#include <errno.h>
#include <gnu/lib-names.h>
#include <string.h>

extern HIDDEN const char __ehdr_start[];

/* All that gives memory out or takes it back, where the allocator has it. */
static const char *const allocating[] = {
#define LATE(symbol) #symbol,
#define LATE_c(symbol) LATE(symbol)
#define LATE_sized(symbol) LATE(symbol)
#define LATE_aligned(symbol) LATE(symbol)
#define LATE_bsd(symbol) LATE(symbol)
#define LATE_cxx(symbol) LATE(symbol)
#define LATE_jemalloc(symbol) LATE(symbol)
#define LATE_process(symbol)
#define LATE_mapping(symbol)
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) LATE_##group(symbol)
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK
};

_Static_assert(COUNT_OF(allocating) <= PATCHES_MAX, "a patch for each");

/* What we must know of: libraries that go, filters of system calls, an end without exit. dlopen needs no hook: there
 * are no calls that could go past ours. */
static const char *const noticed[] = {"dlclose", "prctl", "syscall", "_exit", "_Exit", "quick_exit"};

static const char *const freeing[] = {"free",  "cfree",   "free_sized", "free_aligned_sized",
                                      "vfree", "dallocx", "sdallocx"};

/* Of one object. */
struct part {
  struct object object;
  struct patch patches[PATCHES_MAX];
  size_t count;
};

static LARGE struct {
  struct object ours;
  struct part allocator, libc;
  struct patch_change changes[2 * PATCHES_MAX];
  size_t change_count;
  struct attachment_change planned[ATTACHMENT_CHANGES_MAX];
  bool is_planned;
  char reason[ATTACHMENT_TEXT_BYTES];
} late;

/* Who is between the two steps; nobody else may begin. */
static _Atomic int is_busy;
static _Atomic bool is_in_force;

static int find_objects(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct object object;
  (void)size;
  (void)argument;
  if (!object_read(info, &object))
    return 0;
  if (object_holds(&object, (uintptr_t)__ehdr_start))
    late.ours = object;
  else if (late.libc.object.name == NULL && strcmp(text_basename(object.name), LIBC_SO) == 0)
    late.libc.object = object;
  return 0;
}

static const char *add_patch(struct part *part, const char *symbol, bool is_known)
{
  struct object_query query = object_query(symbol);
  const ElfW(Sym) *found = object_export(&part->object, &query);
  if (found == NULL)
    return NULL;
  if (ELF64_ST_TYPE(found->st_info) != STT_FUNC)
    return "one of its functions is chosen by a call";
  const void *hook = is_known ? NULL : hooks_whole_find(symbol);
  part->patches[part->count++] = (struct patch){.symbol = symbol,
                                                .function = (const uint8_t *)(part->object.bias + found->st_value),
                                                .bytes = found->st_size,
                                                .hook = hook != NULL ? hook : object_find(&late.ours, symbol),
                                                .is_alone = strcmp(symbol, "malloc") == 0,
                                                .has_no_tables = is_known};
  return NULL;
}

static bool is_passed_on(const char *symbol)
{
  return strcmp(symbol, "malloc_usable_size") == 0;
}

static const char *add_allocating(struct part *part)
{
  const char *reason = NULL;
  for (size_t i = 0; i < COUNT_OF(allocating) && reason == NULL; i++)
    if (!is_passed_on(allocating[i]))
      reason = add_patch(part, allocating[i], false);
  return reason;
}

static const char *add_noticed(struct part *part)
{
  const char *reason = NULL;
  for (size_t i = 0; i < COUNT_OF(noticed) && reason == NULL; i++)
    reason = add_patch(part, noticed[i], true);
  return reason;
}

static const char *plan_part(struct part *part)
{
  size_t count = 0;
  if (part->count == 0)
    return NULL;
  const char *reason = patch_plan(&part->object, part->patches, part->count, late.changes + late.change_count, &count);
  if (reason == NULL)
    late.change_count += count;
  return reason;
}

static bool is_freeing(const struct patch *patch)
{
  bool is_delete = strncmp(patch->symbol, "_ZdlPv", 6) == 0 || strncmp(patch->symbol, "_ZdaPv", 6) == 0;
  for (size_t i = 0; i < COUNT_OF(freeing) && !is_delete; i++)
    if (strcmp(patch->symbol, freeing[i]) == 0)
      return true;
  return is_delete;
}

static bool is_freed_by(const struct patch_change *change)
{
  for (size_t i = 0; i < late.allocator.count; i++) {
    const struct patch *patch = &late.allocator.patches[i];
    if ((uintptr_t)change->code - (uintptr_t)patch->function < ENTRY_CHANGED_MAX && is_freeing(patch))
      return true;
  }
  return false;
}

/* Those that free come first. */
static void plan_turn(bool is_freeing_turn, size_t *count)
{
  for (size_t i = 0; i < late.change_count; i++) {
    const struct patch_change *change = &late.changes[i];
    if (is_freed_by(change) != is_freeing_turn)
      continue;
    struct attachment_change *planned = &late.planned[(*count)++];
    *planned = (struct attachment_change){.address = (uintptr_t)change->code, .bytes = (uint32_t)change->bytes};
    memcpy(planned->now, change->code, change->bytes);
    memcpy(planned->then, change->then, change->bytes);
  }
}

static const char *check_plan(void)
{
  if (late.change_count > ATTACHMENT_CHANGES_MAX)
    return "it has too many functions";
  size_t count = 0;
  plan_turn(true, &count);
  plan_turn(false, &count);
  return NULL;
}

static const char *find_parts(void)
{
  (void)object_each(find_objects, NULL);
  late.allocator.object = *real_allocator();
  if (late.ours.name == NULL || late.libc.object.name == NULL || late.allocator.object.name == NULL)
    return "its symbols are not found";
  if (late.allocator.object.name[0] == '\0')
    return "it is part of the program itself: only a start under heapprof run puts hooks there";
  late.allocator.count = late.libc.count = late.change_count = 0;
  bool is_libcs = late.allocator.object.dynamic == late.libc.object.dynamic;
  const char *reason = add_allocating(&late.allocator);
  return reason == NULL ? add_noticed(is_libcs ? &late.allocator : &late.libc) : reason;
}

static void take_originals(const struct part *part)
{
  for (size_t i = 0; i < part->count; i++)
    real_change(part->patches[i].symbol, part->patches[i].original);
}

/* Once: rooms and hooks stay as they are. */
static const char *plan(void)
{
  const char *reason = find_parts();
  reason = reason == NULL ? plan_part(&late.allocator) : reason;
  reason = reason == NULL ? plan_part(&late.libc) : reason;
  reason = reason == NULL ? check_plan() : reason;
  if (reason != NULL) {
    struct text text = TEXT_INIT(late.reason);
    text_put(&text, "its allocator can't be hooked: ");
    text_put(&text, reason);
    return late.reason;
  }
  real_change_allocator(&late.allocator.object, late.allocator.object.name);
  take_originals(&late.allocator);
  take_originals(&late.libc);
  late.is_planned = true;
  return NULL;
}

static void give_changes(struct attachment *attachment)
{
  size_t count = late.change_count;
  for (size_t i = 0; i < count; i++) {
    attachment->changes[i] = late.planned[i];
    if (attachment->wish == ATTACHMENT_ON)
      continue;
    attachment->changes[i] = late.planned[count - 1 - i];
    memcpy(attachment->changes[i].now, late.planned[count - 1 - i].then, ATTACHMENT_CHANGE_BYTES);
    memcpy(attachment->changes[i].then, late.planned[count - 1 - i].now, ATTACHMENT_CHANGE_BYTES);
  }
  attachment->change_count = (uint32_t)count;
}

static enum attachment_answer refuse(struct attachment *attachment, const char *reason)
{
  struct text text = TEXT_INIT(attachment->reason);
  text_put(&text, reason);
  return ATTACHMENT_REFUSED;
}

/* What was started with the library. */
static enum attachment_answer begin_early(struct attachment *attachment)
{
  if (inert_reason() != NULL)
    return refuse(attachment, inert_reason());
  if (attachment->wish == ATTACHMENT_ON)
    sampler_switch(SAMPLER_STOPPED, SAMPLER_ON);
  else
    sampler_switch(SAMPLER_ON, SAMPLER_STOPPED);
  return ATTACHMENT_SETTLED;
}

static enum attachment_answer begin_late(struct attachment *attachment)
{
  const char *reason = NULL;
  if (attachment->wish == ATTACHMENT_OFF) {
    sampler_switch(SAMPLER_ON, SAMPLER_STOPPED);
    if (!late.is_planned)
      return ATTACHMENT_SETTLED;
    give_changes(attachment);
    return ATTACHMENT_READY;
  }
  if (!late.is_planned)
    reason = lifecycle_may_begin_late(attachment->program, attachment->settings);
  if (reason == NULL && !late.is_planned)
    reason = plan();
  if (reason == NULL && inert_reason() != NULL)
    reason = lifecycle_begin_late();
  if (reason != NULL)
    return refuse(attachment, reason);
  if (atomic_load(&is_in_force)) {
    sampler_switch(SAMPLER_STOPPED, SAMPLER_ON);
    return ATTACHMENT_SETTLED;
  }
  give_changes(attachment);
  return ATTACHMENT_READY;
}

static enum attachment_answer begin(struct attachment *attachment)
{
  int nobody = 0;
  if (attachment->version != ATTACHMENT_VERSION || attachment->bytes != sizeof *attachment)
    return refuse(attachment, "its library is of another version than this command");
  if (!atomic_compare_exchange_strong(&is_busy, &nobody, 1))
    return refuse(attachment, "somebody else is attaching to it or detaching from it");
  real_ensure();
  enum attachment_answer answer = real_is_late() ? begin_late(attachment) : begin_early(attachment);
  struct text allocator = TEXT_INIT(attachment->allocator);
  text_put(&allocator, real_allocator_path());
  attachment->sample_interval_bytes = sampler_interval();
  if (answer != ATTACHMENT_READY)
    atomic_store(&is_busy, 0);
  return answer;
}

static enum attachment_answer end(struct attachment *attachment)
{
  enum attachment_answer answer = (enum attachment_answer)atomic_load(&attachment->answer);
  if (answer != ATTACHMENT_READY)
    return answer;
  bool is_changed = atomic_load(&attachment->is_changed) != 0;
  if (is_changed)
    atomic_store(&is_in_force, attachment->wish == ATTACHMENT_ON);
  if (is_changed && attachment->wish == ATTACHMENT_ON) {
    region_note_attached();
    settle_begin(); /* who has attached wants to see it, also before it allocates much */
    sampler_switch(SAMPLER_STOPPED, SAMPLER_ON);
  }
  atomic_store(&is_busy, 0);
  return is_changed ? ATTACHMENT_IN_FORCE : ATTACHMENT_NOT_CHANGED;
}

ARCH_ENTRY int ATTACHMENT_FUNCTION(struct attachment *attachment, int step)
{
  int saved_errno = errno;
  atomic_store(&attachment->answer, step == ATTACHMENT_BEGIN ? begin(attachment) : end(attachment));
  errno = saved_errno;
  return 0;
}
