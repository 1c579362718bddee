/* SPDX-License-Identifier: MIT */
#include "interpose/patch/pages.h"

#include "core/descriptor.h"
#include "core/libc.h"
#include "core/sys.h"

#include <string.h>
#include <sys/auxv.h>

/* Pages that were exchanged before: they were as in the file then, and nobody else has run since. */
static LARGE struct {
  uintptr_t at[2 * PAGES_MAX];
  size_t count;
} exchanged;

static bool is_exchanged(uintptr_t page)
{
  for (size_t i = 0; i < exchanged.count; i++)
    if (exchanged.at[i] == page)
      return true;
  return false;
}

static void note_exchanged(const struct pages *pages)
{
  for (size_t i = 0; i < pages->count && exchanged.count < COUNT_OF(exchanged.at); i++)
    if (!is_exchanged(pages->at[i]))
      exchanged.at[exchanged.count++] = pages->at[i];
}

void pages_begin(struct pages *pages)
{
  pages->count = pages->moved = pages->moved_back = 0;
  pages->copies = NULL;
  pages->page_bytes = (size_t)libc_auxv(AT_PAGESZ);
}

static void add_page(struct pages *pages, uintptr_t page)
{
  size_t place = pages->count;
  while (place > 0 && pages->at[place - 1] >= page)
    place--;
  if (place < pages->count && pages->at[place] == page)
    return;
  memmove(&pages->at[place + 1], &pages->at[place], (pages->count - place) * sizeof pages->at[0]);
  pages->at[place] = page;
  pages->count++;
}

void pages_add(struct pages *pages, const uint8_t *start, size_t bytes)
{
  add_page(pages, (uintptr_t)start & ~(pages->page_bytes - 1));
  add_page(pages, ((uintptr_t)start + bytes - 1) & ~(pages->page_bytes - 1));
}

/* By pieces, as pages may be large. */
static bool is_that_of(uintptr_t page, size_t bytes, int file, uint64_t offset)
{
  static LARGE uint8_t piece[4 << 10];
  for (size_t done = 0; done < bytes; done += sizeof piece) {
    memset(piece, 0, sizeof piece); /* as what lies behind the end of the file */
    long got = sys_pread(file, piece, sizeof piece, offset + done);
    if (got < 0 || (got == 0 && done == 0) || memcmp(piece, (const void *)(page + done), sizeof piece) != 0)
      return false;
  }
  return true;
}

static bool are_those_of(const struct pages *pages, int file, uintptr_t start, uint64_t file_offset)
{
  for (size_t i = 0; i < pages->count; i++)
    if (!is_exchanged(pages->at[i]) &&
        !is_that_of(pages->at[i], pages->page_bytes, file, file_offset + (pages->at[i] - start)))
      return false;
  return true;
}

const char *pages_check_file(const struct pages *pages, const char *path, const uint8_t *start, uint64_t file_offset)
{
  int file = descriptor_open(path, O_RDONLY, 0);
  if (file < 0)
    return "its file cannot be read";
  bool is_same = are_those_of(pages, file, (uintptr_t)start, file_offset);
  (void)sys_close(file);
  return is_same ? NULL : "its code is not that of its file";
}

const char *pages_copy(struct pages *pages)
{
  pages->copies = sys_map_anonymous(2 * pages->count * pages->page_bytes);
  if (pages->copies == NULL)
    return "there is no memory for its changed code";
  for (size_t i = 0; i < 2 * pages->count; i++)
    memcpy(pages->copies + i * pages->page_bytes, (const void *)pages->at[i % pages->count], pages->page_bytes);
  return NULL;
}

void pages_change(struct pages *pages, const uint8_t *at, const uint8_t *changed, size_t bytes)
{
  for (size_t i = 0; i < bytes; i++)
    for (size_t page = 0; page < pages->count; page++)
      if ((uintptr_t)at + i - pages->at[page] < pages->page_bytes)
        pages->copies[page * pages->page_bytes + ((uintptr_t)at + i - pages->at[page])] = changed[i];
}

void *memory_map_at(uintptr_t address, size_t bytes)
{
  enum { FIXED_NOREPLACE = 0x100000 }; /* older kernels take the address for a wish */
  void *wanted = (void *)address;
  void *mapped = sys_mmap(wanted, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | FIXED_NOREPLACE, -1, 0);
  if (mapped != NULL && mapped != wanted)
    (void)sys_munmap(mapped, bytes);
  return mapped == wanted ? mapped : NULL;
}

bool memory_make_executable(void *start, size_t bytes)
{
  return sys_call(SYS_mprotect, (long)start, (long)bytes, PROT_READ | PROT_EXEC, 0, 0, 0) == 0;
}

const char *pages_make_executable(struct pages *pages)
{
  return memory_make_executable(pages->copies, 2 * pages->count * pages->page_bytes)
             ? NULL
             : "code that was changed may not be executed here";
}

/* Those that follow each other. */
static size_t count_run(const struct pages *pages, size_t first, size_t count)
{
  size_t next = first + 1;
  while (next < count && pages->at[next] == pages->at[next - 1] + pages->page_bytes)
    next++;
  return next - first;
}

/* Of the first so many pages, from `copies`. */
static size_t put_some(const struct pages *pages, const uint8_t *copies, size_t count)
{
  size_t size = pages->page_bytes, run;
  for (size_t done = 0; done < count; done += run) {
    run = count_run(pages, done, count);
    if (!sys_move_mapping((void *)(copies + done * size), run * size, (void *)pages->at[done]))
      return done;
  }
  return count;
}

const char *pages_put(struct pages *pages, bool *are_put)
{
  size_t kept_bytes = pages->count * pages->page_bytes;
  pages->moved = put_some(pages, pages->copies, pages->count);
  bool is_done = pages->moved == pages->count;
  pages->moved_back = is_done ? 0 : put_some(pages, pages->copies + kept_bytes, pages->moved);
  *are_put = is_done || pages->moved_back < pages->moved;
  if (*are_put)
    note_exchanged(pages);
  return is_done ? NULL : "its code cannot be exchanged";
}

static void unmap_rest(const struct pages *pages, uint8_t *copies, size_t moved)
{
  if (moved < pages->count)
    (void)sys_munmap(copies + moved * pages->page_bytes, (pages->count - moved) * pages->page_bytes);
}

void pages_end(struct pages *pages)
{
  if (pages->copies != NULL) {
    unmap_rest(pages, pages->copies, pages->moved);
    unmap_rest(pages, pages->copies + pages->count * pages->page_bytes, pages->moved_back);
  }
  pages->copies = NULL;
}
