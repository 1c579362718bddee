/* SPDX-License-Identifier: MIT */
/* The rule compiler and the walker, compared frame by frame with libgcc's unwinder. */
#include "core/unwind.h"

#include "core/cfi/cfi.h"
#include "core/cuts.h"
#include "core/loader/loaded.h"
#include "core/modules.h"
#include "core/prng.h"
#include "core/stacks.h"
#include "odd_frames.h"
#include "unit.h"
#include "walks.h"

#include <alloca.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <search.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unwind.h>

enum { FRAMES = 400, WILD_FRAMES = 64, PAGE = 4096 };

/* Stacks by libgcc, in the walker's terms: addresses inside the calling instruction. */

struct backtrace {
  uintptr_t pcs[FRAMES];
  unsigned count;
};

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *argument)
{
  struct backtrace *trace = argument;
  int is_interrupted = 0;
  uintptr_t ip = _Unwind_GetIPInfo(context, &is_interrupted);
  if (ip != 0 && trace->count < FRAMES)
    trace->pcs[trace->count++] = ip - !is_interrupted;
  return _URC_NO_REASON;
}

static _Atomic unsigned compared, frames_compared, different, cut;

/* Both unwinders, from here. */
static NOINLINE unsigned compare_stacks(void)
{
  struct unwind_start start = UNWIND_START_HERE();
  static __thread struct backtrace trace;
  static __thread struct walk_room room;
  const uintptr_t *pcs = room.pcs;
  uint32_t flags = 0;
  trace.count = 0;
  _Unwind_Backtrace(add_frame, &trace);
  unsigned count = walk_from(&start, &room, FRAMES, &flags);
  /* libgcc's first frame is this function's own. */
  bool is_same = count + 1 == trace.count && memcmp(pcs, trace.pcs + 1, count * sizeof *pcs) == 0;
  if (!is_same && atomic_fetch_add(&different, 1) == 0)
    for (unsigned i = 0; i < count || i + 1 < trace.count; i++)
      fprintf(stderr, "%3u %#14lx %#14lx\n", i, (unsigned long)(i < count ? pcs[i] : 0),
              (unsigned long)(i + 1 < trace.count ? trace.pcs[i + 1] : 0));
  atomic_fetch_add(&cut, flags != 0);
  atomic_fetch_add(&compared, 1);
  atomic_fetch_add(&frames_compared, count);
  return count;
}

static void expect_same(unsigned stacks, unsigned frames)
{
  unsigned done = atomic_exchange(&compared, 0), frames_done = atomic_exchange(&frames_compared, 0);
  assert_int_equal(atomic_exchange(&different, 0), 0);
  assert_int_equal(atomic_exchange(&cut, 0), 0);
  assert_in_range(done, stacks, UINT32_MAX);
  assert_in_range(frames_done, frames, UINT32_MAX);
}

static int compare_in_qsort(const void *a, const void *b)
{
  (void)compare_stacks();
  return *(const int *)a - *(const int *)b;
}

static void inside_a_comparator(void **state)
{
  (void)state;
  int numbers[] = {3, 1, 2, 5, 4}, key = 4;
  qsort(numbers, COUNT_OF(numbers), sizeof *numbers, compare_in_qsort);
  assert_non_null(bsearch(&key, numbers, COUNT_OF(numbers), sizeof *numbers, compare_in_qsort));
  expect_same(5, 40);
}

static NOINLINE unsigned recurse(unsigned levels)
{
  volatile unsigned local = levels;
  unsigned deepest = levels == 0 ? compare_stacks() : recurse(levels - 1);
  return deepest + local - levels;
}

static void deep_recursion(void **state)
{
  (void)state;
  assert_in_range(recurse(300), 301, FRAMES - 1);
  expect_same(1, 301);
}

static NOINLINE unsigned with_alloca(size_t size)
{
  volatile char *bytes = alloca(size);
  bytes[size - 1] = 1;
  return compare_stacks() + bytes[size - 1];
}

static NOINLINE unsigned with_large_frame(void)
{
  volatile char bytes[100000];
  bytes[17] = 1;
  return compare_stacks() + bytes[17];
}

static NOINLINE unsigned with_many_arguments(int a, int b, int c, int d, int e, int f, int g, int h, double i, ...)
{
  return compare_stacks() + (unsigned)(a + b + c + d + e + f + g + h + (int)i);
}

