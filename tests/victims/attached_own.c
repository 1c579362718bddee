/* SPDX-License-Identifier: MIT */
/* Eight threads that allocate, free and resize all the time. What they do beneath victim_turn is counted; before "count"
 * they do the same elsewhere, and go on with what they have from then. "rest" lets them wait with what is in use; the next
 * line ends them.
 *
 * surrounded: there is no free memory near. "write": it makes its code writable from now on, and changes some of it in the end.
 *
 * With -DPREFIX=je_ the functions of that name are called; then no function of libc is asked for memory. */
#include "shadow.h"

#include "orders.h"

#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { THREADS = 8, SLOTS = 64, SIZES = 3000, ALIGNMENT = 64, ENOUGH = 5000 };

#ifdef PREFIX
#define JOIN(a, b) a##b
#define JOINED(a, b) JOIN(a, b)
#define OF(name) JOINED(PREFIX, name)
void *OF(malloc)(size_t size);
void OF(free)(void *pointer);
void *OF(calloc)(size_t count, size_t size);
void *OF(realloc)(void *pointer, size_t size);
int OF(posix_memalign)(void **pointer, size_t alignment, size_t size);
void *OF(memalign)(size_t alignment, size_t size);
#else
#define OF(name) name
#endif

static int phase; /* 1: counted; 2: over, at rest */
static pthread_barrier_t barrier;

struct slot {
  unsigned char *bytes;
  size_t size;
  int is_counted;
  unsigned char mark;
};

/* Of a library, which nobody calls before "count". */
extern void *lazy_make(size_t size) __attribute__((weak));

static __attribute__((noinline)) void *make(unsigned kind, size_t size, int is_counted)
{
  void *made = NULL;
  if (kind == 4 && is_counted && lazy_make != NULL)
    return lazy_make(size);
  switch (kind) {
  case 0: return OF(calloc)(1, size);
  case 1: return OF(posix_memalign)(&made, ALIGNMENT, size) == 0 ? made : NULL;
  case 2: return OF(memalign)(ALIGNMENT, size);
#ifndef PREFIX
  case 3: {
    char text[SIZES + 1];
    memset(text, 'x', size - 1);
    text[size - 1] = '\0';
    made = strdup(text);
    return made;
  }
#endif
  default: made = OF(malloc)(size); return made;
  }
}

static __attribute__((noinline)) void turn(struct slot *slot, unsigned kind, size_t size, int is_counted)
{
  enum { KINDS = 6 };
  for (size_t i = 0; i < slot->size; i++)
    REQUIRE(slot->bytes[i] == slot->mark);
  if (slot->is_counted)
    shadow_remove(slot->size);
  if (kind % 3 == 0) {
    slot->bytes = OF(realloc)(slot->bytes, size);
  } else {
    OF(free)(slot->bytes);
    slot->bytes = make(kind % KINDS, size, is_counted);
  }
  slot->size = size;
  slot->is_counted = is_counted;
  if (is_counted)
    (void)shadow_add(slot->bytes, size);
  REQUIRE(slot->bytes != NULL);
  memset(slot->bytes, ++slot->mark, size);
}

VICTIM void victim_turn(struct slot *slot, unsigned kind, size_t size)
{
  turn(slot, kind, size, 1);
  __asm__ volatile("");
}

static void *work(void *number)
{
  unsigned long state = (unsigned long)number + 1;
  struct slot slots[SLOTS] = {{NULL, 0, 0, 0}};
  for (int now; (now = __atomic_load_n(&phase, __ATOMIC_ACQUIRE)) < 2;) {
    struct slot *slot = &slots[shadow_random(&state) % SLOTS];
    size_t size = (shadow_random(&state) % (SIZES / ALIGNMENT) + 1) * ALIGNMENT;
    if (now == 1)
      victim_turn(slot, shadow_random(&state), size);
    else
      turn(slot, shadow_random(&state), size, 0);
  }
  (void)pthread_barrier_wait(&barrier);
  (void)pthread_barrier_wait(&barrier);
  for (int i = 0; i < SLOTS; i++)
    OF(free)(slots[i].bytes);
  return NULL;
}

