/* SPDX-License-Identifier: MIT */
#include "interpose/patch/patch.h"

#include "core/arch/entry.h"
#include "core/libc.h"
#include "core/sys.h"
#include "core/text.h"
#include "interpose/patch/landings.h"
#include "interpose/patch/pages.h"
#include "interpose/patch/protection.h"
#include "interpose/patch/running.h"

#include <string.h>
#include <sys/auxv.h>

enum {
  ROOM_STEP_BYTES = 64 << 10,
  ROOM_REACH_BYTES = 1 << 30, /* what lies farther below the object is not looked at */
};

_Static_assert((int)LANDINGS_MAX >= (int)PATCHES_MAX, "one for each");
_Static_assert((int)PAGES_MAX >= 2 * PATCHES_MAX, "an entry may lie across the end of a page");

/* The work on one object, by one thread. */
static LARGE struct work {
  struct patch *patches;
  size_t count;
  bool is_running; /* other threads may be anywhere */
  struct entry_text text;
  uint64_t text_offset; /* in the file */
  struct entry entries[PATCHES_MAX];
  bool is_alias[PATCHES_MAX]; /* of an earlier one */
  struct landing landings[PATCHES_MAX];
  uint8_t *room;
  size_t room_bytes, page_bytes;
  struct pages pages;
} work;

static LARGE char reason_buffer[128];

static const char *about(const struct patch *patch, const char *reason)
{
  struct text text = TEXT_INIT(reason_buffer);
  text_put(&text, patch->prefix != NULL ? patch->prefix : "");
  text_put(&text, patch->symbol);
  text_put(&text, " ");
  text_put(&text, reason);
  return reason_buffer;
}

/* The process is where its folder says that it has one task: two links of its own, and one of that. */
static bool has_one_thread(void)
{
  struct stat status;
  return sys_stat("/proc/self/task", &status) == 0 && status.st_nlink == 3;
}

extern HIDDEN const char __ehdr_start[];

static const char *find_text(const struct object *object)
{
  uintptr_t function = (uintptr_t)work.patches[0].function;
  for (unsigned i = 0; i < object->segment_count; i++) {
    const ElfW(Phdr) *segment = &object->segments[i];
    uintptr_t start = object->bias + segment->p_vaddr;
    if (segment->p_type != PT_LOAD || function - start >= segment->p_filesz)
      continue;
    bool is_ours = object_holds(object, (uintptr_t)__ehdr_start);
    work.text_offset = segment->p_offset;
    work.text = (struct entry_text){(const uint8_t *)start, segment->p_filesz, .has_no_tables = is_ours};
    return segment->p_flags == (PF_R | PF_X) ? NULL : "its code is not in memory that is only read and executed";
  }
  return "its code is not where its symbols say";
}

static const char *read_entries(void)
{
  for (size_t i = 0; i < work.count; i++) {
    const struct patch *patch = &work.patches[i];
    const char *reason = work.is_running ? entry_read_first(&work.entries[i], &work.text, patch->function, patch->bytes)
                                         : entry_read(&work.entries[i], &work.text, patch->function, patch->bytes);
    if (reason != NULL)
      return about(patch, reason);
    work.is_alias[i] = false;
    for (size_t j = 0; j < i; j++)
      work.is_alias[i] = work.is_alias[i] || work.patches[j].function == work.patches[i].function;
  }
  return NULL;
}

static const uint8_t *change_of(size_t i)
{
  return work.entries[i].function + work.entries[i].changed_at;
}

static const char *check_apart(void)
{
  for (size_t i = 0; i < work.count; i++)
    for (size_t j = 0; j < i; j++)
      if (!work.is_alias[i] && !work.is_alias[j] && change_of(i) < change_of(j) + work.entries[j].needed_bytes &&
          change_of(j) < change_of(i) + work.entries[i].needed_bytes)
        return about(&work.patches[i], "begins within another function");
  return NULL;
}

static bool goes_through_another(const struct patch *patch)
{
  for (size_t i = 0; i < work.count; i++)
    if (patch->function != work.patches[i].function &&
        entry_goes_to(&work.text, patch->function, patch->bytes, work.patches[i].function))
      return true;
  return false;
}

/* One request is counted once. */
static void choose_hooks(void)
{
  for (size_t i = 0; i < work.count; i++)
    if (work.patches[i].whole != NULL && goes_through_another(&work.patches[i]))
      work.patches[i].hook = work.patches[i].whole;
}

/* Below the object, as the heap grows above it. */
static const char *map_room(void)
{
  work.room_bytes = (work.count * ENTRY_ROOM_BYTES + work.page_bytes - 1) / work.page_bytes * work.page_bytes;
  uintptr_t start = (uintptr_t)work.text.code & ~(uintptr_t)(ROOM_STEP_BYTES - 1);
  for (uintptr_t below = ROOM_STEP_BYTES; below < ROOM_REACH_BYTES && start >= LOWEST_ADDRESS + below;
       below += ROOM_STEP_BYTES) {
    work.room = memory_map_at(start - below, work.room_bytes);
    if (work.room != NULL)
      return NULL;
  }
  return "there is no free memory near its code";
}

