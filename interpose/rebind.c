/* SPDX-License-Identifier: MIT */
#include "interpose/rebind.h"

#include "core/arch/arch.h"
#include "core/libc.h"
#include "core/loader/loaded.h"
#include "core/lock.h"
#include "core/on_stack.h"
#include "core/sys.h"
#include "interpose/hooks.h"
#include "interpose/loader.h"
#include "interpose/object.h"
#include "interpose/real.h"
#include "interpose/uncovered.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

enum { OPENINGS = 8 };

/* Opens that may not have come back yet. The thread that makes one writes it, and clears it. */
static LARGE struct opening {
  _Atomic uintptr_t thread; /* 0: none */
  const uintptr_t *return_at;
  uintptr_t return_address;
} openings[OPENINGS];

static struct lock binding;

/* What can be bound again. C++ operators call malloc in turn, and belong to the runtime that the object chose. */
static const struct bound {
  const char *symbol;
  void **real;
  const bool *is_allocators;
} bounds[] = {
#define BOUND(symbol) {#symbol, (void **)&real.symbol, &real_is_allocators.symbol},
#define BOUND_c(symbol) BOUND(symbol)
#define BOUND_sized(symbol) BOUND(symbol)
#define BOUND_aligned(symbol) BOUND(symbol)
#define BOUND_bsd(symbol)
#define BOUND_cxx(symbol)
#define BOUND_jemalloc(symbol)
#define BOUND_mapping(symbol)
#define BOUND_process(symbol)
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) BOUND_##group(symbol)
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK
};

static struct {
  void *(*malloc)(size_t size);
  void *(*calloc)(size_t count, size_t size);
  void *(*realloc)(void *pointer, size_t size);
  void (*free)(void *pointer);
} passed_on; /* the real functions, while what lies before them is ours */

/* Another thread's open may have put ours before the real one again. */
static uintptr_t real_of(const struct bound *bound)
{
  if (bound->real == (void **)&real.malloc)
    return (uintptr_t)passed_on.malloc;
  if (bound->real == (void **)&real.calloc)
    return (uintptr_t)passed_on.calloc;
  if (bound->real == (void **)&real.realloc)
    return (uintptr_t)passed_on.realloc;
  return bound->real == (void **)&real.free ? (uintptr_t)passed_on.free : (uintptr_t)*bound->real;
}

static const struct bound *find_bound(const char *name)
{
  for (size_t i = 0; i < COUNT_OF(bounds); i++)
    if (*bounds[i].is_allocators && strcmp(bounds[i].symbol, name) == 0)
      return &bounds[i];
  return NULL;
}

static uintptr_t page_of(uintptr_t address)
{
  return address & ~((uintptr_t)libc_auxv(AT_PAGESZ) - 1);
}

/* The pages that the loader has made read-only after it relocated the object. */
static bool is_protected(const struct object *object, uintptr_t address)
{
  for (unsigned i = 0; i < object->segment_count; i++) {
    const ElfW(Phdr) *segment = &object->segments[i];
    uintptr_t low = page_of(object->bias + segment->p_vaddr);
    uintptr_t high = page_of(object->bias + segment->p_vaddr + segment->p_memsz);
    if (segment->p_type == PT_GNU_RELRO && address >= low && address < high)
      return true;
  }
  return false;
}

static bool is_writable_segment(const struct object *object, uintptr_t address)
{
  for (unsigned i = 0; i < object->segment_count; i++)
    if (object->segments[i].p_type == PT_LOAD && (object->segments[i].p_flags & PF_W) != 0 &&
        address - (object->bias + object->segments[i].p_vaddr) < object->segments[i].p_memsz)
      return true;
  return false;
}

static bool protect(uintptr_t address, int protection)
{
  return sys_call(SYS_mprotect, (long)page_of(address), (long)libc_auxv(AT_PAGESZ), protection, 0, 0, 0) == 0;
}

static void put(const struct object *object, uintptr_t place, uintptr_t expected, uintptr_t hook)
{
  bool is_kept = is_protected(object, place);
  if (is_kept && !protect(place, PROT_READ | PROT_WRITE))
    return;
  atomic_compare_exchange_strong((_Atomic uintptr_t *)place, &expected, hook);
  if (is_kept)
    (void)protect(place, PROT_READ);
}

struct scan {
  struct object own; /* its table has the hooks: a table of pointers would be relocated in each process, by name */
  bool is_ambiguous; /* somebody else exports malloc, too: what a lazy binding will find is not known */
  bool is_elsewhere; /* the object at hand allocates by somebody else's functions */
};

