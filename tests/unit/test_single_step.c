/* SPDX-License-Identifier: MIT */
/* Stacks from every instruction of what is run here: the processor traps after each, and the handler walks. The truth is a stack of the
 * calls that the handler has seen being made. */
#include "core/unwind.h"

#include "core/cfi/cfi.h"
#include "core/loader/loaded.h"
#include "core/modules.h"
#include "core/stacks.h"
#include "unit.h"
#include "walks.h"

#include <alloca.h>
#include <dlfcn.h>
#include <locale.h>
#include <math.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

enum { FRAMES = 200, CALLS = 200, PLACES = 1 << 16, SHOWN = 30 };

/* What has been called, and not left yet: as the walk tells of it, and as long as sp is below `until`. */
struct call {
  uintptr_t pc;
  uintptr_t until;
};

static struct call calls[CALLS];
static unsigned call_count;

static uintptr_t alternate; /* the stack of handlers, where they have one */
enum { ALTERNATE_BYTES = 64 << 10 };

static uintptr_t base[FRAMES]; /* the stack that all this is on */
static unsigned base_count;

static bool is_call, is_stepping; /* the instruction that the last trap was before */
static uintptr_t last_sp;

/* Where a jump that is under way leads to: a place in that function, and how many calls will be left. libc says that it is the caller, as
 * soon as the registers are loaded. */
static struct {
  uintptr_t function;
  unsigned call_count;
} jump;

static struct walk_room room;
static uint32_t walked_flags;
static unsigned steps, wrong, cut, all_steps, places;
static uintptr_t seen[PLACES];

/* The trap flag, with unwind information for each instruction. The first trap comes back here, behind the return. */
void step_begin(void);
void step_end(void);
__asm__(".text\n"
        ".type step_begin, @function\n"
        "step_begin:\n"
        "  .cfi_startproc\n"
        "  pushfq\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  orl $0x100, (%rsp)\n"
        "  popfq\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  ret\n"
        "  .cfi_endproc\n"
        ".size step_begin, . - step_begin\n"
        ".type step_end, @function\n"
        "step_end:\n"
        "  .cfi_startproc\n"
        "  pushfq\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  andl $~0x100, (%rsp)\n"
        "  popfq\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  ret\n"
        "  .cfi_endproc\n"
        ".size step_end, . - step_end\n");

static NOINLINE unsigned walk(void)
{
  struct unwind_start start = UNWIND_START_HERE();
  return walk_from(&start, &room, FRAMES, &walked_flags);
}

/* `call` in all its forms, behind the prefixes that compilers put there. */
static bool is_call_at(const uint8_t *code)
{
  while (*code == 0x3e || *code == 0xf2 || *code == 0x66 || *code == 0x67 || (*code & 0xf0) == 0x40)
    code++;
  return code[0] == 0xe8 || (code[0] == 0xff && (code[1] >> 3 & 7) == 2);
}

static void count_place(uintptr_t pc)
{
  unsigned at = (unsigned)(pc * 0x9e3779b97f4a7c15u >> 40) % PLACES;
  while (seen[at] != 0 && seen[at] != pc)
    at = (at + 1) % PLACES;
  places += seen[at] == 0;
  seen[at] = pc;
}

static void put_call(uintptr_t pc, uintptr_t until)
{
  require(call_count < CALLS);
  calls[call_count++] = (struct call){pc, until};
}

static bool are_on_one_stack(uintptr_t a, uintptr_t b)
{
  return (a - alternate < ALTERNATE_BYTES) == (b - alternate < ALTERNATE_BYTES);
}

static void follow_calls(uintptr_t sp)
{
  if (is_call && sp == last_sp - sizeof sp) {
    uintptr_t return_address = *(const uintptr_t *)sp;
    require(arch_is_behind_call((const uint8_t *)return_address));
    put_call(return_address - 1, last_sp);
  }
  while (call_count > 0 && calls[call_count - 1].until <= sp && are_on_one_stack(calls[call_count - 1].until, sp))
    call_count--;
}

