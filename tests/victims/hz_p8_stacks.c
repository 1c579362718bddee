/* SPDX-License-Identifier: MIT */
/* P8: behind a filter, stacks whose surroundings cannot be read: coroutines between inaccessible pages, and code without unwind
 * information whose rbp holds addresses near the stack that are not mapped. */
#include "hz_filter.h"

#include <sys/mman.h>
#include <ucontext.h>

enum { PAGE = 4096, STACK_PAGES = 16 };

typedef void *jitted(void *(*alloc)(size_t), uintptr_t frame_pointer);

/* push rbp; push rbx; sub rsp,8; mov rax,rdi; mov rbp,rsi; mov edi,64; call rax; add rsp,8; pop rbx; pop rbp; ret */
static const unsigned char code[] = {0x55, 0x53, 0x48, 0x83, 0xec, 0x08, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf5, 0xbf,
                                     0x40, 0,    0,    0,    0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0x5b, 0x5d, 0xc3};
static jitted *call;
static ucontext_t main_context, coroutine;

static char *map(size_t pages, int protection)
{
  char *memory = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED && mprotect(memory + PAGE, pages * PAGE, protection) == 0);
  return memory + PAGE;
}

static void allocate(void)
{
  char here;
  for (uintptr_t distance = 0; distance < 2 << 20; distance += 1000) {
    free(call(malloc, ((uintptr_t)&here + distance) & ~(uintptr_t)7));
    hz_churn(3, distance % 100);
  }
}

static void run(void)
{
  allocate();
  swapcontext(&coroutine, &main_context);
}

int main(void)
{
  hz_alarm(20);
  char *page = map(1, PROT_READ | PROT_WRITE | PROT_EXEC), *stack = map(STACK_PAGES, PROT_READ | PROT_WRITE);
  memcpy(page, code, sizeof code);
  *(void **)&call = page;
  hz_churn(0, 16 << 20); /* a profiler makes its file now, or never */
  hz_confine("prctl", &hz_allowing);
  getcontext(&coroutine);
  coroutine.uc_stack.ss_sp = stack;
  coroutine.uc_stack.ss_size = (size_t)STACK_PAGES * PAGE;
  makecontext(&coroutine, run, 0);
  swapcontext(&main_context, &coroutine);
  allocate();
  puts("ok");
  return 0;
}
