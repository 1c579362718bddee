/* SPDX-License-Identifier: MIT */
/* A small shim that is right about the hazards it is used for, so that a broken_*.c, which defines one or two of the
 * macros below and includes this, is wrong in one way only. mini_shim.c defines none: the control.
 *
 *   MINI_ON_LOAD           statement in the constructor           MINI_ON_FIRST     in the first allocation
 *   MINI_ON_ALLOC(size)    before the real call, not re-entered   MINI_ON_FREE(p)   before the real free, always
 *   MINI_ON_UNLOAD         in the destructor                      MINI_TLS          attributes of thread-local data
 *   MINI_TABLE             keep counts in a table of live pointers (R = 1), for the victims' hz_report
 *   MINI_AFTER(statement), MINI_BEFORE(statement)                 when a freed pointer leaves the table
 *   MINI_REALLOC_FAILED(statement)                                what a failed realloc does
 *   MINI_LEAVE             how the guard of operator new is left  MINI_NESTED       counts nested calls too
 * Missing on purpose: every entry point but the commonest (see row 3), and a guard that survives siglongjmp (G5). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef MINI_ON_LOAD
#define MINI_ON_LOAD
#endif
#ifndef MINI_ON_UNLOAD
#define MINI_ON_UNLOAD
#endif
#ifndef MINI_ON_FIRST
#define MINI_ON_FIRST
#endif
#ifndef MINI_ON_ALLOC
#define MINI_ON_ALLOC(size) (void)(size)
#endif
#ifndef MINI_ON_FREE
#define MINI_ON_FREE(p) (void)(p)
#endif
#ifndef MINI_TLS
#define MINI_TLS __attribute__((tls_model("initial-exec")))
#endif
#ifndef MINI_BEFORE
#define MINI_BEFORE(statement) statement
#define MINI_AFTER(statement)
#endif
#ifndef MINI_REALLOC_FAILED
#define MINI_REALLOC_FAILED(statement) statement
#endif
#ifndef MINI_LEAVE
#define MINI_LEAVE __attribute__((cleanup(leave)))
#endif
#ifndef MINI_NESTED
#define MINI_NESTED false
#endif

static struct {
  void *(*malloc)(size_t);
  void *(*calloc)(size_t, size_t);
  void *(*realloc)(void *, size_t);
  void (*free)(void *);
} real;
static char arena[65536] __attribute__((aligned(16)));
static size_t arena_used;
static volatile bool resolving; /* volatile: dlsym is declared a leaf, so gcc would drop the stores around it */
static __thread MINI_TLS bool inside;

static void *from_arena(size_t size)
{
  size_t offset = __atomic_fetch_add(&arena_used, (size + 15) & ~(size_t)15, __ATOMIC_RELAXED);
  return offset + size <= sizeof arena ? arena + offset : NULL;
}

static bool in_arena(const void *p)
{
  return (const char *)p >= arena && (const char *)p < arena + sizeof arena;
}

/* false: this thread is in here already, so the arena must serve. */
static bool ready(void)
{
  if (real.free)
    return true;
  if (resolving)
    return false;
  resolving = true;
  *(void **)&real.malloc = dlsym(RTLD_NEXT, "malloc");
  *(void **)&real.calloc = dlsym(RTLD_NEXT, "calloc");
  *(void **)&real.realloc = dlsym(RTLD_NEXT, "realloc");
  *(void **)&real.free = dlsym(RTLD_NEXT, "free");
  resolving = false;
  MINI_ON_FIRST;
  return true;
}

/* --- counts --- */

#ifdef MINI_TABLE
enum { BUCKETS = 1 << 14, ENTRIES = 1 << 18 };
static struct entry {
  struct entry *next;
  void *p;
  size_t size;
} entries[ENTRIES], *buckets[BUCKETS], *unused;
static unsigned long totals[4];
static size_t entries_used;
static bool locked;
static __thread MINI_TLS bool counting;

static void lock(void)
{
  while (__atomic_exchange_n(&locked, true, __ATOMIC_ACQUIRE))
    sched_yield();
}

static struct entry **lock_bucket(const void *p)
{
  lock();
  return &buckets[((uintptr_t)p * UINT64_C(0x9e3779b97f4a7c15)) >> 50];
}

static void unlock(void)
{
  __atomic_store_n(&locked, false, __ATOMIC_RELEASE);
}

