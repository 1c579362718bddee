/* SPDX-License-Identifier: MIT */
/* mappings WHAT...: maps memory itself, counts by hand which page belongs to whom, says so, and waits for an order.
 *   usual     mappings, their parts unmapped, grown, moved, kept twice; sbrk; failures
 *   random N  N random steps in an arena: map over, unmap, move, of any size
 *   threads N four threads, each in an arena of its own, while handlers map and unmap
 *   shared N  four threads that unmap every other page of one mapping
 *   many N    so many ranges at once
 *   reserve   a terabyte without access, and a piece of it with
 *   fork      a child that goes on, and its parent, too */
#include "orders.h"
#include "shadow.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { PAGE = 4096, SITES = 6, ARENA_PAGES = 256, THREADS = 4, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };
enum { USABLE = PROT_READ | PROT_WRITE };

/* By site: what was mapped in all, pieces included that a hole left, and what is. */
static struct {
  unsigned long alloc_objects, alloc_pages, objects, pages;
} sites[SITES];

static void add(unsigned long *to, unsigned long count)
{
  (void)__atomic_fetch_add(to, count, __ATOMIC_RELAXED);
}

static void count(int site, long objects, long pages)
{
  if (objects > 0)
    add(&sites[site].alloc_objects, (unsigned long)objects);
  if (pages > 0)
    add(&sites[site].alloc_pages, (unsigned long)pages);
  add(&sites[site].objects, (unsigned long)objects);
  add(&sites[site].pages, (unsigned long)pages);
}

/* Not whole pages: the kernel rounds up. */
#define SITE(number)                                                                                                   \
  VICTIM void *victim_map_##number(void *at, size_t pages, int flags)                                                  \
  {                                                                                                                    \
    int kind = (flags & MAP_SHARED) != 0 ? MAP_ANONYMOUS : ANONYMOUS;                                                  \
    void *mapped = mmap(at, pages * PAGE - number, USABLE, kind | flags, -1, 0);                                       \
    __asm__ volatile("" : "+r"(mapped) : : "memory");                                                                  \
    return mapped;                                                                                                     \
  }                                                                                                                    \
  VICTIM void *victim_move_##number(void *from, size_t pages, size_t new_pages, int flags, void *to)                   \
  {                                                                                                                    \
    void *moved = (flags & ~MREMAP_MAYMOVE) == 0 ? mremap(from, pages * PAGE, new_pages * PAGE, flags)                 \
                                                 : mremap(from, pages * PAGE, new_pages * PAGE, flags, to);            \
    __asm__ volatile("" : "+r"(moved) : : "memory");                                                                   \
    return moved;                                                                                                      \
  }

SITE(0)
SITE(1)
SITE(2)
SITE(3)
SITE(4)

static void *(*const maps[])(void *at, size_t pages, int flags) = {victim_map_0, victim_map_1, victim_map_2,
                                                                   victim_map_3, victim_map_4};
static void *(*const moves[])(void *from, size_t pages, size_t new_pages, int flags,
                              void *to) = {victim_move_0, victim_move_1, victim_move_2, victim_move_3, victim_move_4};
enum { MAPPING_SITES = 5, SBRK_SITE = 5 };

VICTIM void *victim_sbrk_5(intptr_t change)
{
  void *before = sbrk(change);
  __asm__ volatile("" : "+r"(before) : : "memory");
  return before;
}

static void print(void)
{
  for (int i = 0; i < SITES; i++)
    dprintf(STDOUT_FILENO, "site %d alloc_objects=%lu alloc_space=%lu inuse_objects=%lu inuse_space=%lu pid=%d\n", i,
            sites[i].alloc_objects, sites[i].alloc_pages * PAGE, sites[i].objects, sites[i].pages * PAGE,
            (int)getpid());
}

/* Usual. */

static char *mapped(int site, void *at, size_t pages, int flags)
{
  char *p = maps[site](at, pages, flags);
  REQUIRE(p != MAP_FAILED);
  count(site, 1, (long)pages);
  return p;
}