/* DRAP: the CFA is loaded from the stack. */
REALIGNED static NOINLINE unsigned realigned(size_t size)
{
  _Alignas(64) volatile char bytes[128];
  volatile char *more = alloca(size);
  bytes[5] = more[size - 1] = 1;
  return compare_stacks() + bytes[5] + more[size - 1];
}

static NOINLINE unsigned over_aligned(void)
{
  _Alignas(256) volatile char bytes[256];
  bytes[1] = 1;
  return realigned(100) + bytes[1] + (unsigned)((uintptr_t)bytes % 256);
}

static void unusual_frames(void **state)
{
  (void)state;
  assert_true(with_alloca(10) > 0 && with_alloca(5000) > 0 && with_large_frame() > 0);
  assert_true(with_many_arguments(1, 2, 3, 4, 5, 6, 7, 8, 9.0, 10, 11.0) > 0);
  assert_true(realigned(50) > 0 && over_aligned() > 0);
  expect_same(6, 36);
}

static int compare_in_loader(struct dl_phdr_info *info, size_t size, void *argument)
{
  (void)info, (void)size, (void)argument;
  (void)compare_stacks();
  return 0;
}

static void compare_in_tree(const void *node, VISIT visit, int level)
{
  (void)node, (void)visit, (void)level;
  (void)compare_stacks();
}

static int compare_numbers(const void *a, const void *b)
{
  return *(const int *)a - *(const int *)b;
}

static void through_other_libraries(void **state)
{
  (void)state;
  static int numbers[] = {1, 2, 3};
  void *root = NULL;
  dl_iterate_phdr(compare_in_loader, NULL);
  for (unsigned i = 0; i < COUNT_OF(numbers); i++)
    assert_non_null(tsearch(&numbers[i], &root, compare_numbers));

  twalk(root, compare_in_tree);
  for (unsigned i = 0; i < COUNT_OF(numbers); i++)
    (void)tdelete(&numbers[i], &root, compare_numbers);

  expect_same(8, 60);
}

static void *compare_in_thread(void *number)
{
  (void)recurse((unsigned)(uintptr_t)number % 7);
  return NULL;
}

static void in_threads(void **state)
{
  (void)state;
  unit_run_threads(8, compare_in_thread);
  expect_same(8, 24);
}

static void compare_in_handler(int number)
{
  (void)number;
  (void)compare_stacks();
}

static void handle(int number, int flags)
{
  struct sigaction action = {.sa_handler = compare_in_handler, .sa_flags = flags};
  assert_int_equal(sigaction(number, &action, NULL), 0);
}

static NOINLINE void raise_from_below(unsigned levels)
{
  if (levels == 0)
    (void)raise(SIGUSR1);
  else
    raise_from_below(levels - 1);
  __asm__ volatile("" ::: "memory");
}

static void in_signal_handlers(void **state)
{
  (void)state;
  static char stack[64 << 10];
  const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  handle(SIGUSR1, 0);
  raise_from_below(5);
  expect_same(1, 14);
  assert_int_equal(sigaltstack(&alternate, NULL), 0);
  handle(SIGUSR1, SA_ONSTACK);
  raise_from_below(20);
  expect_same(1, 29);
  (void)signal(SIGUSR1, SIG_DFL);
}

/* Wherever a timer interrupts this: prologues and epilogues too. */
static NOINLINE uint64_t busy(uint64_t *random, unsigned levels)
{
  volatile uint64_t local[4];
  for (unsigned i = 0; i < 4; i++)
    local[i] = prng_next(random) >> (levels & 7);
  return levels == 0 ? local[0] : busy(random, levels - 1) + local[levels % 4];
}

static void at_any_instruction(void **state)
{
  (void)state;
  const struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
  uint64_t random = 1, sum = 0;
  handle(SIGALRM, 0);
  assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
  while (compared < 1500)
    sum += busy(&random, 12);
  assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
  (void)signal(SIGALRM, SIG_DFL);
  assert_true(sum != 0);
  expect_same(1500, 12000);
}

static struct walk_room walk_room;
static const uintptr_t *const walked = walk_room.pcs;
static uint32_t walked_flags;
static uint32_t walked_again,
    walks; /* the number that was set after the last walk, if it was the same; how many there were */
