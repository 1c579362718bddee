/* SPDX-License-Identifier: MIT */
/* U7: code on an anonymous page, so without unwind information, calls malloc with rbp holding anything. */
#include "hz_victim.h"
#include <sys/mman.h>

typedef void *jitted(void *(*alloc)(size_t), uintptr_t frame_pointer);

/* push rbp; push rbx; sub rsp,8; mov rax,rdi; mov rbp,rsi; mov edi,64; call rax; add rsp,8; pop rbx; pop rbp; ret */
static const unsigned char code[] = {0x55, 0x53, 0x48, 0x83, 0xec, 0x08, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf5, 0xbf,
                                     0x40, 0,    0,    0,    0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0x5b, 0x5d, 0xc3};
extern void *__libc_stack_end;

static void *run(void *argument)
{
  char *pages = argument;
  uintptr_t local[64], *buffer = (uintptr_t *)(pages + 4096);
  jitted *call;
  *(void **)&call = pages;
  for (int i = 0; i < 512; i++) /* a chain of frames that climbs to the end of the page; the next one is inaccessible */
    buffer[i] = (uintptr_t)&buffer[i + 2];
  for (int i = 0; i < 64; i++) /* a loop, on the stack */
    local[i] = (uintptr_t)local;
  const uintptr_t values[] = {0x1234,
                              0,
                              (uintptr_t)(pages + 8192),
                              (uintptr_t)buffer,
                              (uintptr_t)&buffer[511],
                              (uintptr_t)local,
                              (uintptr_t)local + 3,
                              (uintptr_t)__libc_stack_end,
                              (uintptr_t)__libc_stack_end + (1 << 19), /* near, and not there */
                              (uintptr_t)__libc_stack_end + (1 << 20),
                              UINTPTR_MAX - 7,
                              UINT64_C(0xffff800000000000),
                              UINT64_C(0x00007ffffffff000),
                              (uintptr_t)&values};
  for (int i = 0; i < 50; i++)
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
      void *p = call(malloc, values[k]);
      REQUIRE(p != NULL);
      free(p);
    }
  return NULL;
}

int main(void)
{
  hz_alarm(20);
  char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(pages != MAP_FAILED);
  memcpy(pages, code, sizeof code);
  REQUIRE(mprotect(pages, 4096, PROT_READ | PROT_EXEC) == 0 && mprotect(pages + 8192, 4096, PROT_NONE) == 0);
  run(pages);
  pthread_join(hz_thread(run, pages, 65536), NULL);
  puts("ok");
  return 0;
}
