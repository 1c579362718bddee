/* SPDX-License-Identifier: MIT */
/* Forks while another thread walks through the loader's list to bind its pointers. A page of its own relocations is
 * missing, so that whoever walks waits there, and userfaultfd tells. For each line it takes the page away; when
 * somebody has come to it, it says "waited" if a fork had to wait until the walk was over, and "passed" if not. The child
 * of one that waited opens a library. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, STACK_BYTES = 256 << 10, SPENT_NS = 300000, NO_USERFAULTFD = 77, PROVEN_STATUS = 7 };

/* Each has a relocation, of 24 bytes. */
#define TEN(x) x, x, x, x, x, x, x, x, x, x
static int target;
static void *volatile many[] = {TEN(TEN(TEN(&target)))};

static char page_as_it_was[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static char *page;
static int faults;
static clockid_t clock_of_forker;
static pthread_t forker;
static _Atomic bool is_begun, has_arrived, has_passed, has_waited;

static void fail(const char *what)
{
  fprintf(stderr, "hz_t17_fork: %s\n", what);
  _exit(1);
}

/* Handlers run in the opposite order: what comes last is first, and the library's is in between. */
static void arrive(void)
{
  has_arrived = true;
}

static void pass(void)
{
  has_passed = true;
}

/* A whole page of nothing but relocations. */
static void find_page(void)
{
  extern const char __ehdr_start[] __attribute__((visibility("hidden")));
  uintptr_t start = 0, bytes = 0, base = (uintptr_t)__ehdr_start;
  for (const ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag != DT_NULL; entry++) {
    if (entry->d_tag == DT_RELA)
      start = entry->d_un.d_ptr < base ? base + entry->d_un.d_ptr : entry->d_un.d_ptr;
    if (entry->d_tag == DT_RELASZ)
      bytes = entry->d_un.d_val;
  }
  page = (char *)((start + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1));
  if (start == 0 || many[0] != &target || page + PAGE_BYTES > (char *)start + bytes)
    fail("it has too few relocations");
}

static void make_page_missing(void)
{
  struct uffdio_api api = {.api = UFFD_API};
  struct uffdio_register range = {.range = {(uintptr_t)page, PAGE_BYTES}, .mode = UFFDIO_REGISTER_MODE_MISSING};
  faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
  if (faults < 0)
    exit(NO_USERFAULTFD);
  memcpy(page_as_it_was, page, PAGE_BYTES);
  if (mmap(page, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != page ||
      ioctl(faults, UFFDIO_API, &api) != 0 || ioctl(faults, UFFDIO_REGISTER, &range) != 0)
    fail("no page can be missing");
}

static void bring_page(void)
{
  struct uffdio_copy copy = {.dst = (uintptr_t)page, .src = (uintptr_t)page_as_it_was, .len = PAGE_BYTES};
  if (ioctl(faults, UFFDIO_COPY, &copy) != 0)
    fail("the page does not come back");
}

static uint64_t spent_ns(void)
{
  struct timespec spent;
  clock_gettime(clock_of_forker, &spent);
  return (uint64_t)spent.tv_sec * 1000000000 + (uint64_t)spent.tv_nsec;
}

/* Somebody walks now. One that forks is to spend some time of its own in front of that, or to pass. */
static void *keep_page(void *unused)
{
  struct uffd_msg message;
  (void)unused;
  while (read(faults, &message, sizeof message) == sizeof message) {
    is_begun = true;
    while (!has_arrived)
      sched_yield();
    for (uint64_t before_ns = spent_ns(); !has_passed && spent_ns() - before_ns < SPENT_NS;)
      sched_yield();
    has_waited = !has_passed;
    bring_page();
  }
  return NULL;
}

static void fork_once(void)
{
  int status;
  pid_t child = fork();
  if (child == 0) {
    if (has_waited && dlopen("libresolv.so.2", RTLD_NOW) == NULL)
      _exit(1);
    _exit(PROVEN_STATUS);
  }
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != PROVEN_STATUS)
    fail("a child did not end as it should");
}

static void *fork_often(void *unused)
{
  (void)unused;
  for (;;) {
    while (!is_begun)
      usleep(1000);
    fork_once();
    is_begun = has_arrived = has_passed = false;
    puts(has_waited ? "waited" : "passed");
    fflush(stdout);
  }
  return NULL;
}

/* On a stack that the program has: so it is never led away. */
static pthread_t start(void *(*function)(void *), char *stack)
{
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (pthread_attr_setstack(&attributes, stack, STACK_BYTES) != 0 ||
      pthread_create(&thread, &attributes, function, NULL) != 0)
    fail("no thread");
  return thread;
}

int main(void)
{
  static char stacks[2][STACK_BYTES] __attribute__((aligned(PAGE_BYTES)));
  char line[16];
  bool is_registered = false;
  find_page();
  make_page_missing();
  bring_page();
  pthread_atfork(pass, NULL, NULL);
  forker = start(fork_often, stacks[0]);
  if (pthread_getcpuclockid(forker, &clock_of_forker) != 0)
    fail("no clock");
  (void)start(keep_page, stacks[1]);
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "end\n") != 0) {
    if (!is_registered)
      pthread_atfork(arrive, NULL, NULL);
    is_registered = true;
    if (madvise(page, PAGE_BYTES, MADV_DONTNEED) != 0)
      fail("the page stays");
    puts("missing");
    fflush(stdout);
  }
  return 0;
}
