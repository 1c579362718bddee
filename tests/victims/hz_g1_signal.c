/* SPDX-License-Identifier: MIT */
/* G1, G2: what SIGUSR2 does to programs that use it in their own way. Argument: the way.
 *   default    do nothing about it (dies of it unless somebody handles it)
 *   alternate  the same, with little but the kernel's frame of room on a guarded alternate stack (G2)
 *   before     a library constructor installs a handler      after    main installs one
 *   ignored    SIG_IGN, inherited through exec               blocked  never unblocked      sigwait  blocked, waited for */
#include "hz_victim.h"
#include <sys/auxv.h>
#include <sys/mman.h>

static volatile int handled;
static void on_signal(int number)
{
  handled += number == SIGUSR2;
}

static void install(void)
{
  REQUIRE(signal(SIGUSR2, on_signal) != SIG_ERR);
}

void hz_library_constructor(int argc, char **argv);
void hz_library_constructor(int argc, char **argv)
{
  if (argc > 1 && strcmp(argv[1], "before") == 0)
    install();
}

static void little_stack(void)
{
  size_t size = (getauxval(AT_MINSIGSTKSZ) + 2048 + 15) & ~15ul;
  char *pages = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t stack = {.ss_sp = pages + 4096, .ss_size = size};
  REQUIRE(pages != MAP_FAILED && mprotect(pages, 4096, PROT_NONE) == 0 && sigaltstack(&stack, NULL) == 0);
}

static const char *disposition(void)
{
  struct sigaction now;
  REQUIRE(sigaction(SIGUSR2, NULL, &now) == 0);
  return now.sa_handler == on_signal ? "mine" : now.sa_handler == SIG_IGN ? "ignored" : "not mine";
}

int main(int argc, char **argv)
{
  REQUIRE(argc > 1);
  const char *way = argv[1];
  sigset_t set;
  int number = 0;
  hz_alarm(10);
  if (strcmp(way, "ignored") == 0 && argc == 2) {
    char *again[] = {argv[0], argv[1], (char *)"again", NULL};
    signal(SIGUSR2, SIG_IGN);
    execv("/proc/self/exe", again);
  }
  hz_churn(5, 100);
  if (strcmp(way, "after") == 0)
    install();
  if (strcmp(way, "alternate") == 0)
    little_stack();
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  if (strcmp(way, "blocked") == 0 || strcmp(way, "sigwait") == 0)
    REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  for (int i = 0; i < 3; i++) {
    hz_churn(5, 100);
    REQUIRE(kill(getpid(), SIGUSR2) == 0);
    if (strcmp(way, "sigwait") == 0)
      REQUIRE(sigwait(&set, &number) == 0 && number == SIGUSR2);
  }
  REQUIRE(sigpending(&set) == 0);
  printf("%s: %d handled, %s, pending %d\n", way, handled, disposition(), sigismember(&set, SIGUSR2));
  return 0;
}
