/* SPDX-License-Identifier: MIT */
/* U7: code on an anonymous page calls for memory, with 0 in rbp, while the C runtime has its unwind information and after.
 * The plug-in (-DPLUGIN) alone sees a C runtime. */
#include "hz_victim.h"

#include <dlfcn.h>

#ifdef PLUGIN
#include <sys/mman.h>

typedef void generated(void (*allocate)(void));
struct bases {
  void *text, *data, *function;
};
extern void __register_frame(void *begin), __deregister_frame(void *begin);
extern const void *_Unwind_Find_FDE(void *pc, struct bases *bases);
void victim_allocate(void), victim_while_registered(generated *), victim_after(generated *), victim_run(void);

/* push rbp; xor ebp,ebp; sub rsp,16; call rdi; add rsp,16; pop rbp; ret */
static const unsigned char code[] = {0x55, 0x31, 0xed, 0x48, 0x83, 0xec, 0x10, 0xff,
                                     0xd7, 0x48, 0x83, 0xc4, 0x10, 0x5d, 0xc3};
enum { CODE_BYTES = sizeof code, CFI_AT = 1024, ROUNDS = 50 };

/* A CIE ("zR"; CFA = rsp + 8, rip below), an FDE whose code begins CFI_AT bytes before the CIE, and the end. */
static const unsigned char cfi[] = {
    20,   0,    0,  0,    0,  0,    0,    0,  1,    'z',  'R', 0,    1,    0x78, 16, 1, 0x1b,
    12,   7,    8,  0x90, 1,  0,    0,                                                     /* */
    28,   0,    0,  0,    28, 0,    0,    0,  0,    0,    0,   0,    15,   0,    0,  0, 0, /* */
    0x41, 0x0e, 16, 0x86, 2,  0x46, 0x0e, 32, 0x46, 0x0e, 16,  0x41, 0x0e, 8,    0,        /* */
    0,    0,    0,  0};
enum { CODE_FIELD_AT = 32 };

__attribute__((noinline)) void victim_allocate(void)
{
  void *volatile p = malloc(64);
  REQUIRE(p != NULL);
  free(p);
}

__attribute__((noinline)) void victim_while_registered(generated *function)
{
  for (int i = 0; i < ROUNDS; i++)
    function(victim_allocate);
}

__attribute__((noinline)) void victim_after(generated *function)
{
  for (int i = 0; i < ROUNDS; i++)
    function(victim_allocate);
}

void victim_run(void)
{
  char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  int distance = -(CFI_AT + CODE_FIELD_AT);
  memcpy(page, code, sizeof code);
  memcpy(page + CFI_AT, cfi, sizeof cfi);
  memcpy(page + CFI_AT + CODE_FIELD_AT, &distance, sizeof distance);
  REQUIRE(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
  generated *function;
  *(void **)&function = page;
  struct bases bases;
  __register_frame(page + CFI_AT);
  printf("the runtime knows: %d\n", _Unwind_Find_FDE(page + 4, &bases) != NULL);
  victim_while_registered(function);
  __deregister_frame(page + CFI_AT);
  printf("the runtime knows: %d\n", _Unwind_Find_FDE(page + 4, &bases) != NULL);
  victim_after(function);
  REQUIRE(munmap(page, 4096) == 0);
}
#else
int main(int argc, char **argv)
{
  hz_alarm(20);
  void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  REQUIRE(plugin != NULL);
  void (*run)(void);
  *(void **)&run = dlsym(plugin, "victim_run");
  REQUIRE(run != NULL);
  run();
  puts("ok");
  return 0;
}
#endif