/* They have less choice than the room. */
static const char *place_landings(void)
{
  for (size_t i = 0; i < work.count; i++)
    if (!work.is_alias[i] && entry_needs_landing(&work.entries[i]) &&
        !landings_place(&work.entries[i], work.patches[i].hook, &work.landings[i]))
      return about(&work.patches[i], landings_refusal());
  return NULL;
}

static void list_pages(void)
{
  pages_begin(&work.pages);
  for (size_t i = 0; i < work.count; i++)
    pages_add(&work.pages, change_of(i), work.entries[i].changed_bytes);
}

static bool move_entry(size_t i, uint8_t *room, uint8_t *changed)
{
  const struct entry *entry = &work.entries[i];
  const void *hook = work.patches[i].hook;
  if (!work.is_running)
    return entry_move(entry, hook, room, (uintptr_t)room, changed);
  return entry_move_first(entry, hook, room, (uintptr_t)room, work.landings[i].choice, work.landings[i].at, changed);
}

static bool note_change(size_t i, const uint8_t *changed)
{
  size_t bytes = work.entries[i].changed_bytes;
  if (work.is_running)
    return running_note(change_of(i), changed, bytes, work.entries[i].needed_bytes);
  pages_change(&work.pages, change_of(i), changed, bytes);
  return true;
}

static const char *write_all(void)
{
  for (size_t i = 0; i < work.count; i++) {
    uint8_t changed[ENTRY_CHANGED_MAX], *room = work.room + i * ENTRY_ROOM_BYTES;
    struct patch *patch = &work.patches[i];
    for (size_t j = 0; work.is_alias[i] && j < i; j++)
      if (work.patches[j].function == patch->function && !work.is_alias[j])
        patch->original = work.patches[j].original;
    if (work.is_alias[i] && patch->real != NULL)
      *patch->real = patch->original;
    if (work.is_alias[i])
      continue;
    if (!move_entry(i, room, changed))
      return about(patch, "addresses what is too far away");
    if (!note_change(i, changed))
      return about(patch, "is too close to another function, or one too many");
    patch->original = room;
    if (patch->real != NULL)
      *patch->real = room;
  }
  return NULL;
}

static const char *make_executable(void)
{
  if (!memory_make_executable(work.room, work.room_bytes) || (work.is_running && !landings_make_executable()))
    return "code that was changed may not be executed here";
  return work.is_running ? NULL : pages_make_executable(&work.pages);
}

static const char *prepare(const struct object *object, const char *file)
{
  const char *reason =
      work.is_running || has_one_thread() ? find_text(object) : "there are threads already, or /proc is not there";
  if (reason == NULL && arch_has_shadow_stack())
    reason = "the processor checks its returns";
  reason = reason == NULL ? read_entries() : reason;
  reason = reason == NULL ? check_apart() : reason;
  if (reason != NULL)
    return reason;
  choose_hooks();
  list_pages();
  reason = protection_check(work.pages.at, work.pages.count);
  if (reason == NULL && work.is_running)
    reason = place_landings();
  reason = reason == NULL ? map_room() : reason;
  if (reason == NULL && !work.is_running)
    reason = pages_copy(&work.pages);
  if (reason == NULL && file != NULL)
    reason = pages_check_file(&work.pages, file, work.text.code, work.text_offset);
  reason = reason == NULL ? write_all() : reason;
  return reason == NULL ? make_executable() : reason;
}

static void begin(struct patch *patches, size_t count, bool is_running)
{
  work = (struct work){
      .patches = patches, .count = count, .is_running = is_running, .page_bytes = (size_t)libc_auxv(AT_PAGESZ)};
}

static void end(bool is_kept)
{
  pages_end(&work.pages);
  if (work.room != NULL && !is_kept)
    (void)sys_munmap(work.room, work.room_bytes);
}

const char *patch_install(const struct object *object, const char *file, struct patch *patches, size_t count,
                          bool *is_in_force)
{
  begin(patches, count, false);
  *is_in_force = false;
  const char *reason = prepare(object, file);
  reason = reason == NULL ? pages_put(&work.pages, is_in_force) : reason;
  end(*is_in_force);
  return reason;
}

const char *patch_prepare(const struct object *object, const char *file, struct patch *patches, size_t count,
                          bool is_heap_needed)
{
  begin(patches, count, true);
  landings_begin(is_heap_needed);
  struct running_mark mark = running_mark();
  const char *reason = prepare(object, file);
  if (reason != NULL) {
    running_forget(mark);
    landings_unmap();
  }
  end(reason == NULL);
  return reason;
}
