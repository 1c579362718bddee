/* SPDX-License-Identifier: MIT */
/* Runs samples instruction by instruction, when all is warm, and prints where the library has their code: an address, less that
 * of the library, for the first instruction of each cache line that ran. */
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { LINE_BYTES = 64, LINES = 1 << 14, FRAMES = 20, ROUNDS = 2 };

static uintptr_t low, high, first_in[LINES]; /* by line of the library: the first instruction that ran there */

static int find_library(struct dl_phdr_info *info, size_t size, void *unused)
{
  (void)size, (void)unused;
  if (strstr(info->dlpi_name, "libheapprof") == NULL)
    return 0;
  low = info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0)
      high = low + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
  return 1;
}

static void note(int signal, siginfo_t *info, void *context)
{
  (void)signal, (void)info;
  uintptr_t pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP], line = (pc - low) / LINE_BYTES;
  if (pc >= low && pc < high && line < LINES && first_in[line] == 0)
    first_in[line] = pc;
}

static void step_begin(void)
{
  __asm__ volatile("pushfq\n orl $0x100, (%%rsp)\n popfq" : : : "memory", "cc");
}

static void step_end(void)
{
  __asm__ volatile("pushfq\n andl $~0x100, (%%rsp)\n popfq" : : : "memory", "cc");
}

/* 64 KiB is less than malloc maps by itself, and often a sample at 512 KiB. */
__attribute__((noinline)) static void pair(int is_stepped)
{
  if (is_stepped)
    step_begin();
  void *pointer = malloc(64 << 10);
  __asm__ volatile("" : "+r"(pointer) : : "memory");
  free(pointer);
  if (is_stepped)
    step_end();
}

__attribute__((noinline)) static void descend(unsigned left, int is_stepped)
{
  if (left > 0)
    descend(left - 1, is_stepped);
  else
    pair(is_stepped);
  __asm__ volatile("");
}

__attribute__((noinline)) static void descend_further_down(unsigned left, int is_stepped)
{
  volatile char room[400];
  room[0] = 1;
  descend(left, is_stepped);
  room[1] = room[0];
}

int main(void)
{
  struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
  sigaction(SIGTRAP, &action, NULL);
  dl_iterate_phdr(find_library, NULL);
  for (int round = 0; round < 2 * ROUNDS; round++) {
    int is_stepped = round >= ROUNDS;
    descend(FRAMES, is_stepped);
    descend(FRAMES, is_stepped);
    descend_further_down(FRAMES, is_stepped);
  }
  for (unsigned line = 0; line < LINES; line++)
    if (first_in[line] != 0)
      printf("%lx\n", (unsigned long)(first_in[line] - low));
  return low == 0;
}
