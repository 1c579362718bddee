/* SPDX-License-Identifier: MIT */
#include "core/stack_bounds.h"

#include "core/sys.h"
#include "core/thread.h"
#include "unit.h"

enum { PAGE = 4096, RED_ZONE = 128 };

static uintptr_t argument_vector;

static NOINLINE uintptr_t stack_pointer(void)
{
  return (uintptr_t)__builtin_frame_address(0);
}

/* `pages` readable pages with one on either side that is not. */
static uintptr_t map_guarded(size_t pages)
{
  char *memory = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(memory != MAP_FAILED && mprotect(memory + PAGE, pages * PAGE, PROT_READ | PROT_WRITE) == 0);
  return (uintptr_t)memory + PAGE;
}

static void probing_tells_what_can_be_read(void **state)
{
  (void)state;
  uintptr_t low = map_guarded(2);
  int local = 0;
  assert_true(sys_is_readable(low) && sys_is_readable(low + 2 * PAGE - 8) && sys_is_readable((uintptr_t)&local & -8ul));
  assert_false(sys_is_readable(low - 8));
  assert_false(sys_is_readable(low + 2 * PAGE));
  assert_false(sys_is_readable(0));
  assert_false(sys_is_readable(1ull << 63));
}

CHILD_TEST(main_stack_ends_at_argv)
{
  struct stack_window window;
  uintptr_t value, sp = stack_pointer();
  stack_bounds_init_main(argument_vector);
  require(stack_window_open(&window, sp));
  /* The page below that of sp is not asked for: where sp lies low in its page, the red zone is cut. */
  uintptr_t page = sp & ~(uintptr_t)4095, low = sp - RED_ZONE > page ? sp - RED_ZONE : page;
  require(window.low == low && window.high == argument_vector);
  volatile uintptr_t marker = 0x1234567887654321;
  require((uintptr_t)&marker < sp || stack_window_read(&window, (uintptr_t)&marker, &value));
  uintptr_t saved = *(const uintptr_t *)sp;
  require(stack_window_read(&window, sp, &value) && value == saved);
  require(stack_window_read(&window, argument_vector - 8, &value));
  require(!stack_window_read(&window, argument_vector, &value));          /* beyond the stack's frames */
  require(stack_window_read(&window, sp - 8, &value) == (sp - 8 >= low)); /* the red zone */
  require(!stack_window_read(&window, sp - RED_ZONE - 8, &value));        /* below it */
  require(!stack_window_read(&window, sp + 4, &value));                   /* misaligned */
  require(!stack_window_read(&window, 0, &value) && !stack_window_read(&window, UINTPTR_MAX - 7, &value));
  require(this_thread.stack_low <= sp && this_thread.stack_high == argument_vector);
}

static void *in_a_thread(void *unused)
{
  struct stack_window window;
  uintptr_t value, sp = (uintptr_t)__builtin_frame_address(0), high = (uintptr_t)__builtin_thread_pointer();
  (void)unused;
  require(stack_window_open(&window, sp));
  require(window.high == high);
  for (uintptr_t address = sp; address < high; address += 8)
    require(stack_window_read(&window, address, &value));
  require(!stack_window_read(&window, high, &value));
  return NULL;
}

CHILD_TEST(thread_stacks_end_at_the_thread_pointer)
{
  unit_run_threads(4, in_a_thread);
}

/* A frame of 8 MiB between the caller and the top, of which nothing was ever touched. */
static void *below_a_large_frame(void *unused)
{
  struct stack_window window;
  uintptr_t value, sp = (uintptr_t)__builtin_frame_address(0) - (8 << 20);
  (void)unused;
  require(stack_window_open(&window, sp));
  require(window.low == sp - RED_ZONE || window.low == this_thread.stack_low);
  require(stack_window_read(&window, sp, &value) && stack_window_read(&window, window.high - 8, &value));
  require(this_thread.stack_low <= sp);
  return NULL;
}

