/* SPDX-License-Identifier: MIT */
#include "interpose/rebind.h"

#include "core/arch/arch.h"
#include "core/libc.h"
#include "core/loader/loaded.h"
#include "core/lock.h"
#include "core/on_stack.h"
#include "core/sys.h"
#include "interpose/loader.h"
#include "interpose/object.h"
#include "interpose/real.h"
#include "interpose/uncovered.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <linux/futex.h>
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

struct lock rebind_lock;

/* What can be bound again. After an open that is what allocates and frees; C++ operators call malloc in turn, and
 * belong to the runtime that the object chose. In a process that has been running it is every hook but those of
 * mappings. */
enum { AFTER_OPEN = 1, WHATEVER_IT_IS = 2 }; /* the latter: not only if it is the allocator's */

static const struct bound {
  const char *symbol;
  void **real;
  const bool *is_allocators;
  unsigned when;
} bounds[] = {
#define BOUND(symbol, when) {#symbol, (void **)&real.symbol, &real_is_allocators.symbol, when},
#define BOUND_c(symbol) BOUND(symbol, AFTER_OPEN)
#define BOUND_sized(symbol) BOUND(symbol, AFTER_OPEN)
#define BOUND_aligned(symbol) BOUND(symbol, AFTER_OPEN)
#define BOUND_bsd(symbol) BOUND(symbol, 0)
#define BOUND_cxx(symbol) BOUND(symbol, 0)
#define BOUND_jemalloc(symbol) BOUND(symbol, 0)
#define BOUND_mapping(symbol)
#define BOUND_process(symbol) BOUND(symbol, WHATEVER_IT_IS)
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) BOUND_##group(symbol)
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK
};

