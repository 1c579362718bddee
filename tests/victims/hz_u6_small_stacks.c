/* SPDX-License-Identifier: MIT */
/* U6: malloc and free on guarded coroutine and signal stacks of 2 to 16 KiB, each in a child of its own: "warm" has
 * allocated on its big stack before, "cold" has not since the fork. Prints how each child ended. */
#include "hz_victim.h"
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>

static void work(void)
{
  for (int i = 0; i < 20; i++)
    hz_churn(2, 100 + i);
}

static void work_and_exit(void)
{
  work();
  _exit(0);
}

static void on_signal(int number)
{
  (void)number;
  work();
}

/* `size` bytes directly above an inaccessible page. */
static char *guarded_stack(size_t size)
{
  char *pages = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(pages != MAP_FAILED && size <= 65536 - 4096 && mprotect(pages, 4096, PROT_NONE) == 0);
  return pages + 4096;
}

static void on_context(size_t size)
{
  static ucontext_t here, there;
  REQUIRE(getcontext(&there) == 0);
  there.uc_stack.ss_sp = guarded_stack(size);
  there.uc_stack.ss_size = size;
  makecontext(&there, work_and_exit, 0);
  swapcontext(&here, &there);
}

/* The kernel's own frame is not counted: it takes up to 3.5 KiB with AVX-512. */
static void on_alternate(size_t size)
{
  size_t frame = (getauxval(AT_MINSIGSTKSZ) + 15) & ~15ul;
  stack_t stack = {.ss_sp = guarded_stack(size + frame), .ss_size = size + frame};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
  REQUIRE(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
  raise(SIGUSR1);
  _exit(0);
}

int main(void)
{
  static const struct {
    const char *name;
    void (*run)(size_t);
  } kinds[] = {{"context", on_context}, {"alternate", on_alternate}};
  static const size_t sizes[] = {2048, 3072, 4096, 6144, 8192, 16384};
  hz_alarm(30);
  work();
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds * 2; i++) {
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
      int status;
      fflush(stdout);
      pid_t pid = fork();
      if (pid == 0) {
        hz_alarm(5);
        if (i & 1)
          work();
        kinds[i / 2].run(sizes[k]);
        _exit(3);
      }
      REQUIRE(waitpid(pid, &status, 0) == pid);
      printf("%s %zu %s: %#x\n", kinds[i / 2].name, sizes[k], i & 1 ? "warm" : "cold", (unsigned)status);
    }
  }
  return 0;
}
