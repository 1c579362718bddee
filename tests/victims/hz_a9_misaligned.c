/* SPDX-License-Identifier: MIT */
/* A9: a caller that does not keep the stack aligned, as generated code and old assembly may: calls every hook, heapprof's own functions,
 * fork, and raises the signal for a dump, each time argv[1] bytes off; ends by argv[2], likewise. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hz_victim.h"

enum { ROUNDS = 200, SMALL = 100, LARGE = 5000, ALIGNMENT = 64 };

static uintptr_t off_bytes;
static uintptr_t fourth; /* argument; the fifth is -1, the sixth 0 */

/* Past the red zone, and at a call site that should be a multiple of 16. */
__attribute__((noinline)) static uintptr_t call_off(void *function, uintptr_t a, uintptr_t b, uintptr_t c)
{
  uintptr_t result, d = fourth;
  __asm__ volatile("movq %%rsp, %%rbx\n\t"
                   "andq $-16, %%rsp\n\t"
                   "subq $256, %%rsp\n\t"
                   "subq %[off], %%rsp\n\t"
                   "movq $-1, %%r8\n\t"
                   "xorl %%r9d, %%r9d\n\t"
                   "callq *%[function]\n\t"
                   "movq %%rbx, %%rsp"
                   : "=a"(result), "+D"(a), "+S"(b), "+d"(c), "+c"(d)
                   : [function] "r"(function), [off] "r"(off_bytes)
                   : "rbx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                     "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
  return result;
}

/* Some are there only with us, or only with an allocator that has them. */
static uintptr_t call(const char *name, uintptr_t a, uintptr_t b, uintptr_t c)
{
  void *function = dlsym(RTLD_DEFAULT, name);
  return function != NULL ? call_off(function, a, b, c) : 0;
}

static void release(const char *name, uintptr_t object, uintptr_t b, uintptr_t c)
{
  if (dlsym(RTLD_DEFAULT, name) != NULL)
    call(name, object, b, c);
  else
    free((void *)object);
}

static void c_family(void)
{
  uintptr_t object = call("malloc", SMALL, 0, 0);
  memset((void *)object, 1, SMALL);
  object = call("realloc", object, LARGE, 0);
  object = call("reallocarray", object, LARGE, 2);
  REQUIRE(*(char *)object == 1 && call("malloc_usable_size", object, 0, 0) >= LARGE * 2);
  call("free", object, 0, 0);
  call("free", call("calloc", SMALL, 10, 0), 0, 0);
  REQUIRE(call("calloc", SIZE_MAX, 2, 0) == 0);
  release("cfree", call("malloc", SMALL, 0, 0), 0, 0);
  release("free_sized", call("malloc", SMALL, 0, 0), SMALL, 0);
  release("free_aligned_sized", call("aligned_alloc", ALIGNMENT, SMALL, 0), ALIGNMENT, SMALL);
  call("free", call("memalign", ALIGNMENT, SMALL, 0), 0, 0);
  call("free", call("valloc", SMALL, 0, 0), 0, 0);
  call("free", call("pvalloc", SMALL, 0, 0), 0, 0);
  REQUIRE(call("posix_memalign", (uintptr_t)&object, ALIGNMENT, SMALL) == 0);
  call("free", object, 0, 0);
  release("vfree", call("malloc", SMALL, 0, 0), 0, 0);
  object = call("malloc", SMALL, 0, 0);
  if (dlsym(RTLD_DEFAULT, "reallocf") != NULL)
    object = call("reallocf", object, LARGE, 0);
  if (dlsym(RTLD_DEFAULT, "reallocarr") != NULL)
    REQUIRE(call("reallocarr", (uintptr_t)&object, LARGE, 2) == 0);
  call("free", object, 0, 0);
}

static void new_and_delete(void)
{
  static const char *const by_size[] = {"_Znwm", "_Znam", "_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t"};
  static const char *const aligned[] = {"_ZnwmSt11align_val_t", "_ZnamSt11align_val_t",
                                        "_ZnwmSt11align_val_tRKSt9nothrow_t", "_ZnamSt11align_val_tRKSt9nothrow_t"};
  static const char *const deletes[] = {
      "_ZdlPv", "_ZdaPv", "_ZdlPvm", "_ZdaPvm", "_ZdlPvRKSt9nothrow_t", "_ZdaPvRKSt9nothrow_t"};
  static const char *const aligned_deletes[] = {"_ZdlPvSt11align_val_t",
                                                "_ZdaPvSt11align_val_t",
                                                "_ZdlPvmSt11align_val_t",
                                                "_ZdaPvmSt11align_val_t",
                                                "_ZdlPvSt11align_val_tRKSt9nothrow_t",
                                                "_ZdaPvSt11align_val_tRKSt9nothrow_t"};
  for (unsigned i = 0; i < sizeof deletes / sizeof *deletes; i++)
    release(deletes[i], call(by_size[i % 4], SMALL, 0, 0), SMALL, 0);
  for (unsigned i = 0; i < sizeof aligned_deletes / sizeof *aligned_deletes; i++) {
    bool has_size = strncmp(aligned_deletes[i], "_ZdlPvm", 7) == 0 || strncmp(aligned_deletes[i], "_ZdaPvm", 7) == 0;
    uintptr_t object = call(aligned[i % 4], SMALL, ALIGNMENT, 0);
    release(aligned_deletes[i], object, has_size ? SMALL : ALIGNMENT, ALIGNMENT);
  }
}

static void jemalloc_family(void)
{
  uintptr_t object = call("mallocx", SMALL, 0, 0);
  if (object == 0)
    return;
  object = call("rallocx", object, LARGE, 0);
  call("xallocx", object, LARGE + 1, 0);
  call("dallocx", object, 0, 0);
  object = call("mallocx", SMALL, 7 | 0x40, 0); /* aligned to 128, zeroed */
  object = call("rallocx", object, LARGE, 7 | 0x40);
  call("sdallocx", object, LARGE, 7);
}

static void process_family(const char *plugin)
{
  call("prctl", PR_GET_DUMPABLE, 0, 0);
  call("prctl", PR_SET_SECCOMP, 99, 0); /* no such mode */
  REQUIRE(call("syscall", SYS_getpid, 0, 0) == (uintptr_t)getpid());
  call("syscall", SYS_seccomp, SECCOMP_SET_MODE_FILTER, 99); /* no such flag */
  call("dlclose", (uintptr_t)dlopen(plugin, RTLD_NOW), 0, 0);
  static const unsigned no_frames[2];
  call("__register_frame", (uintptr_t)no_frames, 0, 0);
  call("__deregister_frame", (uintptr_t)no_frames, 0, 0);
}

static void mapping_family(void)
{
  static const char *const maps[] = {"mmap", "mmap64"};
  for (unsigned i = 0; i < 2; i++) {
    fourth = MAP_PRIVATE | MAP_ANONYMOUS;
    uintptr_t mapped = call(maps[i], 0, LARGE, PROT_READ | PROT_WRITE);
    REQUIRE((void *)mapped != MAP_FAILED);
    fourth = MREMAP_MAYMOVE;
    mapped = call("mremap", mapped, LARGE, 4 * LARGE);
    fourth = 0;
    REQUIRE((void *)mapped != MAP_FAILED && call("munmap", mapped, 4 * LARGE, 0) == 0);
  }
  REQUIRE((void *)call("sbrk", LARGE, 0, 0) != (void *)-1);
}

static void of_heapprof(void)
{
  char stats[4096];
  call("heapprof_stats", (uintptr_t)stats, 0, 0);
  call("heapprof_version", 0, 0, 0);
  call("heapprof_stop", 0, 0, 0);
  call("heapprof_start", 0, 0, 0);
  call("heapprof_dump", 0, 0, 0);
}

static void all(const char *plugin)
{
  for (int i = 0; i < ROUNDS; i++) {
    c_family();
    new_and_delete();
    jemalloc_family();
  }
  process_family(plugin);
  mapping_family();
  of_heapprof();
}

int main(int argc, char **argv)
{
  REQUIRE(argc == 4);
  off_bytes = (uintptr_t)atoi(argv[1]);
  all(argv[3]);
  struct sigaction action;
  if (sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler != SIG_DFL) {
    call("raise", SIGUSR2, 0, 0);
    call_off((void *)action.sa_handler, SIGUSR2, 0, 0); /* as a handler calls the one that was there before */
  }
  pid_t child = (pid_t)call("fork", 0, 0, 0);
  if (child == 0) {
    all(argv[3]);
    call("_exit", 7, 0, 0);
  }
  int status;
  REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
  puts("all done");
  fflush(stdout);
  call(argv[2], 0, 0, 0);
  return 1;
}