static struct {
  void *(*malloc)(size_t size);
  void *(*calloc)(size_t count, size_t size);
  void *(*realloc)(void *pointer, size_t size);
  void (*free)(void *pointer);
  void *(*dlsym)(void *handle, const char *symbol);
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

static bool may_be_bound(const struct bound *bound)
{
  if (!real_is_late())
    return (bound->when & AFTER_OPEN) != 0 && *bound->is_allocators;
  bool is_counted_here = *bound->is_allocators && !real_is_at_entries(); /* else at its entry, however it is called */
  return real_of(bound) != 0 && (is_counted_here || (bound->when & WHATEVER_IT_IS) != 0);
}

static void *dlsym_after_open(void *handle, const char *symbol);

static const struct bound *find_bound(const char *name)
{
  static const struct bound of_dlsym = {"dlsym", (void **)&passed_on.dlsym, NULL, WHATEVER_IT_IS};
  if (real_is_late() && passed_on.dlsym != NULL && strcmp(name, of_dlsym.symbol) == 0)
    return &of_dlsym;
  for (size_t i = 0; i < COUNT_OF(bounds); i++)
    if (may_be_bound(&bounds[i]) && strcmp(bounds[i].symbol, name) == 0)
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

struct scan {
  struct object own; /* its table has the hooks: a table of pointers would be relocated in each process, by name */
  bool is_ambiguous; /* somebody else exports malloc, too: what a lazy binding will find is not known */
  bool is_elsewhere; /* the object at hand allocates by somebody else's functions */
  bool is_back;      /* from the hooks to the real functions */
  uintptr_t opened;  /* a page that is writable for now; 0: none */
  uintptr_t asked;   /* a page that is writable anyway */
};

static void close_page(struct scan *scan)
{
  if (scan->opened != 0)
    (void)protect(scan->opened, PROT_READ);
  scan->opened = 0;
}

/* A program may have protected what the loader has not. The kernel adds 0 there. */
static bool is_writable(struct scan *scan, uintptr_t place)
{
  static uint32_t nobody_waits;
  const uint32_t add_nothing = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0);
  if (scan->asked == page_of(place))
    return true;
  bool is = sys_call(SYS_futex, (long)&nobody_waits, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0, (long)place,
                     (long)add_nothing) >= 0;
  if (is)
    scan->asked = page_of(place);
  return is;
}

/* Of those that the loader has made read-only one at a time is writable. What the program has opened stays so. */
static bool open_page(struct scan *scan, const struct object *object, uintptr_t place)
{
  if (scan->opened == page_of(place) || is_writable(scan, place))
    return true;
  close_page(scan);
  if (!is_protected(object, place) || !protect(place, PROT_READ | PROT_WRITE))
    return false;
  scan->opened = page_of(place);
  return true;
}

static void put(struct scan *scan, const struct object *object, uintptr_t place, uintptr_t expected, uintptr_t hook)
{
  if (open_page(scan, object, place))
    atomic_compare_exchange_strong((_Atomic uintptr_t *)place, &expected, hook);
}

extern HIDDEN const char __ehdr_start[];

static bool is_own(const struct object *object)
{
  return object_holds(object, (uintptr_t)__ehdr_start);
}

/* In a process that has been running the allocator's own calls are those of libc, as under a preload. */
static bool is_left_alone(const struct object *object)
{
  if (real_is_late())
    return is_own(object);
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

static bool is_of_pointer(const struct object *object, const ElfW(Rela) * relocation)
{
  unsigned type = (unsigned)ELF64_R_TYPE(relocation->r_info);
  uintptr_t place = object->bias + relocation->r_offset;
  return (type == ARCH_RELOCATION_SLOT || type == ARCH_RELOCATION_DATA || type == ARCH_RELOCATION_ADDRESS) &&
         relocation->r_addend == 0 && place % sizeof place == 0 && is_writable_segment(object, place);
}

static void bind(struct scan *scan, const struct object *object, const ElfW(Rela) * relocation)
{
  const ElfW(Sym) *symbol = &object->symbols[ELF64_R_SYM(relocation->r_info)];
  bool is_others = symbol->st_shndx == SHN_UNDEF;
  if (!is_of_pointer(object, relocation) || (!is_others && !real_is_late()))
    return;
  const struct bound *bound = find_bound(object->strings + symbol->st_name);
  if (bound == NULL)
    return;
  uintptr_t place = object->bias + relocation->r_offset, value = *(const volatile uintptr_t *)place;
  bool is_dlsym = bound->real == (void **)&passed_on.dlsym;
  uintptr_t hook = (uintptr_t)(is_dlsym ? (void *)dlsym_after_open : object_find(&scan->own, bound->symbol));
  uintptr_t function = real_of(bound);
  uintptr_t from = scan->is_back ? hook : function, to = scan->is_back ? function : hook;
  bool is_unresolved = is_others && is_lazy(object, (unsigned)ELF64_R_TYPE(relocation->r_info), value);
  if (value == to || hook == 0)
    return;
  if ((real_is_interposed() || real_is_late()) &&
      (value == from || (is_unresolved && !scan->is_back && !scan->is_ambiguous)))
    put(scan, object, place, value, to);
  else if (is_others && !is_unresolved && !scan->is_elsewhere && !real_is_late())
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
  else if (!is_left_alone(&object) && !real_is_allocator(&object) && !object_is_libc(&object) &&
           object_find(&object, "malloc") != NULL)
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
  close_page(scan);
  if (scan->is_elsewhere)
    uncovered_note(object.name, "another allocator");
  return 0;
}

static void bind_each(struct scan *scan)
{
  (void)loader_each(look_for_others, scan);
  (void)loader_each(bind_object, scan);
}

static void bind_to_hooks(void *unused)
{
  struct scan scan = {.is_back = false};
  (void)unused;
  bind_each(&scan);
}

/* Nobody is attached to the process any more. */
static _Atomic bool is_taken_back;

/* Read with the lock: who reads before a detach, and binds after it, would leave hooks for good. */
static void bind_what_came(void *unused)
{
  if (!atomic_load_explicit(&is_taken_back, memory_order_relaxed))
    bind_to_hooks(unused);
}

static void bind_to_real(void *unused)
{
  struct scan scan = {.is_back = true};
  (void)unused;
  bind_each(&scan);
}

/* On a stack of ours: whoever allocates or frees first after dlopen may have a small one. */
static ALWAYS_INLINE bool run_aside(void (*bind_them)(void *))
{
  enum { STACK_BYTES = 32 << 10 };
  bool is_done = false;
  struct blocked_signals before = signals_block();
  if (lock_try_for_a_moment(&rebind_lock)) {
    is_done = on_fresh_stack(bind_them, NULL, STACK_BYTES);
    lock_release(&rebind_lock);
  }
  signals_restore(before);
  return is_done;
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
    if (atomic_load_explicit(&openings[i].thread, memory_order_relaxed) != 0)
      return true;
  return false;
}

static void stand_before(void);

/* While hooks of other threads read it. */
#define SET_REAL(symbol, function)                                                                                     \
  atomic_store_explicit((_Atomic uintptr_t *)&real.symbol, (uintptr_t)(function), memory_order_relaxed)

/* Another thread may begin or end an open meanwhile. Between what each says of itself and what it looks at, or changes
 * for all, is a fence: so one of two sees the other, or comes last. */
static void stand_aside(void)
{
  bool is_over = true;
  while (is_over) {
    atomic_thread_fence(memory_order_seq_cst);
    SET_REAL(malloc, passed_on.malloc);
    SET_REAL(calloc, passed_on.calloc);
    SET_REAL(realloc, passed_on.realloc);
    SET_REAL(free, passed_on.free);
    atomic_thread_fence(memory_order_seq_cst);
    if (!any_expected())
      return;
    stand_before();
    is_over = !any_expected();
  }
}

static COLD void look(void)
{
  bool is_any_back = false;
  atomic_thread_fence(memory_order_acquire); /* pairs with stand_before: who has come here sees passed_on */
  int saved_errno = errno;
  for (size_t i = 0; i < OPENINGS; i++)
    if (atomic_load_explicit(&openings[i].thread, memory_order_relaxed) == lock_thread_identity() &&
        is_back(&openings[i])) {
      atomic_store_explicit(&openings[i].thread, 0, memory_order_release /* pairs with note */);
      is_any_back = true;
    }
  if (is_any_back) {
    stand_aside();
    (void)run_aside(bind_what_came);
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

static NOINLINE ARCH_ENTRY void look_first(void)
{
  look();
}

/* In a process that has been running: who has opened a library asks it for a function next, and before that is called
 * its calls are to come to the hooks, too. The real one goes by its caller. */
static void *dlsym_after_open(void *handle, const char *symbol)
{
  if (UNLIKELY(any_expected()))
    look_first();
  JUMP return passed_on.dlsym(handle, symbol);
}

static void stand_before(void)
{
  atomic_thread_fence(memory_order_seq_cst);
  SET_REAL(malloc, malloc_after_open);
  SET_REAL(calloc, calloc_after_open);
  SET_REAL(realloc, realloc_after_open);
  SET_REAL(free, free_after_open);
  atomic_thread_fence(memory_order_seq_cst);
}

static bool note(const uintptr_t *return_at)
{
  uintptr_t self = lock_thread_identity();
  for (size_t i = 0; i < OPENINGS; i++) {
    uintptr_t free = 0;
    if (atomic_load_explicit(&openings[i].thread, memory_order_relaxed) != self &&
        !atomic_compare_exchange_strong_explicit(&openings[i].thread, &free, self,
                                                 memory_order_acquire /* pairs with look */, memory_order_relaxed))
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
  if (atomic_compare_exchange_strong_explicit(&state, &unknown, BEING_READ, memory_order_relaxed,
                                              memory_order_relaxed)) {
    passed_on.malloc = real.malloc;
    passed_on.calloc = real.calloc;
    passed_on.realloc = real.realloc;
    passed_on.free = real.free;
    passed_on.dlsym = dlsym;
    atomic_store_explicit(&state, KNOWN, memory_order_release /* pairs with the next line */);
  }
  return atomic_load_explicit(&state, memory_order_acquire) == KNOWN;
}

NOINLINE ARCH_ENTRY void rebind_expect(const uintptr_t *return_at)
{
  if (return_at == NULL || libc_is_musl() || !loaded_are_all_known() || !know_real_functions() || !note(return_at))
    return;
  stand_before();
}

/* A lazy binding that the loader makes in the same moment would be without the hook, so all is looked at twice. */
bool rebind_to_hooks(void)
{
  if (libc_is_musl() || !loaded_are_all_known() || !know_real_functions())
    return false;
  atomic_store(&is_taken_back, false);
  return run_aside(bind_to_hooks) && run_aside(bind_to_hooks);
}

bool rebind_to_real(void)
{
  atomic_store(&is_taken_back, true);
  bool is_done = run_aside(bind_to_real);
  if (!is_done)
    atomic_store(&is_taken_back, false);
  return is_done;
}

void rebind_was_forked(void)
{
  for (size_t i = 0; i < OPENINGS; i++)
    if (atomic_load(&openings[i].thread) != lock_thread_identity())
      atomic_store(&openings[i].thread, 0);
  lock_release(&rebind_lock);
  if (real.malloc == malloc_after_open)
    stand_aside();
}
