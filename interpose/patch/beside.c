/* SPDX-License-Identifier: MIT */
#include "interpose/patch/beside.h"

#include "core/message.h"
#include "core/on_stack.h"
#include "core/region_format.h"
#include "core/text.h"
#include "interpose/loader.h"
#include "interpose/object.h"
#include "interpose/patch/heap_need.h"
#include "interpose/patch/hooks_whole.h"
#include "interpose/patch/own.h"
#include "interpose/patch/patch.h"
#include "interpose/patch/symbol_file.h"
#include "interpose/real.h"

#include <link.h>
#include <string.h>

static const struct family {
  uint32_t flag;
  const char *prefix;
  const char *marks[2]; /* one of these is there */
} families[] = {
    {REGION_HOOKS_JE, "je_", {"mallocx", "sdallocx"}},
    {REGION_HOOKS_RJEM, "_rjem_", {"mallocx", "sdallocx"}},
    {REGION_HOOKS_TC, "tc_", {"malloc_skip_new_handler", "malloc_size"}},
    {REGION_HOOKS_MI, "mi_", {"zalloc", "malloc_aligned"}},
    {REGION_HOOKS_UNEXPORTED, "", {"posix_memalign", "aligned_alloc"}},
};

_Static_assert((int)FAMILY_ALL <= (int)PATCHES_MAX, "a patch for each");

/* Not touched where no name is found. */
static LARGE struct {
  bool is_marked[COUNT_OF(families)];
  struct found {
    uint64_t value, bytes;
    bool is_there, is_ambiguous;
  } found[COUNT_OF(families)][FAMILY_ALL];
} program;

/* The loader keeps the program first. */
static int find_executable(struct dl_phdr_info *info, size_t size, void *executable)
{
  (void)size;
  (void)object_read(info, executable);
  return 1;
}

static size_t functions_of(unsigned family)
{
  return families[family].flag == REGION_HOOKS_MI ? (size_t)FAMILY_ALL : (size_t)FAMILY_FUNCTIONS;
}

static void note_member(struct found *found, const ElfW(Sym) * symbol)
{
  bool is_other = found->is_there && found->value != symbol->st_value;
  *found = (struct found){symbol->st_value, ELF64_ST_TYPE(symbol->st_info) == STT_FUNC ? symbol->st_size : 0,
                          .is_there = true, .is_ambiguous = found->is_ambiguous || is_other};
}

static void note_in_family(unsigned family, const char *name, const ElfW(Sym) * symbol)
{
  for (size_t i = 0; i < COUNT_OF(families[family].marks); i++)
    program.is_marked[family] |= strcmp(name, families[family].marks[i]) == 0;
  size_t number = hooks_whole_number(name);
  if (number < functions_of(family))
    note_member(&program.found[family][number], symbol);
}

static void note_function(const char *name, const ElfW(Sym) * symbol, void *unused)
{
  (void)unused;
  for (unsigned i = 0; i < COUNT_OF(families); i++) {
    size_t length = strlen(families[i].prefix);
    if (strncmp(name, families[i].prefix, length) == 0)
      note_in_family(i, name + length, symbol);
  }
}

static const ElfW(Sym) * find_export(const struct object *executable, const struct family *family, const char *symbol)
{
  char name[64];
  struct text text = TEXT_INIT(name);
  text_put(&text, family->prefix);
  text_put(&text, symbol);
  struct object_query query = object_query(name);
  return object_export(executable, &query);
}

static void note_exports_of(const struct object *executable, unsigned family)
{
  for (size_t i = 0; i < functions_of(family); i++) {
    const char *symbol = hooks_whole_symbol(i);
    const ElfW(Sym) *found = find_export(executable, &families[family], symbol);
    if (found != NULL)
      note_in_family(family, symbol, found);
  }
}

/* What is exported by the usual names is own.h's. */
static bool note_exports(const struct object *executable)
{
  bool is_any_there = false;
  for (unsigned i = 0; i < COUNT_OF(families); i++) {
    if (families[i].prefix[0] == '\0' || find_export(executable, &families[i], "free") == NULL)
      continue;
    note_exports_of(executable, i);
    is_any_there = true;
  }
  return is_any_there;
}