/* The n-th frame outwards from the interrupted one, by the truth. */
static uintptr_t expected(unsigned n, uintptr_t pc)
{
  if (n == 0)
    return pc;
  return n <= call_count ? calls[call_count - n].pc : base[n - call_count];
}

static void show(uintptr_t pc, unsigned from, unsigned count)
{
  for (unsigned i = 0; i + from < count || i < call_count + base_count; i++) {
    uintptr_t walked = i + from < count ? room.pcs[i + from] : 0;
    uintptr_t truth = i < call_count + base_count ? expected(i, pc) : 0;
    Dl_info info = {.dli_sname = NULL};
    (void)dladdr((void *)truth, &info);
    fprintf(stderr, "%3u %#14lx %#14lx %s %s\n", i, (unsigned long)walked, (unsigned long)truth,
            walked == truth ? "  " : "!=", info.dli_sname != NULL ? info.dli_sname : "");
    if (walked != truth)
      break;
  }
  fprintf(stderr, "\n");
}

static bool is_truth(const uintptr_t *pcs, unsigned count, uintptr_t pc)
{
  bool is_same = count == call_count + base_count;
  for (unsigned i = 0; is_same && i < count; i++)
    is_same = pcs[i] == expected(i, pc);
  return is_same;
}

static bool is_truth_of_jump(const uintptr_t *pcs, unsigned count)
{
  enum { FUNCTION_BYTES = 200 };
  unsigned all_calls = call_count;
  if (jump.function == 0 || count < 2 || pcs[1] - jump.function > FUNCTION_BYTES)
    return false;
  call_count = jump.call_count;
  bool is_same = is_truth(pcs + 1, count - 1, pcs[1]);
  call_count = all_calls;
  return is_same;
}

extern const char __start_realigned_code[], __stop_realigned_code[];

static bool is_row_wrong(uintptr_t pc)
{
  enum { LEAVE = 0xc9, POP_RBP = 0x5d };
  static bool is_behind_leave;
  bool is_inside = pc >= (uintptr_t)__start_realigned_code && pc < (uintptr_t)__stop_realigned_code;
  bool was_behind = is_behind_leave;
  is_behind_leave = is_inside && (was_behind || *(const uint8_t *)pc == LEAVE || *(const uint8_t *)pc == POP_RBP);
  return is_inside && was_behind;
}

static void on_trap(int number, siginfo_t *info, void *context)
{
  (void)number, (void)info;
  const greg_t *registers = ((const ucontext_t *)context)->uc_mcontext.gregs;
  uintptr_t pc = (uintptr_t)registers[REG_RIP], sp = (uintptr_t)registers[REG_RSP];
  if (!is_stepping)
    return;
  follow_calls(sp);
  is_call = is_call_at((const uint8_t *)pc);
  last_sp = sp;
  unsigned count = walk(), from = 0;
  if (is_row_wrong(pc))
    return;
  while (from < count && room.pcs[from] != pc)
    from++;
  steps++;
  cut += walked_flags != 0;
  count_place(pc);
  if (!is_truth(room.pcs + from, count - from, pc) && !is_truth_of_jump(room.pcs + from, count - from) &&
      wrong++ < SHOWN)
    show(pc, from, count);
}

/* At each instruction of `function`. */
static NOINLINE void step_through(void (*function)(void))
{
  base_count = walk();
  require(walked_flags == 0);
  memcpy(base, room.pcs, base_count * sizeof *base);
  call_count = 0;
  is_call = false;
  is_stepping = true;
  step_begin();
  function();
  step_end();
  is_stepping = false;
}

static void expect_same(unsigned at_least)
{
  unsigned steps_now = steps, wrong_now = wrong, cut_now = cut;
  all_steps += steps;
  steps = wrong = cut = 0;
  assert_int_equal(wrong_now, 0);
  assert_int_equal(cut_now, 0);
  assert_in_range(steps_now, at_least, UINT32_MAX);
}

static volatile unsigned sink;

static NOINLINE void leaf(void)
{
  sink++;
}

static NOINLINE void with_alloca(size_t size)
{
  volatile char *bytes = alloca(size);
  bytes[size - 1] = 1;
  leaf();
}