static unsigned depth_limit = FRAMES;

static uint64_t hashes_of_walks[4096]; /* the last so many, by number */

static uint64_t hash_of(const uintptr_t *pcs, unsigned count)
{
  uint64_t hash = STACKS_HASH_START;
  for (unsigned i = count; i-- > 0;)
    hash = stacks_hash_add(hash, pcs[i]);
  return hash;
}

static NOINLINE unsigned walk(void)
{
  struct unwind_start start = UNWIND_START_HERE();
  struct trail *trail = trail_take();
  struct trail_cursor cursor = trail_begin(trail);
  unsigned count = walk_on_trail(&start, &cursor, &walk_room, depth_limit, &walked_flags);
  assert_true(trail_hash(&cursor) == 0 || trail_hash(&cursor) == hash_of(walked, count));
  walked_again = trail_stack(&cursor);
  assert_true(walked_again == 0 || hashes_of_walks[walked_again % COUNT_OF(hashes_of_walks)] == hash_of(walked, count));
  hashes_of_walks[++walks % COUNT_OF(hashes_of_walks)] = hash_of(walked, count);
  trail_set_stack(trail, walks);
  trail_give_back(trail);
  return count;
}

/* The same without anything known. */
static NOINLINE unsigned walk_anew(struct walk_room *room)
{
  struct unwind_start start = UNWIND_START_HERE();
  struct trail_cursor none = trail_begin(NULL);
  uint32_t flags;
  return walk_on_trail(&start, &none, room, depth_limit, &flags);
}

static bool is_inside(uintptr_t pc, uintptr_t function)
{
  return pc >= function && pc < function + 64;
}

static NOINLINE unsigned walk_without_cfi(unsigned (*caller)(callback))
{
  unsigned count = caller(walk);
  __asm__ volatile("" ::: "memory");
  return count;
}

static void frame_pointers_where_there_is_no_cfi(void **state)
{
  (void)state;
  unsigned plain = walk();
  assert_int_equal(walked_flags, 0);
  unsigned count = walk_without_cfi(call_with_frame_pointer);
  assert_true(is_inside(walked[0], (uintptr_t)call_with_frame_pointer));
  assert_true(is_inside(walked[1], (uintptr_t)walk_without_cfi));
  assert_int_equal(walked_flags & STACK_FRAME_POINTERS, STACK_FRAME_POINTERS);
  assert_true(count >= 2 && count <= plain + 2);
}

static void garbage_for_a_frame_pointer_ends_the_stack(void **state)
{
  (void)state;
  assert_int_equal(walk_without_cfi(call_without_frame_pointer), 1);
  assert_true(is_inside(walked[0], (uintptr_t)call_without_frame_pointer));
  assert_int_equal(walked_flags, STACK_FRAME_POINTERS | cut_flags(CUT_no_cfi));
}

/* What a JIT compiler makes. */
static void code_outside_of_any_file(void **state)
{
  (void)state;
  static const uint8_t code[] = ODD_CODE;
  uint8_t *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(memory, MAP_FAILED);
  memcpy(memory, code, sizeof code);
  __builtin___clear_cache((char *)memory, (char *)memory + sizeof code);
  assert_int_equal(mprotect(memory, PAGE, PROT_READ | PROT_EXEC), 0);
  unsigned (*made)(callback) = (unsigned (*)(callback))(uintptr_t)memory;
  unsigned count = walk_without_cfi(made);
  assert_true(count >= 2 && walked[0] == (uintptr_t)memory + ODD_CODE_RETURN - 1);
  assert_true(is_inside(walked[1], (uintptr_t)walk_without_cfi));
  assert_true((walked_flags & STACK_FRAME_POINTERS) != 0);
  munmap(memory, PAGE);
}

static void depth_is_limited(void **state)
{
  (void)state;
  unsigned all = walk();
  assert_int_equal(walked_flags, 0);
  for (depth_limit = 1; depth_limit <= all + 1; depth_limit++) {
    assert_int_equal(walk(), depth_limit < all ? depth_limit : all);
    assert_int_equal(walked_flags, depth_limit < all ? cut_flags(CUT_depth) : 0);
  }
  depth_limit = FRAMES;
}

enum { TURNS = 5 };