extern HIDDEN const char __ehdr_start[];

static bool is_own(const struct object *object)
{
  return object_holds(object, (uintptr_t)__ehdr_start);
}

static bool is_left_alone(const struct object *object)
{
  return is_own(object) || real_is_allocator(object) || object_holds(object, (uintptr_t)passed_on.malloc);
}

/* Where a function leads that is neither a hook nor behind one. */
struct place {
  const char *symbol;
  uintptr_t address;
  bool is_exported;
};

static int is_exported_there(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct place *place = argument;
  struct object object;
  (void)size;
  place->is_exported = object_read(info, &object) && object_holds(&object, place->address) && !is_left_alone(&object) &&
                       (uintptr_t)object_find(&object, place->symbol) == place->address;
  return place->is_exported;
}

/* Not what a program set there itself, nor a place in its own image that stands for the hook. */
static bool is_somebody_elses(const char *symbol, uintptr_t address)
{
  struct place place = {.symbol = symbol, .address = address};
  return loader_each(is_exported_there, &place) && place.is_exported;
}

/* Of a lazy binding, the place still leads to the object's own code. */
static bool is_lazy(const struct object *object, unsigned type, uintptr_t value)
{
  return type == ARCH_RELOCATION_SLOT && object_holds(object, value);
}

static void bind(struct scan *scan, const struct object *object, const ElfW(Rela) * relocation)
{
  unsigned type = (unsigned)ELF64_R_TYPE(relocation->r_info);
  const ElfW(Sym) *symbol = &object->symbols[ELF64_R_SYM(relocation->r_info)];
  uintptr_t place = object->bias + relocation->r_offset;
  if ((type != ARCH_RELOCATION_SLOT && type != ARCH_RELOCATION_DATA && type != ARCH_RELOCATION_ADDRESS) ||
      symbol->st_shndx != SHN_UNDEF || relocation->r_addend != 0 || place % sizeof place != 0 ||
      !is_writable_segment(object, place))
    return;
  const struct bound *bound = find_bound(object->strings + symbol->st_name);
  uintptr_t value = *(const volatile uintptr_t *)place;
  if (bound == NULL)
    return;
  uintptr_t hook = (uintptr_t)object_find(&scan->own, bound->symbol);
  bool is_unresolved = is_lazy(object, type, value);
  if (value == hook)
    return;
  if (real_is_interposed() && (value == real_of(bound) || (is_unresolved && !scan->is_ambiguous)))
    put(object, place, value, hook);
  else if (!is_unresolved && !scan->is_elsewhere)
    scan->is_elsewhere = is_somebody_elses(bound->symbol, value);
}

static const void *table_of(const struct object *object, ElfW(Sxword) tag, ElfW(Sxword) size_tag, size_t *count)
{
  const void *table = NULL;
  *count = 0;
  for (const ElfW(Dyn) *entry = object->dynamic; entry->d_tag != DT_NULL; entry++) {
    if (entry->d_tag == tag)
      table = object_at(object, entry);
    if (entry->d_tag == size_tag)
      *count = entry->d_un.d_val / sizeof(ElfW(Rela));
  }
  return table;
}

static void bind_table(struct scan *scan, const struct object *object, ElfW(Sxword) tag, ElfW(Sxword) size_tag)
{
  size_t count;
  const ElfW(Rela) *table = table_of(object, tag, size_tag, &count);
  for (size_t i = 0; table != NULL && i < count; i++)
    bind(scan, object, &table[i]);
}

static int look_for_others(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct scan *scan = argument;
  struct object object;
  (void)size;
  if (!object_read(info, &object))
    return 0;
  if (is_own(&object))
    scan->own = object;
  else if (!is_left_alone(&object) && object_find(&object, "malloc") != NULL)
    scan->is_ambiguous = true;
  return 0;
}

static bool is_relocated(const struct object *object)
{
  struct dl_find_object found;
  return loaded_find((uintptr_t)object->dynamic, &found);
}

static int bind_object(struct dl_phdr_info *info, size_t size, void *argument)
{
  struct scan *scan = argument;
  struct object object;
  (void)size;
  scan->is_elsewhere = false;
  if (!object_read(info, &object) || is_left_alone(&object) || !is_relocated(&object))
    return 0;
  bind_table(scan, &object, DT_RELA, DT_RELASZ);
  bind_table(scan, &object, DT_JMPREL, DT_PLTRELSZ);
  if (scan->is_elsewhere)
    uncovered_note(object.name, "another allocator");
  return 0;
}