CHILD_TEST(large_frames_are_the_own_stack)
{
  pthread_t thread;
  pthread_attr_t attributes;
  require(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 16 << 20) == 0);
  require(pthread_create(&thread, &attributes, below_a_large_frame, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

CHILD_TEST(foreign_stacks_are_probed_to_their_end)
{
  struct stack_window window;
  uintptr_t value, low = map_guarded(20), high = low + 20 * PAGE, sp = low + PAGE + 256;
  *(uintptr_t *)(high - 8) = 4711;
  stack_bounds_init_main(argument_vector);
  require(!stack_window_open(&window, sp));
  require(window.low <= sp && window.low >= sp - RED_ZONE && window.high == low + 2 * PAGE);
  require(stack_window_read(&window, sp, &value) && stack_window_read(&window, high - 8, &value) && value == 4711);
  require(!stack_window_read(&window, high, &value));
  require(!stack_window_read(&window, sp - RED_ZONE - 8, &value));
  require(!stack_window_read(&window, high + (1 << 30), &value));
  require(stack_window_read(&window, sp + 8, &value)); /* a refusal changes nothing */
}

/* A frame that reaches over what can't be read, or over more than is asked for of an own stack: only what is read is asked for. */
CHILD_TEST(large_frames_of_foreign_stacks_are_skipped)
{
  enum { FAR = 20000 };
  struct stack_window window;
  uintptr_t value, low = map_guarded(FAR), sp = low + PAGE - 256, far = low + (FAR - 1) * PAGE;
  stack_bounds_init_main(argument_vector);
  require(mprotect((void *)(low + 2 * PAGE), PAGE, PROT_NONE) == 0);
  require(!stack_window_open(&window, sp));
  require(stack_window_read(&window, sp + 8, &value) && stack_window_read(&window, far, &value));
  require(window.low == far && window.high == far + PAGE);
  require(stack_window_read(&window, low + PAGE, &value) && !stack_window_read(&window, low + 2 * PAGE, &value));
  require(!stack_window_read(&window, low, &value));
}

/* What was read in one walk may be gone in the next. */
CHILD_TEST(foreign_stacks_are_asked_for_each_time)
{
  struct stack_window window;
  uintptr_t value, low = map_guarded(2), sp = low + PAGE - 64;
  stack_bounds_init_main(argument_vector);
  require(!stack_window_open(&window, sp) && stack_window_read(&window, low + PAGE, &value));
  require(mprotect((void *)(low + PAGE), PAGE, PROT_NONE) == 0);
  require(!stack_window_open(&window, sp) && stack_window_read(&window, sp, &value));
  require(!stack_window_read(&window, low + PAGE, &value));
}

/* After a stack overflow the interrupted sp lies in the guard page; a handler on its own stack walks from there. */
CHILD_TEST(unreadable_stack_pointers_are_not_read)
{
  struct stack_window window;
  uintptr_t value, guard = map_guarded(1) - PAGE;
  stack_bounds_init_main(argument_vector);
  stack_window_cross(&window, guard + 64);
  require(!stack_window_read(&window, guard + 64, &value) && !stack_window_read(&window, guard + 72, &value));
  require(stack_window_read(&window, guard + PAGE, &value)); /* the caller's frame */
  stack_window_cross(&window, 64);
  require(!stack_window_read(&window, 64, &value));
}

static void *own_overflow(void *unused)
{
  struct stack_window window;
  uintptr_t value, bottom = (uintptr_t)__builtin_frame_address(0) & -(uintptr_t)PAGE;
  (void)unused;
  while (sys_is_readable(bottom - PAGE))
    bottom -= PAGE;
  stack_window_cross(&window, bottom - 64);
  require(!stack_window_read(&window, bottom - 64, &value));
  require(stack_window_read(&window, bottom + 64, &value));
  require(window.low == bottom && window.high == (uintptr_t)__builtin_thread_pointer()); /* the own stack again */
  require(this_thread.stack_floor == bottom);                                            /* never asked for again */
  require(stack_window_open(&window, bottom + 64) && window.low == bottom);
  require(stack_window_read(&window, bottom + 64, &value) && !stack_window_read(&window, bottom - 8, &value));
  return NULL;
}

CHILD_TEST(guard_page_of_the_own_stack_is_not_read)
{
  unit_run_threads(1, own_overflow);
}

/* As between a goroutine, C that it calls, and the goroutine again, called back. */
CHILD_TEST(frame_pointers_lead_to_other_stacks)
{
  struct stack_window window;
  stack_bounds_init_main(argument_vector);
  uintptr_t other = map_guarded(4), sp = stack_pointer(), value;
  require(stack_window_open(&window, sp));
  require(!stack_window_follow(&window, sp, sp + 64)); /* that is no other stack */
  require(stack_window_open(&window, sp));
  require(stack_window_follow(&window, sp, other + PAGE));
  require(stack_window_read(&window, other + PAGE, &value));
  require(!stack_window_is_own(&window));
  require(stack_window_follow(&window, other + PAGE + 400, sp));
  require(stack_window_is_own(&window) && stack_window_read(&window, sp, &value));
  struct stack_window back = window;
  require(stack_window_follow(&back, sp + 64, other + PAGE + 400));
  back = window;
  require(stack_window_follow(&back, sp + 64, other + PAGE + 900));
  require(stack_window_read(&back, other + PAGE + 904, &value));
  back = window;
  require(!stack_window_follow(&back, sp + 64, other + PAGE + 392)); /* called back is below */
  back = window;
  require(!stack_window_follow(&back, sp + 64, other + 2 * PAGE)); /* another stack, or where this one was */
}

int main(int count, char **arguments)
{
  (void)count;
  argument_vector = (uintptr_t)arguments;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(probing_tells_what_can_be_read),
      cmocka_unit_test(main_stack_ends_at_argv),
      cmocka_unit_test(thread_stacks_end_at_the_thread_pointer),
      cmocka_unit_test(large_frames_are_the_own_stack),
      cmocka_unit_test(foreign_stacks_are_probed_to_their_end),
      cmocka_unit_test(large_frames_of_foreign_stacks_are_skipped),
      cmocka_unit_test(foreign_stacks_are_asked_for_each_time),
      cmocka_unit_test(unreadable_stack_pointers_are_not_read),
      cmocka_unit_test(frame_pointers_lead_to_other_stacks),
      cmocka_unit_test(guard_page_of_the_own_stack_is_not_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