/* objects: 1 for an allocation, 0 to put back what was taken. */
static void *insert(void *p, size_t size, unsigned long objects)
{
  if (!p || (!counting && objects))
    return p;
  struct entry **bucket = lock_bucket(p), *entry = *bucket;
  while (entry && entry->p != p)
    entry = entry->next;
  if (!entry) {
    entry = unused ? unused : &entries[entries_used++];
    unused = unused ? unused->next : NULL;
    *entry = (struct entry){*bucket, p, 0};
    *bucket = entry;
  }
  entry->size = size;
  totals[0] += objects;
  totals[1] += objects * size;
  if (!objects) {
    totals[2]--;
    totals[3] -= size;
  }
  unlock();
  return p;
}

/* The size, or SIZE_MAX if it was not counted. */
static size_t take(void *p)
{
  size_t size = SIZE_MAX;
  for (struct entry **e = lock_bucket(p); *e; e = &(*e)->next)
    if ((*e)->p == p) {
      struct entry *found = *e;
      *e = found->next;
      found->next = unused;
      unused = found;
      size = found->size;
      totals[2]++;
      totals[3] += size;
      break;
    }
  unlock();
  return size;
}

void hz_mini_count(bool on)
{
  counting = on;
}
void hz_mini_totals(unsigned long seen[4])
{
  memcpy(seen, totals, sizeof totals);
}
#else
static void *insert(void *p, size_t size, unsigned long objects)
{
  return (void)size, (void)objects, p;
}
static size_t take(void *p)
{
  return (void)p, SIZE_MAX;
}
#endif

/* --- hooks --- */

/* true for the outermost call. */
static bool enter(size_t size)
{
  if (inside)
    return MINI_NESTED;
  int kept = errno;
  inside = true;
  MINI_ON_ALLOC(size);
  errno = kept;
  return true;
}

static void leave(const bool *outermost)
{
  if (*outermost)
    inside = false;
}

void *malloc(size_t size)
{
  if (!ready())
    return from_arena(size);
  bool outermost = enter(size);
  void *p = real.malloc(size);
  leave(&outermost);
  return outermost ? insert(p, size, 1) : p;
}

#ifndef MINI_OWN_CALLOC
void *calloc(size_t count, size_t size)
{
  if (!ready())
    return from_arena(count * size);
  bool outermost = enter(count * size);
  void *p = real.calloc(count, size);
  leave(&outermost);
  return outermost ? insert(p, count * size, 1) : p;
}
#endif

void free(void *p)
{
  if (!p || in_arena(p) || !ready())
    return;
  int kept = errno;
  MINI_ON_FREE(p);
  MINI_BEFORE(take(p);)
  real.free(p);
  MINI_AFTER(take(p);)
  errno = kept;
}

void *realloc(void *p, size_t size)
{
  if (!ready() || in_arena(p)) {
    char *q = malloc(size);
    for (size_t i = 0; q && p && i < size && in_arena((char *)p + i); i++)
      q[i] = ((char *)p)[i];
    return q;
  }
  size_t old = p ? take(p) : SIZE_MAX;
  bool outermost = enter(size);
  void *q = real.realloc(p, size);
  leave(&outermost);
  if (!q && size && old != SIZE_MAX) {
    MINI_REALLOC_FAILED(insert(p, old, 0);)
  }
  return outermost ? insert(q, size, 1) : q;
}

/* operator new and new[]; deletes come to free. Only where malloc is libstdc++'s way to memory (glibc). */
#define MINI_NEW(name)                                                                                                 \
  void *name(size_t size);                                                                                             \
  void *name(size_t size)                                                                                              \
  {                                                                                                                    \
    void *(*next)(size_t);                                                                                             \
    *(void **)&next = dlsym(RTLD_NEXT, #name);                                                                         \
    MINI_LEAVE bool outermost = enter(size);                                                                           \
    void *p = next(size);                                                                                              \
    leave(&outermost);                                                                                                 \
    return outermost ? insert(p, size, 1) : p;                                                                         \
  }
#ifdef MINI_TABLE
MINI_NEW(_Znwm)
MINI_NEW(_Znam)
#endif

__attribute__((constructor)) static void load(void)
{
  ready();
#ifdef MINI_TABLE
  pthread_atfork(lock, unlock, unlock);
#endif
  MINI_ON_LOAD;
}

__attribute__((destructor)) static void unload(void)
{
  MINI_ON_UNLOAD;
}