static void end_of_heap(void)
{
  char *end = victim_sbrk_5(0);
  REQUIRE(end != (void *)-1 && victim_sbrk_5(PAGE - (intptr_t)((uintptr_t)end % PAGE)) == end);
  count(SBRK_SITE, (uintptr_t)end % PAGE == 0, (uintptr_t)end % PAGE == 0); /* else up to the end of a page that is */
  for (int i = 0; i < 64; i++) /* four pages by pieces: each by the one that comes into it */
    REQUIRE(victim_sbrk_5(PAGE / 16) != (void *)-1);
  count(SBRK_SITE, 4, 4);
  REQUIRE(victim_sbrk_5(10 * PAGE) != (void *)-1);
  count(SBRK_SITE, 1, 10);
  REQUIRE(victim_sbrk_5(-3 * PAGE) != (void *)-1);
  count(SBRK_SITE, 0, -3);
}

static void failures(void)
{
  errno = 0;
  REQUIRE(maps[0](NULL, (size_t)1 << 40, 0) == MAP_FAILED && errno == ENOMEM);
  REQUIRE(munmap((void *)1, PAGE) == -1 && errno == EINVAL);
  REQUIRE(moves[0]((void *)PAGE, 1, 2, MREMAP_MAYMOVE, NULL) == MAP_FAILED && errno == EFAULT);
  errno = 42;
  char *p = mapped(0, NULL, 1, 0);
  REQUIRE(munmap(p, PAGE) == 0 && errno == 42);
  count(0, -1, -1);
}

