/* SPDX-License-Identifier: MIT */
/* U6: somebody's memory lies right below a small stack, and every function that allocates or frees is called on it.
 *   KIND ROOM [local]  on a stack of ROOM bytes: "intact", or how much below it was overwritten
 *   KIND 0 [local]     with room for everything: how many bytes were used
 * KIND: context, signal (the kernel's frame is counted), thread (as small as there are, if that is more than ROOM). local: the stack
 * is an array of main, and so part of a stack that is known. */
#include "hz_victim.h"
#include <malloc.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

#define WEAK __attribute__((weak))
/* C++, and what not every libc and allocator has. */
void *_Znwm(size_t), *_Znam(size_t), *_ZnwmRKSt9nothrow_t(size_t, const void *),
    *_ZnamRKSt9nothrow_t(size_t, const void *);
void *_ZnwmSt11align_val_t(size_t, size_t), *_ZnamSt11align_val_t(size_t, size_t);
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t, size_t, const void *),
    *_ZnamSt11align_val_tRKSt9nothrow_t(size_t, size_t, const void *);
void _ZdlPv(void *), _ZdaPv(void *), _ZdlPvm(void *, size_t), _ZdaPvm(void *, size_t);
void _ZdlPvRKSt9nothrow_t(void *, const void *), _ZdaPvRKSt9nothrow_t(void *, const void *);
void _ZdlPvSt11align_val_t(void *, size_t), _ZdaPvSt11align_val_t(void *, size_t);
void _ZdlPvmSt11align_val_t(void *, size_t, size_t), _ZdaPvmSt11align_val_t(void *, size_t, size_t);
void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *, size_t, const void *),
    _ZdaPvSt11align_val_tRKSt9nothrow_t(void *, size_t, const void *);
WEAK void cfree(void *), free_sized(void *, size_t), free_aligned_sized(void *, size_t, size_t), vfree(void *);
WEAK void *reallocf(void *, size_t);
WEAK int reallocarr(void *, size_t, size_t), mallctl(const char *, void *, size_t *, void *, size_t),
    heapprof_dump(const char *);
WEAK void *mallocx(size_t, int), *rallocx(void *, size_t, int);
WEAK size_t xallocx(void *, size_t, size_t, int);
WEAK void dallocx(void *, int), sdallocx(void *, size_t, int);

enum { AREA = 512 << 10, MARK = 0xa5, ROUNDS = 64, ALIGNMENT = 64 };
static unsigned char *area;
static const char nothrow;

static void of_c(size_t size)
{
  void *pointer = malloc(size), *places[2] = {calloc(1, size), NULL};
  free(pointer);
  pointer = realloc(realloc(NULL, size), 3 * size);
  pointer = reallocarray(pointer, 2, 3 * size);
  free(reallocf ? reallocf(pointer, size) : pointer);
  REQUIRE(!reallocarr || reallocarr(places, 4, size) == 0);
  if (cfree && !mallctl) /* jemalloc has neither it nor pvalloc: they would be glibc's */
    cfree(places[0]);
  else
    free(places[0]);
  if (free_sized)
    free_sized(malloc(size), size);
  if (free_aligned_sized)
    free_aligned_sized(aligned_alloc(ALIGNMENT, ALIGNMENT * size), ALIGNMENT, ALIGNMENT * size);
  if (vfree)
    vfree(valloc(size));
}

static void of_aligned(size_t size)
{
  void *pointer;
  REQUIRE(posix_memalign(&pointer, ALIGNMENT, size) == 0);
  free(pointer);
  free(memalign(ALIGNMENT, size));
  free(aligned_alloc(ALIGNMENT, ALIGNMENT * size));
  free(valloc(size));
  if (!mallctl)
    free(pvalloc(size));
}