static void bind_aside(void *unused)
{
  struct scan scan = {.is_ambiguous = false};
  (void)unused;
  (void)loader_each(look_for_others, &scan);
  (void)loader_each(bind_object, &scan);
}

/* On a stack of ours: whoever allocates or frees first after dlopen may have a small one. */
static void bind_all(void)
{
  enum { STACK_BYTES = 32 << 10 };
  struct blocked_signals before = signals_block();
  if (lock_try_for_a_moment(&binding)) {
    (void)on_fresh_stack(bind_aside, NULL, STACK_BYTES);
    lock_release(&binding);
  }
  signals_restore(before);
}

/* The moment after. */

/* While dlopen runs, this thread is deeper than its return address, and that lies where it was. */
static bool is_back(const struct opening *opening)
{
  uintptr_t here = (uintptr_t)__builtin_frame_address(0), slot = (uintptr_t)opening->return_at;
  return here > slot || !sys_is_readable(slot) || *(const volatile uintptr_t *)slot != opening->return_address;
}

static bool any_expected(void)
{
  for (size_t i = 0; i < OPENINGS; i++)
    if (atomic_load(&openings[i].thread) != 0)
      return true;
  return false;
}

static void stand_before(void);

static void stand_aside(void)
{
  real.malloc = passed_on.malloc;
  real.calloc = passed_on.calloc;
  real.realloc = passed_on.realloc;
  real.free = passed_on.free;
  if (any_expected()) /* another thread, meanwhile */
    stand_before();
}

static COLD void look(void)
{
  bool is_any_back = false;
  int saved_errno = errno;
  for (size_t i = 0; i < OPENINGS; i++)
    if (atomic_load(&openings[i].thread) == lock_thread_identity() && is_back(&openings[i])) {
      atomic_store(&openings[i].thread, 0);
      is_any_back = true;
    }
  if (is_any_back) {
    stand_aside();
    bind_all();
  }
  errno = saved_errno;
}

static ARCH_ENTRY void *malloc_after_open(size_t size)
{
  look();
  return passed_on.malloc(size);
}

static ARCH_ENTRY void *calloc_after_open(size_t count, size_t size)
{
  look();
  return passed_on.calloc(count, size);
}

static ARCH_ENTRY void *realloc_after_open(void *pointer, size_t size)
{
  look();
  return passed_on.realloc(pointer, size);
}

static ARCH_ENTRY void free_after_open(void *pointer)
{
  look();
  passed_on.free(pointer);
}

static void stand_before(void)
{
  real.malloc = malloc_after_open;
  real.calloc = calloc_after_open;
  real.realloc = realloc_after_open;
  real.free = free_after_open;
}

static bool note(const uintptr_t *return_at)
{
  uintptr_t self = lock_thread_identity();
  for (size_t i = 0; i < OPENINGS; i++) {
    uintptr_t free = 0;
    if (atomic_load(&openings[i].thread) != self && !atomic_compare_exchange_strong(&openings[i].thread, &free, self))
      continue;
    openings[i].return_at = return_at;
    openings[i].return_address = *return_at;
    return true;
  }
  return false;
}

/* Runs once, before anything is put in front of them. A thread that comes meanwhile goes without. */
static bool know_real_functions(void)
{
  enum { UNKNOWN, BEING_READ, KNOWN };
  static _Atomic int state;
  int unknown = UNKNOWN;
  if (atomic_compare_exchange_strong(&state, &unknown, BEING_READ)) {
    passed_on.malloc = real.malloc;
    passed_on.calloc = real.calloc;
    passed_on.realloc = real.realloc;
    passed_on.free = real.free;
    atomic_store(&state, KNOWN);
  }
  return atomic_load(&state) == KNOWN;
}

NOINLINE ARCH_ENTRY void rebind_expect(const uintptr_t *return_at)
{
  if (return_at == NULL || libc_is_musl() || !loaded_are_all_known() || !know_real_functions() || !note(return_at))
    return;
  stand_before();
}

void rebind_was_forked(void)
{
  for (size_t i = 0; i < OPENINGS; i++)
    if (atomic_load(&openings[i].thread) != lock_thread_identity())
      atomic_store(&openings[i].thread, 0);
  lock_release(&binding);
  if (real.malloc == malloc_after_open)
    stand_aside();
}