static void usual(void)
{
  char *hole = mapped(0, NULL, 10, 0), *ends = mapped(1, NULL, 10, 0), *grows = mapped(2, NULL, 4, 0);
  REQUIRE(munmap(hole + 4 * PAGE, 2 * PAGE) == 0);
  count(0, 1, 0), count(0, 0, -2);
  REQUIRE(munmap(ends, PAGE) == 0 && munmap(ends + 8 * PAGE, 2 * PAGE - 1) == 0);
  count(1, 0, -3);
  char *grown = moves[3](grows, 4, 400, MREMAP_MAYMOVE, NULL);
  REQUIRE(grown != MAP_FAILED);
  count(2, -1, -4), count(3, 1, 400);
  REQUIRE(moves[4](grown, 400, 100, 0, NULL) == grown); /* they stay whose they were */
  count(3, 0, -300);
  char *over = mapped(4, hole + PAGE, 2, MAP_FIXED); /* in the middle of the first half */
  count(0, 1, 0), count(0, 0, -2);
  char *place = mapped(1, NULL, 2, 0);
  REQUIRE(moves[2](over, 2, 2, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
  count(4, -1, -2), count(1, -1, -2), count(2, 1, 2);
  char *shared = mapped(0, NULL, 3, MAP_SHARED);
  int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  REQUIRE(program >= 0 && mmap(shared, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, program, 0) == shared);
  count(0, 0, -1); /* a file's now */
  end_of_heap();
  failures();
}

/* Random. */

struct arena {
  char *start;
  unsigned ids[ARENA_PAGES]; /* of what is mapped there; 0: nothing */
  int site_of_page[ARENA_PAGES];
  unsigned next_id;
  uint64_t seed;
};

static unsigned below(struct arena *arena, unsigned limit)
{
  arena->seed = arena->seed * 6364136223846793005u + 1442695040888963407u;
  return (unsigned)(arena->seed >> 33) % limit;
}

static bool begins(const struct arena *arena, unsigned page)
{
  return arena->ids[page] != 0 && (page == 0 || arena->ids[page - 1] != arena->ids[page]);
}

static void count_pieces(const struct arena *arena, long pieces[SITES])
{
  for (unsigned page = 0; page < ARENA_PAGES; page++)
    if (begins(arena, page))
      pieces[arena->site_of_page[page]]++;
}

/* A range becomes another's, or nobody's: by pieces that were there before and are now. */
static void give(struct arena *arena, unsigned first, unsigned pages, int site)
{
  long before[SITES] = {0}, after[SITES] = {0};
  count_pieces(arena, before);
  unsigned around = first > 0 && first + pages < ARENA_PAGES && arena->ids[first - 1] != 0 &&
                    arena->ids[first - 1] == arena->ids[first + pages];
  int split = around ? arena->site_of_page[first - 1] : 0;
  for (unsigned page = first; page < first + pages; page++) {
    if (arena->ids[page] != 0)
      count(arena->site_of_page[page], 0, -1);
    arena->ids[page] = 0;
  }
  if (around) /* what is behind the hole is a mapping of its own from now on */
    for (unsigned id = arena->ids[first - 1], page = first + pages; page < ARENA_PAGES && arena->ids[page] == id;
         page++)
      arena->ids[page] = arena->next_id + 1;
  arena->next_id += around ? 1 : 0;
  count_pieces(arena, after);
  for (int i = 0; i < SITES; i++)
    add(&sites[i].objects, (unsigned long)(after[i] - before[i]));
  if (around)
    add(&sites[split].alloc_objects, 1);
  if (site < 0)
    return;
  arena->next_id++;
  for (unsigned page = first; page < first + pages; page++)
    arena->ids[page] = arena->next_id, arena->site_of_page[page] = site;
  count(site, 1, (long)pages);
}

/* A part of one mapping: the kernel moves no more at once. */
static void move(struct arena *arena, unsigned first, unsigned pages_most, int site)
{
  unsigned pages = 0, to = below(arena, ARENA_PAGES - pages_most);
  while (pages < pages_most && arena->ids[first] != 0 && arena->ids[first + pages] == arena->ids[first])
    pages++;
  if (pages == 0 || (to < first + pages && first < to + pages))
    return;
  char *from = arena->start + first * PAGE, *at = arena->start + to * PAGE;
  REQUIRE(moves[site](from, pages, pages, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at);
  give(arena, first, pages, -1);
  give(arena, to, pages, site);
}

static void step(struct arena *arena)
{
  unsigned pages = 1 + below(arena, 24), first = below(arena, ARENA_PAGES - pages), what = below(arena, 10);
  int site = (int)below(arena, MAPPING_SITES);
  if (what < 5) {
    REQUIRE(maps[site](arena->start + first * PAGE, pages, MAP_FIXED) == arena->start + first * PAGE);
    give(arena, first, pages, site);
  } else if (what < 8) {
    REQUIRE(munmap(arena->start + first * PAGE, pages * PAGE) == 0);
    give(arena, first, pages, -1);
  } else {
    move(arena, first, pages, site);
  }
}

/* A place where nothing else comes to lie: what is unmapped in it is mapped again by nobody but us. */
static char *place_for_arena(void)
{
  static char *next = (char *)0x200000000000;
  return __atomic_fetch_add(&next, (long)ARENA_PAGES * PAGE * 2, __ATOMIC_RELAXED);
}

static void wander(unsigned steps, uint64_t seed)
{
  struct arena *arena = calloc(1, sizeof *arena);
  REQUIRE(arena != NULL);
  arena->start = place_for_arena();
  arena->seed = seed;
  for (unsigned i = 0; i < steps; i++)
    step(arena);
  free(arena);
}

static unsigned steps_wanted;

static void *wander_apart(void *number)
{
  wander(steps_wanted, (uintptr_t)number);
  return NULL;
}

static void on_signal(int number)
{
  (void)number;
  char *p = maps[4](NULL, 3, 0);
  if (p == MAP_FAILED)
    return;
  count(4, 1, 3), count(4, 1, 0), count(4, 0, -1);
  (void)munmap(p + PAGE, PAGE);
  (void)munmap(p, 3 * PAGE);
  count(4, -2, -2);
}

static _Atomic bool is_over;

static void *send_signals(void *threads)
{
  for (unsigned i = 0; !is_over; i++)
    pthread_kill(((pthread_t *)threads)[i % THREADS], SIGUSR1);
  return NULL;
}

static void threads(void)
{
  pthread_t workers[THREADS], sender;
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
  for (uintptr_t i = 0; i < THREADS; i++)
    REQUIRE(pthread_create(&workers[i], NULL, wander_apart, (void *)(i + 1)) == 0);
  REQUIRE(pthread_create(&sender, NULL, send_signals, workers) == 0);
  while (sites[4].alloc_objects < 100) /* some came */
    sched_yield();
  is_over = true;
  REQUIRE(pthread_join(sender, NULL) == 0);
  for (int i = 0; i < THREADS; i++)
    REQUIRE(pthread_join(workers[i], NULL) == 0);
}

/* Shared. */

static char *common;

static void *unmap_every_other(void *number)
{
  for (unsigned page = 2 * (unsigned)(uintptr_t)number + 1; page < steps_wanted; page += 2 * THREADS)
    REQUIRE(munmap(common + (size_t)page * PAGE, PAGE) == 0);
  return NULL;
}

static void shared(void)
{
  pthread_t workers[THREADS];
  common = mapped(2, NULL, steps_wanted, 0);
  for (uintptr_t i = 0; i < THREADS; i++)
    REQUIRE(pthread_create(&workers[i], NULL, unmap_every_other, (void *)i) == 0);
  for (int i = 0; i < THREADS; i++)
    REQUIRE(pthread_join(workers[i], NULL) == 0);
  long holes = steps_wanted / 2, at_end = steps_wanted % 2 == 0;
  count(2, holes - at_end, 0);
  count(2, 0, -holes);
}

/* Others. */

static void many(void)
{
  for (unsigned i = 0; i < steps_wanted; i++)
    (void)mapped(1, NULL, 1, 0);
}

VICTIM char *victim_reserve(void)
{
  char *p = mmap(NULL, (size_t)1 << 40, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(p != MAP_FAILED);
  return p;
}

static void reserve(void)
{
  char *p = victim_reserve();
  memset(mapped(3, p + ((size_t)600 << 30), 256, MAP_FIXED), 1, (size_t)256 * PAGE);
}

static void fork_and_go_on(void)
{
  char *p = mapped(0, NULL, 16, 0);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (int i = 0; i < SITES; i++) /* it begins with what its parent had */
      sites[i].alloc_objects = sites[i].objects, sites[i].alloc_pages = sites[i].pages;
    REQUIRE(munmap(p, 3 * PAGE) == 0); /* before it has a region */
    sites[0].alloc_pages -= 3, sites[0].pages -= 3;
    (void)mapped(1, NULL, 7, 0);
    REQUIRE(munmap(p + 4 * PAGE, PAGE) == 0);
    count(0, 1, 0), count(0, 0, -1);
  } else {
    REQUIRE(munmap(p + 15 * PAGE, PAGE) == 0);
    count(0, 0, -1);
    (void)mapped(2, NULL, 9, 0);
  }
}

int main(int argc, char **argv)
{
  for (int i = 1; i < argc; i++) {
    bool takes_number = i + 1 < argc && argv[i + 1][0] >= '0' && argv[i + 1][0] <= '9';
    const char *what = argv[i];
    steps_wanted = takes_number ? (unsigned)atoi(argv[++i]) : 0;
    if (strcmp(what, "usual") == 0)
      usual();
    else if (strcmp(what, "random") == 0)
      wander(steps_wanted, 42);
    else if (strcmp(what, "threads") == 0)
      threads();
    else if (strcmp(what, "shared") == 0)
      shared();
    else if (strcmp(what, "many") == 0)
      many();
    else if (strcmp(what, "reserve") == 0)
      reserve();
    else if (strcmp(what, "fork") == 0)
      fork_and_go_on();
    else
      return 2;
  }
  char order[16];
  print();
  dprintf(STDOUT_FILENO, "ready\n");
  (void)read_order(order, sizeof order);
  return 0;
}