static void of_cxx(size_t size)
{
  _ZdlPv(_Znwm(size));
  _ZdaPv(_Znam(size));
  _ZdlPvm(_Znwm(size), size);
  _ZdaPvm(_Znam(size), size);
  _ZdlPvRKSt9nothrow_t(_ZnwmRKSt9nothrow_t(size, &nothrow), &nothrow);
  _ZdaPvRKSt9nothrow_t(_ZnamRKSt9nothrow_t(size, &nothrow), &nothrow);
  _ZdlPvSt11align_val_t(_ZnwmSt11align_val_t(size, ALIGNMENT), ALIGNMENT);
  _ZdaPvSt11align_val_t(_ZnamSt11align_val_t(size, ALIGNMENT), ALIGNMENT);
  _ZdlPvmSt11align_val_t(_ZnwmSt11align_val_t(size, ALIGNMENT), size, ALIGNMENT);
  _ZdaPvmSt11align_val_t(_ZnamSt11align_val_t(size, ALIGNMENT), size, ALIGNMENT);
  _ZdlPvSt11align_val_tRKSt9nothrow_t(_ZnwmSt11align_val_tRKSt9nothrow_t(size, ALIGNMENT, &nothrow), ALIGNMENT,
                                      &nothrow);
  _ZdaPvSt11align_val_tRKSt9nothrow_t(_ZnamSt11align_val_tRKSt9nothrow_t(size, ALIGNMENT, &nothrow), ALIGNMENT,
                                      &nothrow);
}

static void of_jemalloc(size_t size)
{
  void *pointer = rallocx(mallocx(size, 0), 4 * size, 0);
  xallocx(pointer, 5 * size, 0, 0);
  dallocx(pointer, 0);
  sdallocx(mallocx(size, 0), size, 0);
}

/* Different callers, so that there are stacks that nobody has seen. */
__attribute__((noinline)) static void work(int depth, size_t size)
{
  if (depth > 0) {
    work(depth - 1, size);
    __asm__ volatile("" ::: "memory"); /* not a tail call */
    return;
  }
  of_c(size);
  of_aligned(size);
  of_cxx(size);
  if (mallctl)
    of_jemalloc(size);
  if (heapprof_dump && size % 16 == 0)
    (void)heapprof_dump("/dev/null");
}

static void work_here(void)
{
  for (int i = 0; i < ROUNDS; i++)
    work(i % 4, 100 + (size_t)i);
}

static void on_signal(int number)
{
  (void)number;
  work_here();
}

static void *in_thread(void *unused)
{
  work_here();
  return unused;
}

static void run_context(size_t room)
{
  static ucontext_t here, there;
  REQUIRE(getcontext(&there) == 0);
  there.uc_stack.ss_sp = area + AREA - room;
  there.uc_stack.ss_size = room;
  there.uc_link = &here;
  makecontext(&there, work_here, 0);
  REQUIRE(swapcontext(&here, &there) == 0);
}

static void run_signal(size_t room)
{
  stack_t stack = {.ss_sp = area + AREA - room, .ss_size = room};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
  REQUIRE(room >= getauxval(AT_MINSIGSTKSZ));
  REQUIRE(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0 && raise(SIGUSR1) == 0);
}

static size_t thread_room(size_t room)
{
  size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
  return room > least ? room : least;
}

static void run_thread(size_t room)
{
  pthread_t thread;
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, area + AREA - room, room) == 0);
  REQUIRE(pthread_create(&thread, &attributes, in_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

static void run(const char *kind, size_t room)
{
  if (strcmp(kind, "context") == 0)
    run_context(room);
  else if (strcmp(kind, "signal") == 0)
    run_signal(room);
  else
    run_thread(room);
}

int main(int argc, char **argv)
{
  unsigned char local[AREA] __attribute__((aligned(4096)));
  hz_alarm(30);
  REQUIRE(argc >= 2);
  const char *kind = argv[1];
  size_t room = (size_t)hz_argument(argc, argv, 2, AREA), untouched = 0;
  area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(area != MAP_FAILED);
  if (argc > 3)
    area = local;
  memset(area, MARK, AREA);
  if (room == 0)
    room = AREA;
  else if (strcmp(kind, "thread") == 0)
    room = thread_room(room);
  run(kind, room);
  while (untouched < AREA && area[untouched] == MARK)
    untouched++;
  if (room == AREA)
    printf("%zu\n", AREA - untouched);
  else if (untouched >= AREA - room)
    printf("intact\n");
  else
    printf("overwritten: %zu bytes below it\n", AREA - room - untouched);
  return 0;
}