/* The same stack time after time: 1 where the walk was known, 0 where not, as after one for which rules had to be compiled. */
static NOINLINE void walk_again(unsigned again[TURNS], volatile unsigned unloaded_at)
{
  uintptr_t first[FRAMES];
  uint32_t flags = 0;
  unsigned count = 0;
  for (volatile unsigned turn = 0; turn < TURNS; turn++) { /* volatile: one place that calls */
    if (turn == unloaded_at)
      atomic_fetch_add(&rule_generation, 1); /* a library was */
    unsigned now = walk();
    again[turn] = walked_again == walks - 1;
    assert_true(walked_again == 0 || again[turn]);
    assert_true(turn == 0 ||
                (now == count && memcmp(first, walked, now * sizeof *first) == 0 && flags == walked_flags));
    memcpy(first, walked, now * sizeof *first);
    count = now;
    flags = walked_flags;
  }
}

static void the_same_walk_is_known(void **state)
{
  (void)state;
  unsigned again[TURNS];
  for (unsigned pass = 0; pass < 2; pass++) /* the first compiles all the rules */
    for (depth_limit = 1; depth_limit < FRAMES; depth_limit += depth_limit < 12 ? 1 : 97) {
      (void)walk(); /* from another place */
      walk_again(again, TURNS);
      assert_true(pass == 0 || memcmp(again, (unsigned[]){0, 1, 1, 1, 1}, sizeof again) == 0);
    }
  depth_limit = FRAMES;
  for (volatile unsigned pass = 0; pass < 2; pass++)
    walk_again(again, pass == 0 ? TURNS : 2);
  assert_memory_equal(again, ((unsigned[]){1, 1, 0, 0, 1}), sizeof again);
}

/* Frames of many sizes, left and entered again at each level: stacks that have their outer frames in common, or some in between. */
static unsigned tree_walks, tree_frames;

static NOINLINE unsigned climb(uint64_t *random, unsigned levels);

static NOINLINE unsigned climb_further(uint64_t *random, unsigned levels)
{
  /* Some larger than a trail tells steps of: it keeps where bp is up to 64 KiB, where the return address is up to 512. */
  size_t large = prng_next(random) % 8 == 0 ? 65400 + prng_next(random) % 12 * 16 : levels == 9 ? 525 << 10 : 0;
  volatile char *room = alloca(1 + large + prng_next(random) % 3 * 48);
  room[0] = 0;
  return climb(random, levels - 1) + (unsigned)room[0];
}

static NOINLINE unsigned look(void)
{
  static struct walk_room anew;
  unsigned count = walk();
  assert_int_equal(walk_anew(&anew), count);
  /* The innermost pc is of another call. */
  assert_memory_equal(walked + 1, anew.pcs + 1, (count - 1) * sizeof *walked);
  tree_walks++;
  return count;
}

static NOINLINE unsigned climb(uint64_t *random, unsigned levels)
{
  unsigned sum = 0;
  for (unsigned branch = 0; levels > 0 && branch < 2; branch++)
    switch (prng_next(random) % 4) {
    case 0: sum += look(); break;
    case 1: sum += climb(random, levels - 1) + 1; break;
    case 2: sum += call_with_frame_pointer(look); break;
    default: sum += climb_further(random, levels) - 1; break;
    }
  __asm__ volatile("" ::: "memory");
  return sum;
}

static void walks_on_a_trail_are_as_without(void **state)
{
  (void)state;
  uint64_t random = 11;
  for (int tree = 0; tree < 200; tree++)
    tree_frames += climb(&random, 14);
  assert_in_range(tree_walks, 2000, UINT32_MAX);
  for (unsigned levels = 1; levels < 300; levels += 13) /* more frames than a trail has, and fewer again */
    (void)recurse(levels), (void)recurse(levels % 7);
  expect_same(46, 1000);
}

static jmp_buf left_walk;

static void leave_walk(int signal)
{
  (void)signal;
  siglongjmp(left_walk, 1);
}

static NOINLINE unsigned look_deeper(unsigned levels)
{
  volatile unsigned local = levels;
  return levels == 0 ? look() : look_deeper(levels - 1) + local - levels;
}

