/* SPDX-License-Identifier: MIT */
#include "interpose/patch/patch.h"

#include "core/arch/entry.h"
#include "core/descriptor.h"
#include "core/libc.h"
#include "core/sys.h"
#include "core/text.h"

#include <string.h>
#include <sys/auxv.h>

enum {
  PAGES_MAX = 2 * PATCHES_MAX, /* an entry may lie across the end of one */
  ROOM_STEP_BYTES = 64 << 10,
  ROOM_REACH_BYTES = 1 << 30,      /* what lies farther below the object is not looked at */
  LOWEST_ADDRESS = 64 << 10,       /* of any mapping, as the kernel is mostly set */
  FLAG_FIXED_NOREPLACE = 0x100000, /* older kernels take the address for a wish */
};

/* The work on one object. Only one thread is there to use it. */
static LARGE struct work {
  struct patch *patches;
  size_t count;
  struct entry_text text;
  uint64_t text_offset; /* in the file */
  struct entry entries[PATCHES_MAX];
  bool is_alias[PATCHES_MAX]; /* of an earlier one */
  uint8_t *room;
  size_t room_bytes;
  uintptr_t pages[PAGES_MAX];
  size_t page_count, page_bytes;
  uint8_t *copies; /* changed pages, then the same as they were */
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
    const char *reason = entry_read(&work.entries[i], &work.text, work.patches[i].function, work.patches[i].bytes);
    if (reason != NULL)
      return about(&work.patches[i], reason);
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
      if (!work.is_alias[i] && !work.is_alias[j] && change_of(i) < change_of(j) + work.entries[j].changed_bytes &&
          change_of(j) < change_of(i) + work.entries[i].changed_bytes)
        return about(&work.patches[i], "begins within another function");
  return NULL;
}

static const char *check_alone(void)
{
  for (size_t i = 0; i < work.count; i++)
    for (size_t j = 0; work.patches[i].is_alone && j < work.count; j++)
      if (work.patches[i].function != work.patches[j].function &&
          entry_goes_to(&work.text, work.patches[i].function, work.patches[i].bytes, work.patches[j].function))
        return about(&work.patches[i], "goes through another function that allocates or frees");
  return NULL;
}

/* Below the object, as the heap grows above it. */
static const char *map_room(void)
{
  work.room_bytes = (work.count * ENTRY_ROOM_BYTES + work.page_bytes - 1) / work.page_bytes * work.page_bytes;
  uintptr_t start = (uintptr_t)work.text.code & ~(uintptr_t)(ROOM_STEP_BYTES - 1);
  for (uintptr_t below = ROOM_STEP_BYTES; below < ROOM_REACH_BYTES && start >= LOWEST_ADDRESS + below;
       below += ROOM_STEP_BYTES) {
    void *wanted = (void *)(start - below);
    work.room = sys_mmap(wanted, work.room_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | FLAG_FIXED_NOREPLACE, -1, 0);
    if (work.room == wanted)
      return NULL;
    if (work.room != NULL)
      (void)sys_munmap(work.room, work.room_bytes);
  }
  work.room = NULL;
  return "there is no free memory near its code";
}

static void add_page(uintptr_t page)
{
  for (size_t i = 0; i < work.page_count; i++)
    if (work.pages[i] == page)
      return;
  work.pages[work.page_count++] = page;
}

static const char *map_copies(void)
{
  work.page_count = 0;
  for (size_t i = 0; i < work.count; i++) {
    add_page((uintptr_t)change_of(i) & ~(work.page_bytes - 1));
    add_page(((uintptr_t)change_of(i) + work.entries[i].changed_bytes - 1) & ~(work.page_bytes - 1));
  }
  work.copies = sys_map_anonymous(2 * work.page_count * work.page_bytes);
  if (work.copies == NULL)
    return "there is no memory for its changed code";
  for (size_t i = 0; i < 2 * work.page_count; i++)
    memcpy(work.copies + i * work.page_bytes, (const void *)work.pages[i % work.page_count], work.page_bytes);
  return NULL;
}

/* Pages that were exchanged before: they were as in the file then, and nobody else has run since. */
static LARGE struct {
  uintptr_t pages[3 * PAGES_MAX];
  size_t count;
} exchanged;

static bool is_exchanged(uintptr_t page)
{
  for (size_t i = 0; i < exchanged.count; i++)
    if (exchanged.pages[i] == page)
      return true;
  return false;
}

