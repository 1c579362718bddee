/* SPDX-License-Identifier: MIT */
/* U7: code that is made at run time and has a stack of its own, as Erlang's: there it calls itself with frame pointers, and then C, on the
 * thread's stack. With "garbage" the frame pointer leads to data instead. */
#include "hz_victim.h"

#include <sys/mman.h>

typedef void generated(void (*allocate)(void), void *stack, const void *frame);
enum { ROUNDS = 50, STACK_BYTES = 16 << 10 };

/* enter: push rbp; mov rbp,rsp; push rbx; push r12; mov rbx,rsp; mov r12,rdx; mov rsp,rsi; call outer;
 *        mov rsp,rbx; pop r12; pop rbx; pop rbp; ret
 * outer: push rbp; mov rbp,rsp; call inner; pop rbp; ret
 * inner: push rbp; mov rbp,rsp; push rbp; mov rax,rsp; test r12,r12; cmovne rbp,r12; mov rsp,rbx; and rsp,-16; push rax; push rax;
 *        call rdi; pop rax; mov rsp,rax; pop rbp; mov rsp,rbp; pop rbp; ret */
static const unsigned char code[] = {
    0x55, 0x48, 0x89, 0xe5, 0x53, 0x41, 0x54, 0x48, 0x89, 0xe3, 0x49, 0x89, 0xd4, 0x48, 0x89, 0xf4, 0xe8, 8,    0,
    0,    0,    0x48, 0x89, 0xdc, 0x41, 0x5c, 0x5b, 0x5d, 0xc3, 0x55, 0x48, 0x89, 0xe5, 0xe8, 2,    0,    0,    0,
    0x5d, 0xc3, 0x55, 0x48, 0x89, 0xe5, 0x55, 0x48, 0x89, 0xe0, 0x4d, 0x85, 0xe4, 0x49, 0x0f, 0x45, 0xec, 0x48, 0x89,
    0xdc, 0x48, 0x83, 0xe4, 0xf0, 0x50, 0x50, 0xff, 0xd7, 0x58, 0x48, 0x89, 0xc4, 0x5d, 0x48, 0x89, 0xec, 0x5d, 0xc3};

VICTIM void victim_allocate(void)
{
  void *volatile p = malloc(64);
  REQUIRE(p != NULL);
  free(p);
}

int main(int argc, char **argv)
{
  hz_alarm(20);
  static void *data[1000];
  for (unsigned i = 0; i < sizeof data / sizeof *data; i++)
    data[i] = &data[(i + 2) % (sizeof data / sizeof *data)];
  char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED && stack != MAP_FAILED);
  memcpy(page, code, sizeof code);
  REQUIRE(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
  generated *enter;
  *(void **)&enter = page;
  const void *frame = argc > 1 && strcmp(argv[1], "garbage") == 0 ? &data[500] : NULL;
  for (int i = 0; i < ROUNDS; i++)
    enter(victim_allocate, stack + STACK_BYTES, frame);
  puts("ok");
  return 0;
}