/* Left by siglongjmp, at any instruction, and made again from there: the trail is taken over, and right. */
static void a_walk_may_be_left(void **state)
{
  (void)state;
  struct sigaction action = {.sa_handler = leave_walk, .sa_flags = SA_NODEFER}, before;
  assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
  volatile unsigned levels = 0, left = 0;
  if (sigsetjmp(left_walk, 1) != 0)
    left++;
  if (left < 5000) {
    struct itimerval soon = {.it_value.tv_usec = 3 + left % 50};
    setitimer(ITIMER_REAL, &soon, NULL);
    for (;; levels++)
      (void)look_deeper(levels % 30);
  }
  sigaction(SIGALRM, &before, NULL);
  assert_in_range(levels, left, UINT32_MAX);
  struct trail *trail = trail_take(); /* from above the frames that were left */
  assert_non_null(trail);
  trail_give_back(trail);
}

static void caller_alone(void **state)
{
  (void)state;
  struct unwind_start start = {.return_address = 0x401235, .sp = 16, .bp = 16};
  uintptr_t pc;
  uint32_t flags = 0;
  assert_int_equal(unwind_caller(&start, &pc, &flags), 1);
  assert_int_equal(pc, 0x401234);
  assert_int_equal(flags, cut_flags(CUT_no_memory));
}