/* Behind its `leave` or `pop %rbp`, gcc's unwind information still takes bp for this function's own, but for two instructions. */
__attribute__((force_align_arg_pointer, section("realigned_code"))) static NOINLINE void realigned(size_t size)
{
  _Alignas(64) volatile char bytes[128];
  volatile char *more = alloca(size);
  bytes[5] = more[size - 1] = 1;
  leaf();
  sink += (unsigned)bytes[5];
}

static NOINLINE void over_aligned(void)
{
  _Alignas(256) volatile char bytes[256];
  bytes[1] = 1;
  leaf();
  sink += (unsigned)bytes[1];
}

static NOINLINE void with_many_arguments(int a, int b, int c, int d, int e, int f, int g, int h, double i, ...)
{
  leaf();
  sink += (unsigned)(a + b + c + d + e + f + g + h + (int)i);
}

static NOINLINE unsigned recurse(unsigned levels)
{
  volatile unsigned local = levels;
  return levels == 0 ? (leaf(), sink) : recurse(levels - 1) + local - levels;
}

static NOINLINE void with_large_frame(void)
{
  volatile char bytes[200];
  bytes[7] = 1;
  with_alloca(300);
  sink += (unsigned)bytes[7];
}

static void run_functions(void)
{
  with_alloca(10);
  over_aligned();
  realigned(100);
  with_many_arguments(1, 2, 3, 4, 5, 6, 7, 8, 9.0, 10, 11.0);
  with_large_frame();
  sink += recurse(9);
}

static void prologues_and_epilogues(void **state)
{
  (void)state;
  step_through(run_functions);
  expect_same(200);
}

static int compare(const void *a, const void *b)
{
  return *(const int *)a - *(const int *)b;
}

static void run_library(void)
{
  char text[200];
  int numbers[] = {7, 3, 5, 1, 9, 8};
  snprintf(text, sizeof text, "%d %s %.17g %#lx", 42, "words", 0.1 * (double)sink, 77l);
  qsort(numbers, COUNT_OF(numbers), sizeof *numbers, compare);
  sink += (unsigned)strtod("12345.678e9", NULL) + (unsigned)strtol("-99", NULL, 0) + (unsigned)strlen(text);
  sink += getenv("NO_SUCH_VARIABLE") != NULL;
  sink += strstr(text, "words") != NULL;
  char copy[300] = {0};
  memmove(copy + 1, copy, 250);
  memset(copy, 3, sizeof copy);
}

static void libc(void **state)
{
  (void)state;
  step_through(run_library);
  expect_same(2000);
}

static void run_clocks(void)
{
  struct timespec now;
  struct timeval day;
  clock_gettime(CLOCK_MONOTONIC, &now);
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  gettimeofday(&day, NULL);
  sink += (unsigned)sched_getcpu() + (unsigned)time(NULL);
}

static void vdso(void **state)
{
  (void)state;
  step_through(run_clocks);
  expect_same(100);
}

/* The kernel clears the trap flag for a handler, which sets it again, and returns with it. */
static void on_signal(int number, siginfo_t *info, void *context)
{
  (void)number, (void)info;
  const greg_t *registers = ((const ucontext_t *)context)->uc_mcontext.gregs;
  put_call((uintptr_t)registers[REG_RIP], (uintptr_t)registers[REG_RSP]);
  put_call(((const uintptr_t *)context)[-1] - 1, (uintptr_t)context);
  is_call = false;
  step_begin();
  leaf();
}

static void run_raise(void)
{
  (void)raise(SIGUSR1);
  leaf();
}

static void handle(int number, int flags, void (*handler)(int, siginfo_t *, void *))
{
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
  assert_int_equal(sigaction(number, &action, NULL), 0);
}

static void *raise_on_stack(void *bytes)
{
  const stack_t stack = {.ss_sp = bytes, .ss_size = ALTERNATE_BYTES}, none = {.ss_flags = SS_DISABLE};
  alternate = (uintptr_t)bytes;
  require(sigaltstack(&stack, NULL) == 0);
  step_through(run_raise);
  require(sigaltstack(&none, NULL) == 0);
  alternate = 0;
  return NULL;
}