static void note_exchanged(void)
{
  for (size_t i = 0; i < work.page_count && exchanged.count < COUNT_OF(exchanged.pages); i++)
    exchanged.pages[exchanged.count++] = work.pages[i];
}

/* The copies are not changed yet. */
static bool are_copies_of(int file)
{
  static LARGE uint8_t page[16 << 10];
  size_t size = work.page_bytes;
  for (size_t i = 0; size <= sizeof page && i < work.page_count; i++) {
    memset(page, 0, size); /* as what lies behind the end of the file */
    if (is_exchanged(work.pages[i]))
      continue;
    uint64_t offset = work.text_offset + (work.pages[i] - (uintptr_t)work.text.code);
    if (sys_pread(file, page, size, offset) <= 0 || memcmp(page, work.copies + i * size, size) != 0)
      return false;
  }
  return size <= sizeof page;
}

static const char *check_file(const char *path)
{
  int file = path != NULL ? descriptor_open(path, O_RDONLY, 0) : -1;
  if (path == NULL)
    return NULL;
  if (file < 0)
    return "its file cannot be read";
  bool is_same = are_copies_of(file);
  (void)sys_close(file);
  return is_same ? NULL : "its code is not that of its file";
}

static void copy_change(const uint8_t *function, const uint8_t *changed, size_t bytes)
{
  for (size_t i = 0; i < bytes; i++)
    for (size_t page = 0; page < work.page_count; page++)
      if ((uintptr_t)function + i - work.pages[page] < work.page_bytes)
        work.copies[page * work.page_bytes + ((uintptr_t)function + i - work.pages[page])] = changed[i];
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
    if (!entry_move(&work.entries[i], patch->hook, room, (uintptr_t)room, changed))
      return about(patch, "addresses what is too far away");
    patch->original = room;
    if (patch->real != NULL)
      *patch->real = room;
    copy_change(change_of(i), changed, work.entries[i].changed_bytes);
  }
  return NULL;
}

static bool make_executable(void *start, size_t bytes)
{
  return sys_call(SYS_mprotect, (long)start, (long)bytes, PROT_READ | PROT_EXEC, 0, 0, 0) == 0;
}

/* Of the first so many pages, from `copies`. */
static size_t put_pages(const uint8_t *copies, size_t count)
{
  size_t done = 0;
  while (done < count &&
         sys_move_mapping((void *)(copies + done * work.page_bytes), work.page_bytes, (void *)work.pages[done]))
    done++;
  return done;
}

static const char *put_all(bool *is_in_force)
{
  size_t kept_bytes = work.page_count * work.page_bytes, done = put_pages(work.copies, work.page_count);
  *is_in_force = done == work.page_count || put_pages(work.copies + kept_bytes, done) < done;
  return done == work.page_count ? NULL : "its code cannot be exchanged";
}

static const char *prepare(const struct object *object, const char *file)
{
  const char *reason = has_one_thread() ? find_text(object) : "there are threads already, or /proc is not there";
  if (reason == NULL && arch_has_shadow_stack())
    reason = "the processor checks its returns";
  reason = reason == NULL ? read_entries() : reason;
  reason = reason == NULL ? check_apart() : reason;
  reason = reason == NULL ? check_alone() : reason;
  reason = reason == NULL ? map_room() : reason;
  reason = reason == NULL ? map_copies() : reason;
  reason = reason == NULL ? check_file(file) : reason;
  reason = reason == NULL ? write_all() : reason;
  if (reason == NULL && (!make_executable(work.room, work.room_bytes) ||
                         !make_executable(work.copies, 2 * work.page_count * work.page_bytes)))
    reason = "code that was changed may not be executed here";
  return reason;
}

const char *patch_install(const struct object *object, const char *file, struct patch *patches, size_t count,
                          bool *is_in_force)
{
  work = (struct work){.patches = patches, .count = count, .page_bytes = (size_t)libc_auxv(AT_PAGESZ)};
  *is_in_force = false;
  const char *reason = prepare(object, file);
  reason = reason == NULL ? put_all(is_in_force) : reason;
  if (work.copies != NULL)
    (void)sys_munmap(work.copies, 2 * work.page_count * work.page_bytes);
  if (*is_in_force)
    note_exchanged();
  if (work.room != NULL && !*is_in_force)
    (void)sys_munmap(work.room, work.room_bytes);
  return reason;
}