/* No stack at all behind the registers: nothing may be read. */
static void wild_registers_are_survived(void **state)
{
  (void)state;
  uint64_t random = 5;
  char *memory = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_int_equal(mprotect(memory + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
  for (int i = 0; i < 20000; i++) {
    uintptr_t page = (uintptr_t)memory + PAGE;
    for (unsigned word = 0; word < PAGE / 8; word += 1 + prng_next(&random) % 8)
      ((uintptr_t *)page)[word] = prng_next(&random) % 2 == 0 ? page + prng_next(&random) % (2 * PAGE)
                                                              : (uintptr_t)walk + prng_next(&random) % 4096;
    struct unwind_start start = {.return_address = (uintptr_t)recurse + prng_next(&random) % 2048,
                                 .sp = page + 8 + prng_next(&random) % (PAGE / 8) * 8,
                                 .bp = page + prng_next(&random) % (3 * PAGE) - PAGE};
    uint32_t flags;
    unsigned count = walk_from(&start, &walk_room, WILD_FRAMES, &flags);
    assert_in_range(count, 1, WILD_FRAMES);
    assert_true((flags & STACK_TRUNCATED) == 0 || cut_of(flags) != CUT_unknown);
  }
  munmap(memory, 3 * PAGE);
}

/* A stack overflow, seen by a handler on its own stack: the interrupted sp lies in the guard page. */

static _Atomic unsigned frames_after_overflow;

static void walk_and_leave(int number)
{
  (void)number;
  frames_after_overflow = walk();
  _exit(frames_after_overflow >= 3 ? UNIT_REACHED_END : 1);
}

static NOINLINE uint64_t overflow(uint64_t levels)
{
  volatile uint64_t local[512];
  local[levels % 512] = levels;
  return levels == UINT64_MAX ? 0 : overflow(levels + 1) + local[levels % 512];
}

static void *overflow_thread(void *unused)
{
  static char stack[64 << 10];
  const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  (void)unused;
  struct sigaction action = {.sa_handler = walk_and_leave, .sa_flags = SA_ONSTACK};
  require(sigaltstack(&alternate, NULL) == 0 && sigaction(SIGSEGV, &action, NULL) == 0);
  return (void *)(uintptr_t)overflow(0);
}

CHILD_TEST(handler_after_stack_overflow)
{
  unit_run_threads(1, overflow_thread);
}

static void hidden_frames_are_left_out(void **state)
{
  (void)state;
  unsigned all = walk_without_cfi(call_with_frame_pointer);
  uintptr_t next = walked[1];
  unwind_hide((uintptr_t)call_with_frame_pointer, (uintptr_t)call_with_frame_pointer + 16);
  assert_int_equal(walk_without_cfi(call_with_frame_pointer), all - 1);
  assert_int_equal(walked[0], next);
}

/* The compiler. */

struct code {
  uintptr_t low, high;
};

static int find_libc(struct dl_phdr_info *info, size_t size, void *argument)
{
  (void)size;
  if (strstr(info->dlpi_name, "libc.so.6") == NULL)
    return 0;
  for (unsigned i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
      struct code *code = argument;
      code->low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
      code->high = code->low + info->dlpi_phdr[i].p_memsz;
    }
  return 1;
}

/* Return addresses of calls whose target is code, too. */
static bool is_after_call(const struct code *code, uintptr_t address)
{
  uintptr_t target;
  return odd_call_target(address, &target) && target >= code->low && target < code->high && target % 16 == 0;
}

static void rules_for_all_call_sites_of_libc(void **state)
{
  (void)state;
  struct code code = {0, 0};
  unsigned sites = 0, without = 0, odd = 0, by_bp = 0;
  dl_iterate_phdr(find_libc, &code);
  assert_true(code.low != 0);
  unsigned files = unit_count_files("/proc/self/fd");
  for (uintptr_t address = code.low + 8; address < code.high; address++) {
    if (!is_after_call(&code, address))
      continue;
    packed_rule rule = cfi_compile(address - 1);
    assert_int_not_equal(rule, RULE_ABSENT);
    sites++;
    without += rule_kind(rule) == RULE_FRAME_POINTER;
    by_bp += rule_kind(rule) == RULE_BP;
    if (rule_kind(rule) == RULE_SP || rule_kind(rule) == RULE_BP)
      odd += !odd_is_usual(rule_ra_offset(rule), rule_bp_offset(rule)) || rule_cfa_offset(rule) % 8 != 0 ||
             rule_cfa_offset(rule) < 8;
  }
  assert_in_range(sites, 10000, 1000000);
  assert_true(by_bp > 100 && without < sites / 500 && odd < sites / 500);
  assert_int_equal(unit_count_files("/proc/self/fd"), files);
}

/* No system call, once something of the object is known: each would be the end. */
KERNEL_TEST(rules_need_no_system_call)
{
  struct code code = {0, 0};
  unsigned sites = 0;
  if (UNIT_IS_THREAD_SANITIZED) /* whose own code makes some */
    return;
  dl_iterate_phdr(find_libc, &code);
  require(code.low != 0 && cfi_compile((uintptr_t)getppid + 1) != RULE_ABSENT);
  require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
  bool all = true;
  for (uintptr_t address = code.low + 8; address < code.high; address++)
    if (is_after_call(&code, address)) {
      all = all && cfi_compile(address - 1) != RULE_ABSENT;
      sites++;
    }
  (void)syscall(SYS_exit, all && sites > 10000 ? UNIT_REACHED_END : 1); /* exit_group is no longer allowed */
}

static void frames_by_other_registers(void **state)
{
  (void)state;
  for (int i = 0; i < 3; i++)
    assert_true(call_by_other_register(compare_stacks) > 2 && recurse(5) > 5);
  expect_same(6, 30);
}

/* Nor do they, in the second walk. */
KERNEL_TEST(other_registers_need_no_system_call)
{
  if (UNIT_IS_THREAD_SANITIZED)
    return;
  unsigned count = 0;
  bool all = true;
  for (volatile int turn = 0; turn < 3; turn++) {
    unsigned now = call_by_other_register(walk);
    all = all && walked_flags == 0 && (count == 0 || now == count);
    count = now;
    require(turn != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
  }
  (void)syscall(SYS_exit, all && count > 2 ? UNIT_REACHED_END : 1);
}

static void data_is_not_code(void **state)
{
  (void)state;
  static int variable;
  int local = 0;
  assert_int_equal(rule_kind(cfi_compile((uintptr_t)&local)), RULE_FRAME_POINTER);
  assert_int_equal(rule_kind(cfi_compile(0)), RULE_FRAME_POINTER);
  assert_int_equal(rule_kind(cfi_compile(UINTPTR_MAX)), RULE_FRAME_POINTER);
  assert_int_equal(rule_kind(cfi_compile((uintptr_t)&variable)), RULE_FRAME_POINTER);
}

static void main_program_is_recorded_first(void **state)
{
  (void)state;
  uint64_t position = 0;
  char path[4096] = "";
  const struct module_record *record = modules_next(&position);
  assert_non_null(record);
  assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
  assert_string_equal(record->path, path);
  assert_int_equal(record->is_main, 1);
  assert_true(record->start <= (uintptr_t)walk && record->limit > (uintptr_t)walk);
  assert_true(record->build_id_bytes == 20 && record->start % PAGE == 0);
  while ((record = modules_next(&position)) != NULL)
    assert_int_equal(record->is_main, 0);
}

/* While another thread keeps the list of modules. */

static _Atomic int stage;

static void *keep_modules(void *unused)
{
  (void)unused;
  require(lock_try(&modules_lock));
  atomic_store(&stage, 1);
  while (atomic_load(&stage) != 2)
    (void)sched_yield();
  lock_release(&modules_lock);
  return NULL;
}

/* What is found out meanwhile is right; a rule of an object that is not noted is for one walk alone. */
static void expect_rule(uintptr_t pc, enum rule_kind kind, bool is_kept)
{
  assert_int_equal(rule_kind(cfi_compile(pc)), kind);
  assert_int_equal(rule_kind(rule_cache_get(pc)), is_kept ? kind : RULE_ABSENT);
}

/* An entry speaks of it: of what moves no register yet where calls leave the return address in one. */
static enum rule_kind rule_of_entry(uintptr_t pc)
{
  enum rule_kind kind = rule_kind(cfi_compile(pc));
  assert_true(kind == RULE_SP || kind == RULE_CAREFUL);
  return kind;
}

static void nobody_needs_the_list_of_modules(void **state)
{
  pthread_t thread;
  void *library = dlopen("libm.so.6", RTLD_NOW); /* nobody has run there */
  (void)state;
  if (library == NULL)
    skip();
  uintptr_t code = (uintptr_t)dlsym(library, "cbrt"), header = ((struct link_map *)library)->l_addr + 1;
  uint64_t busy = region_header()->lost[LOSS_compile_busy];
  atomic_store(&stage, 0);
  assert_int_equal(pthread_create(&thread, NULL, keep_modules, NULL), 0);
  while (atomic_load(&stage) != 1)
    (void)sched_yield();
  enum rule_kind kind = rule_of_entry(code);
  expect_rule(code, kind, false);
  expect_rule(header, RULE_FRAME_POINTER, false); /* no entry speaks of it */
  atomic_store(&stage, 2);
  (void)pthread_join(thread, NULL);
  expect_rule(code, kind, true);
  expect_rule(header, RULE_FRAME_POINTER, true);
  assert_int_equal(region_header()->lost[LOSS_compile_busy], busy);
  (void)dlclose(library);
}

int main(int count, char **arguments)
{
  (void)count;
  (void)unit_directory();
  static struct backtrace warm; /* libgcc_s is loaded now, not in a handler */
  _Unwind_Backtrace(add_frame, &warm);
  stack_bounds_init_main((uintptr_t)arguments);
  unit_region();
  static char path[4096];
  if (readlink("/proc/self/exe", path, sizeof path - 1) <= 0)
    return 1;
  loaded_init(_dl_find_object, NULL, NULL);
  modules_init(path);
  (void)cfi_compile(getauxval(AT_ENTRY)); /* as process_begin does */
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(main_program_is_recorded_first),
      cmocka_unit_test(inside_a_comparator),
      cmocka_unit_test(deep_recursion),
      cmocka_unit_test(unusual_frames),
      cmocka_unit_test(through_other_libraries),
      cmocka_unit_test(in_threads),
      cmocka_unit_test(nobody_needs_the_list_of_modules),
      cmocka_unit_test(in_signal_handlers),
      cmocka_unit_test(at_any_instruction),
      cmocka_unit_test(frame_pointers_where_there_is_no_cfi),
      cmocka_unit_test(garbage_for_a_frame_pointer_ends_the_stack),
      cmocka_unit_test(code_outside_of_any_file),
      cmocka_unit_test(depth_is_limited),
      cmocka_unit_test(the_same_walk_is_known),
      cmocka_unit_test(walks_on_a_trail_are_as_without),
      cmocka_unit_test(a_walk_may_be_left),
      cmocka_unit_test(caller_alone),
      cmocka_unit_test(wild_registers_are_survived),
      cmocka_unit_test(handler_after_stack_overflow),
      cmocka_unit_test(rules_for_all_call_sites_of_libc),
      cmocka_unit_test(rules_need_no_system_call),
      cmocka_unit_test(frames_by_other_registers),
      cmocka_unit_test(other_registers_need_no_system_call),
      cmocka_unit_test(data_is_not_code),
      cmocka_unit_test(hidden_frames_are_left_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