static void signals(void **state)
{
  (void)state;
  if (UNIT_IS_THREAD_SANITIZED) /* it calls handlers itself, when it thinks fit */
    return;
  static char below[ALTERNATE_BYTES];
  char above[ALTERNATE_BYTES]; /* the stack of a thread */
  handle(SIGUSR1, 0, on_signal);
  step_through(run_raise);
  expect_same(50);
  handle(SIGUSR1, SA_ONSTACK, on_signal);
  (void)raise_on_stack(below);
  expect_same(50);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, raise_on_stack, above), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  expect_same(50);
}

static jmp_buf left;

static NOINLINE void leave(volatile unsigned levels)
{
  if (levels == 0)
    longjmp(left, 1);
  if (levels < 100)
    leave(levels - 1);
  leaf();
}

static NOINLINE void run_longjmp(void)
{
  jump.call_count = call_count;
  if (setjmp(left) == 0) {
    jump.function = (uintptr_t)run_longjmp;
    leave(5);
  }
  jump.function = 0;
  leaf();
}

static void jumps(void **state)
{
  (void)state;
  step_through(run_longjmp);
  expect_same(100);
}

static void *run_in_thread(void *number)
{
  (void)number;
  step_through(run_functions);
  return NULL;
}

static void threads(void **state)
{
  (void)state;
  unit_run_threads(1, run_in_thread);
  expect_same(200);
}

static ucontext_t outside, inside;

static void run_in_coroutine(void)
{
  step_through(run_functions);
}

static void coroutines(void **state)
{
  (void)state;
  static char stack[64 << 10];
  assert_int_equal(getcontext(&inside), 0);
  inside.uc_stack.ss_sp = stack;
  inside.uc_stack.ss_size = sizeof stack;
  inside.uc_link = &outside;
  makecontext(&inside, run_in_coroutine, 0);
  assert_int_equal(swapcontext(&outside, &inside), 0);
  expect_same(200);
}

/* A library whose calls are bound when they are made first. */
static int (*enter_lazy)(void);

static void run_lazily(void)
{
  sink += (unsigned)enter_lazy();
  sink += (unsigned)enter_lazy();
}

static void lazy_binding(void **state)
{
  (void)state;
  char path[4096] = "";
  assert_true(readlink("/proc/self/exe", path, sizeof path - 64) > 0);
  strcpy(strrchr(path, '/'), "/../victims/liblazy.so");
  void *library = dlopen(path, RTLD_LAZY);
  assert_non_null(library);
  *(void **)&enter_lazy = dlsym(library, "lazy_enter");
  assert_non_null(enter_lazy);
  step_through(run_lazily);
  expect_same(2000);
}

static void many_places(void **state)
{
  (void)state;
  fprintf(stderr, "%u steps, %u places\n", all_steps, places);
  assert_in_range(places, 4000, PLACES);
}

/* The thread sanitizer's own locks are held at some of the instructions, and what samples there would wait for them. */
static void is_left_out(void **state)
{
  (void)state;
  skip();
}

int main(int count, char **arguments)
{
  (void)count;
  (void)unit_directory();
  stack_bounds_init_main((uintptr_t)arguments);
  const struct CMUnitTest none[] = {cmocka_unit_test(is_left_out)};
  if (UNIT_IS_THREAD_SANITIZED)
    return cmocka_run_group_tests(none, NULL, NULL);
  unit_region();
  static char path[4096];
  if (readlink("/proc/self/exe", path, sizeof path - 1) <= 0)
    return 1;
  loaded_init(_dl_find_object, NULL, NULL);
  modules_init(path);
  handle(SIGTRAP, 0, on_trap);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(prologues_and_epilogues),
      cmocka_unit_test(libc),
      cmocka_unit_test(vdso),
      cmocka_unit_test(signals),
      cmocka_unit_test(jumps),
      cmocka_unit_test(threads),
      cmocka_unit_test(coroutines),
      cmocka_unit_test(lazy_binding),
      cmocka_unit_test(many_places),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