/* All addresses around the program that a jump of four bytes can lead to, but for a room just below it. */
static void fill_surroundings(void)
{
  enum { STEP = 1 << 20, FIXED_NOREPLACE = 0x100000, FREE_STEPS = 64 };
  uintptr_t here = (uintptr_t)fill_surroundings & ~(uintptr_t)(STEP - 1);
  for (long step = -(3 << 10); step < 3 << 10; step++)
    for (int part = 0; part < STEP && (step < -FREE_STEPS || step > 0); part += STEP / 16)
      (void)mmap((void *)(here + (uintptr_t)(step * STEP + part)), STEP / 16, PROT_READ,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | FIXED_NOREPLACE, -1, 0);
}

/* Maps and unmaps pages all the time, wherever the kernel likes: what it has must stay. */
static void *map_pages(void *unused)
{
  enum { PAGE = 4096, KEPT = 200 };
  unsigned char *pages[KEPT] = {NULL};
  (void)unused;
  while (__atomic_load_n(&phase, __ATOMIC_ACQUIRE) < 2) {
    for (unsigned i = 0; i < KEPT; i++) {
      pages[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      REQUIRE(pages[i] != MAP_FAILED);
      *pages[i] = (unsigned char)i;
    }
    for (unsigned i = 0; i < KEPT; i++)
      REQUIRE(*pages[i] == (unsigned char)i && munmap(pages[i], PAGE) == 0);
  }
  return NULL;
}

#ifdef __x86_64__
extern unsigned char number_of_mine[]; /* mov $1, %eax; ret */
__asm__(".text\n.type number_of_mine, @function\nnumber_of_mine: mov $1, %eax\nret\n.size number_of_mine, . - "
        "number_of_mine\n");
#else
static unsigned char number_of_mine[2];
#endif

extern const char __etext[];

static bool is_writable;

static void make_writable(void)
{
  is_writable = true;
  uintptr_t start = (uintptr_t)number_of_mine & ~(uintptr_t)4095, end = ((uintptr_t)__etext + 4095) & ~(uintptr_t)4095;
  start = start < (uintptr_t)malloc ? start : (uintptr_t)malloc & ~(uintptr_t)4095;
  REQUIRE(mprotect((void *)start, end - start, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
}

static bool next_order(char *order, size_t capacity)
{
  while (read_order(order, capacity)) {
    if (strcmp(order, "write") != 0)
      return true;
    make_writable();
    dprintf(STDOUT_FILENO, "done\n");
  }
  return false;
}

static void write_code(void)
{
  if (is_writable)
    number_of_mine[1]++;
}

int main(int argc, char **argv)
{
  pthread_t maps;
  pthread_t threads[THREADS];
  char order[16];
  if (argc > 1 && strcmp(argv[1], "surrounded") == 0)
    fill_surroundings();
  bool is_mapping = argc > 1 && strcmp(argv[1], "maps") == 0;
  REQUIRE(!is_mapping || pthread_create(&maps, NULL, map_pages, NULL) == 0);
  (void)pthread_barrier_init(&barrier, NULL, THREADS + 1);
  for (long i = 0; i < THREADS; i++)
    REQUIRE(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
  dprintf(STDOUT_FILENO, "ready\n");
  while (phase < 2 && next_order(order, sizeof order)) {
    __atomic_store_n(&phase, strcmp(order, "count") == 0 ? 1 : 2, __ATOMIC_RELEASE);
    while (phase == 1 && __atomic_load_n(&shadow.alloc_objects, __ATOMIC_RELAXED) < ENOUGH)
      (void)usleep(1000);
    if (phase == 2) {
      (void)pthread_barrier_wait(&barrier);
      shadow_print();
    }
    dprintf(STDOUT_FILENO, "done\n");
  }
  (void)read_order(order, sizeof order);
  (void)pthread_barrier_wait(&barrier);
  for (int i = 0; i < THREADS; i++)
    (void)pthread_join(threads[i], NULL);
  if (is_mapping)
    (void)pthread_join(maps, NULL);
  write_code();
  dprintf(STDOUT_FILENO, "whole\n");
  return 0;
}