/* A few sections are behind the segments of a stripped file. */
static bool may_have_symbols(const struct object *executable)
{
  enum { STRIPPED_BYTES_MAX = 1024 };
  const ElfW(Ehdr) *header = NULL;
  uint64_t end = 0;
  for (unsigned i = 0; i < executable->segment_count; i++) {
    const ElfW(Phdr) *segment = &executable->segments[i];
    if (segment->p_type != PT_LOAD)
      continue;
    if (segment->p_offset == 0 && segment->p_filesz >= sizeof *header)
      header = (const ElfW(Ehdr) *)(executable->bias + segment->p_vaddr);
    if (segment->p_offset + segment->p_filesz > end)
      end = segment->p_offset + segment->p_filesz;
  }
  return header != NULL && header->e_shoff > end + STRIPPED_BYTES_MAX;
}

static bool is_there(unsigned family)
{
  enum { CORE_COUNT = 4 }; /* of family.def; linkers leave out what is not called */
  const struct found *found = program.found[family];
  bool has_core = true;
  for (unsigned i = 0; i < CORE_COUNT; i++)
    has_core = has_core && found[i].is_there;
  return program.is_marked[family] && found[FAMILY_free].is_there && (has_core || families[family].prefix[0] != '\0');
}

/* Some of another allocator's may be the same functions. */
static const char *make_patches(const struct object *executable, unsigned family, enum hooks_set set,
                                struct patch *patches, size_t *count)
{
  *count = 0;
  for (size_t i = 0; i < functions_of(family); i++) {
    const struct found *found = &program.found[family][i];
    const uint8_t *function = (const uint8_t *)(executable->bias + found->value);
    struct hook_whole hook = hooks_whole(set, i);
    if (!found->is_there || own_has_hook(function))
      continue;
    if (found->is_ambiguous)
      return "one of its names has two functions";
    if (hook.hook == NULL)
      *hook.real = (void *)(uintptr_t)function;
    else
      patches[(*count)++] = (struct patch){.prefix = families[family].prefix,
                                           .symbol = hooks_whole_symbol(i),
                                           .function = function,
                                           .bytes = found->bytes,
                                           .hook = hook.hook,
                                           .whole = hook.whole,
                                           .real = hook.real};
  }
  return NULL;
}

/* Those that have names of their own are known to do without. */
static bool needs_heap(const struct object *executable, unsigned family, const char *file)
{
  size_t number = hooks_whole_number("malloc");
  return families[family].flag == REGION_HOOKS_UNEXPORTED &&
         heap_is_needed(executable, file, program.found[family][number].value);
}

static const char *hook_family(const struct object *executable, unsigned family, enum hooks_set set, const char *file,
                               bool *is_in_force)
{
  static LARGE struct patch patches[PATCHES_MAX];
  size_t count;
  *is_in_force = false;
  if (set > HOOKS_MIMALLOC)
    return "there are too many allocators";
  const char *reason = make_patches(executable, family, set, patches, &count);
  if (reason != NULL || count == 0)
    return reason;
  if (!real_is_late())
    return patch_install(executable, file, patches, count, is_in_force);
  reason = patch_prepare(executable, file, patches, count, needs_heap(executable, family, file));
  *is_in_force = reason == NULL;
  return reason;
}

/* The next set that is free, of those for any family. */
static enum hooks_set set_for(unsigned family, enum hooks_set *next)
{
  if (families[family].flag == REGION_HOOKS_MI)
    return HOOKS_MIMALLOC;
  return *next < HOOKS_MIMALLOC ? (*next)++ : HOOKS_MIMALLOC + 1;
}

static uint32_t hook_families(const struct object *executable, const char *file, bool is_announced)
{
  uint32_t flags = 0;
  enum hooks_set next = HOOKS_FIRST;
  for (unsigned i = 0; i < COUNT_OF(families); i++) {
    bool is_in_force;
    if (!is_there(i))
      continue;
    const char *reason = hook_family(executable, i, set_for(i, &next), file, &is_in_force);
    flags |= is_in_force ? families[i].flag : 0;
    if (reason != NULL && is_announced)
      message_print("not profiling what ", families[i].prefix, "malloc gives: ", reason);
    if (reason != NULL)
      flags |= families[i].flag << REGION_HOOKS_REFUSED_SHIFT;
  }
  return flags;
}

uint32_t beside_take_over(const char *file, bool is_announced)
{
  struct object executable = {.symbols = NULL};
  (void)loader_each(find_executable, &executable);
  if (executable.symbols == NULL)
    return 0;
  bool is_read = may_have_symbols(&executable) && symbol_file_each(file, "free", note_function, NULL);
  if (!is_read && !note_exports(&executable))
    return 0;
  struct blocked_signals before = signals_block();
  uint32_t flags = hook_families(&executable, file, is_announced);
  signals_restore(before);
  return flags;
}
