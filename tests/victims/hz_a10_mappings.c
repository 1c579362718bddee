/* SPDX-License-Identifier: MIT */
/* A10: maps, resizes and unmaps memory itself where that is awkward.
 *   early   before any constructor, with sbrk
 *   filter  behind a seccomp filter that kills at anything but read, write, exit, mmap, munmap, mremap and brk
 *   jump    while handlers do the same and jump out of what they interrupted
 *   vfork   in vfork children, for their parent
 *   heap    while malloc moves the end of the heap, too */
#include "hz_filter.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { PAGE = 4096, USABLE = PROT_READ | PROT_WRITE, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };

/* Leaves one page of what it maps, which says what it is; errno is what it was. */
__attribute__((noinline)) static unsigned char *victim_work(unsigned char mark)
{
  errno = mark;
  unsigned char *p = mmap(NULL, 4 * PAGE, USABLE, ANONYMOUS, -1, 0);
  REQUIRE(p != MAP_FAILED);
  REQUIRE(munmap(p + PAGE, PAGE) == 0);
  p[0] = mark;
  REQUIRE(mremap(p + 2 * PAGE, 2 * PAGE, PAGE, 0) == p + 2 * PAGE);
  REQUIRE(munmap(p + 2 * PAGE, PAGE) == 0);
  unsigned char *moved = mremap(p, PAGE, 9 * PAGE, MREMAP_MAYMOVE);
  REQUIRE(moved != MAP_FAILED && moved[0] == mark && moved[9 * PAGE - 1] == 0);
  REQUIRE(munmap(moved + PAGE, 8 * PAGE) == 0 && errno == mark);
  return moved;
}

static unsigned char *early;
static bool is_early;

static void before_everything(int argc, char **argv)
{
  if (argc < 2 || strcmp(argv[1], "early") != 0)
    return;
  early = victim_work(7);
  char *end = sbrk(3 * PAGE);
  REQUIRE(end != (void *)-1 && sbrk(0) == end + 3 * PAGE);
  memset(end, 1, 3 * PAGE);
  is_early = true;
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(int argc, char **argv) = before_everything;

static void at_start(void)
{
  char *objects[1000]; /* the heap begins behind what sbrk gave */
  REQUIRE(is_early && early[0] == 7 && munmap(early, PAGE) == 0);
  for (unsigned i = 0; i < 1000; i++)
    REQUIRE((objects[i] = malloc(5000)) != NULL && memset(objects[i], (int)i, 5000) == objects[i]);
  for (unsigned i = 0; i < 1000; i++) {
    REQUIRE(objects[i][4999] == (char)i);
    free(objects[i]);
  }
}

static void behind_filter(void)
{
  static struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      HZ_ALLOW(SYS_read),
      HZ_ALLOW(SYS_write),
      HZ_ALLOW(SYS_exit_group),
      HZ_ALLOW(SYS_mmap),
      HZ_ALLOW(SYS_munmap),
      HZ_ALLOW(SYS_mremap),
      HZ_ALLOW(SYS_brk),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  struct sock_fprog filter = {sizeof code / sizeof *code, code};
  unsigned char *before = victim_work(1);
  hz_confine("prctl", &filter);
  REQUIRE(munmap(before, PAGE) == 0);
  for (int i = 0; i < 3000; i++) {
    unsigned char *p = victim_work((unsigned char)(i % 200));
    if (i % 2 == 0)
      REQUIRE(munmap(p, PAGE) == 0);
  }
}

static sigjmp_buf way_out;
static volatile sig_atomic_t may_jump, jumps;

static void on_alarm(int number)
{
  (void)number;
  unsigned char *p = victim_work(3);
  REQUIRE(p[0] == 3 && munmap(p, PAGE) == 0);
  if (may_jump) {
    jumps++;
    siglongjmp(way_out, 1);
  }
}

/* What a jump leaves mapped stays so: it is little. */
static void jump(void)
{
  enum { JUMPS = 200, WHILE_US = 200 };
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_NODEFER};
  struct itimerval often = {{0, WHILE_US}, {0, WHILE_US}}, never = {{0, 0}, {0, 0}};
  REQUIRE(sigaction(SIGVTALRM, &action, NULL) == 0 && setitimer(ITIMER_VIRTUAL, &often, NULL) == 0);
  sigsetjmp(way_out, 1);
  while (jumps < JUMPS) {
    may_jump = 1;
    unsigned char *p = mmap(NULL, 4 * PAGE, USABLE, ANONYMOUS, -1, 0);
    (void)munmap(p + PAGE, PAGE);
    (void)munmap(p, 4 * PAGE);
    may_jump = 0;
  }
  may_jump = 0;
  REQUIRE(setitimer(ITIMER_VIRTUAL, &never, NULL) == 0);
  unsigned char *p = victim_work(5);
  REQUIRE(p[0] == 5);
}

static unsigned char *of_child;

static void in_vfork_children(void)
{
  for (int i = 0; i < 50; i++) {
    int status;
    pid_t pid = vfork();
    if (pid == 0) {
      of_child = victim_work(11);
      _exit(3);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3);
    REQUIRE(of_child[0] == 11 && munmap(of_child, PAGE) == 0);
  }
}

static void between_heap(void)
{
  char *objects[300];
  for (unsigned i = 0; i < 300; i++) {
    char *mine = i % 10 == 0 ? sbrk(2 * PAGE) : NULL;
    REQUIRE(mine != (void *)-1);
    if (mine != NULL)
      memset(mine, 9, 2 * PAGE);
    REQUIRE((objects[i] = malloc(30000)) != NULL && memset(objects[i], (int)i, 30000) == objects[i]);
  }
  for (unsigned i = 0; i < 300; i++) {
    REQUIRE(objects[i][0] == (char)i && objects[i][29999] == (char)i);
    free(objects[i]);
  }
}

int main(int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*work)(void);
  } ways[] = {{"early", at_start},
              {"filter", behind_filter},
              {"jump", jump},
              {"vfork", in_vfork_children},
              {"heap", between_heap}};
  hz_alarm(20);
  for (size_t i = 0; argc > 1 && i < sizeof ways / sizeof *ways; i++)
    if (strcmp(argv[1], ways[i].name) == 0) {
      ways[i].work();
      REQUIRE(write(STDOUT_FILENO, "as it should be\n", 16) == 16);
      return 0;
    }
  return 2;
}
