/* SPDX-License-Identifier: MIT */
#include "tools/attach/borrowed.h"

#include "tools/attach/moments.h"
#include "tools/attach/reasons.h"
#include "tools/attach/task.h"
#include "tools/attach/tracing.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

enum {
  RED_ZONE_BYTES = 128,
  FRAME_ALIGNMENT = 64,
  STACK_BYTES = 96 << 10, /* of its stack, below the frame: to open the library, with handlers on top of that */
  SPARE_BYTES = 12 << 10, /* of the first thread's, which grows */
  PATIENT_ROUNDS = 100, /* between those in which also a thread is tried whose call begins anew with all of its time */
  ROUNDS_ANEW = 3,
};

#define NS_PER_MS UINT64_C(1000000)
#define STOP_NS (20 * NS_PER_MS)
#define CALL_NS (2000 * NS_PER_MS)
#define STUB_NS (10000 * NS_PER_MS)
#define HELD_UP_NS (20 * NS_PER_MS)

static bool fail(GError **error, const struct borrowed *borrowed, const char *what)
{
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "process %d: %s", borrowed->memory->pid, what);
  return false;
}

/* As glibc makes it: the thread's control block ends the mapping, and a guard is below. What a program has allocated
 * for a stack may have anything below it. */
static bool is_stack_of_thread(const struct borrowed *borrowed, const struct memory_mapping *mapping, uint64_t sp)
{
  enum { CONTROL_BLOCK_MAX_BYTES = 16 << 10 };
  uint64_t pointer = machine_thread_pointer(&borrowed->state.registers);
  const struct memory_mapping *below = memory_mapping_at(borrowed->memory, mapping->start - 1);
  return sp < pointer && pointer < mapping->limit && mapping->limit - pointer < CONTROL_BLOCK_MAX_BYTES &&
         below != NULL && !below->is_readable && !below->is_writable;
}

/* Any other stack than its own, or that of the first thread, may be too small. */
static const char *why_not_its_stack(struct borrowed *borrowed)
{
  const struct user_regs_struct *registers = &borrowed->state.registers;
  uint64_t sp = machine_sp(registers);
  const struct memory_mapping *mapping = memory_mapping_at(borrowed->memory, sp);
  if (mapping == NULL || !mapping->is_writable)
    return "was on a stack that is not there";
  bool grows = strcmp(mapping->path, "[stack]") == 0;
  if (!grows && !is_stack_of_thread(borrowed, mapping, sp))
    return "was on a stack that is not its own";
  uint64_t frame_bytes = machine_frame_bytes(&borrowed->state);
  if (sp - mapping->start < RED_ZONE_BYTES + frame_bytes + FRAME_ALIGNMENT + (grows ? SPARE_BYTES : STACK_BYTES))
    return "has little room on its stack";
  borrowed->frame = (sp - RED_ZONE_BYTES - frame_bytes) & ~(uint64_t)(FRAME_ALIGNMENT - 1);
  return NULL;
}

/* A sequence that must begin anew if it is interrupted, and would not notice that it was. */
static bool is_in_restartable_sequence(const struct borrowed *borrowed)
{
  struct __ptrace_rseq_configuration configuration = {0};
  struct {
    uint32_t version, flags;
    uint64_t start, bytes, abort;
  } sequence;
  uint64_t at = 0;
  if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, borrowed->thread, (void *)sizeof configuration, &configuration) <= 0 ||
      configuration.rseq_abi_pointer == 0 ||
      !memory_read(borrowed->memory, configuration.rseq_abi_pointer + 8, &at, sizeof at) || at == 0)
    return false;
  return !memory_read(borrowed->memory, at, &sequence, sizeof sequence) ||
         machine_pc(&borrowed->state.registers) - sequence.start < sequence.bytes;
}

/* Its system calls are signals to the program, unless they come from where it allows them. Linux says so since 6.4. */
static bool dispatches_its_calls(const struct borrowed *borrowed)
{
  enum { GET_CONFIGURATION = 0x4211, IS_ON = 1 }; /* names that headers have since 2023 */
  struct {
    uint64_t mode, selector, start, bytes;
  } configuration = {0};
  return ptrace((enum __ptrace_request)GET_CONFIGURATION, borrowed->thread, (void *)sizeof configuration,
                &configuration) == 0 &&
         configuration.mode == IS_ON;
}

static const char *look_at(struct borrowed *borrowed, struct places *places)
{
  if (!machine_get(borrowed->thread, &borrowed->state))
    return "can't be read";
  (void)machine_mend_interruption(&borrowed->state.registers);
  const char *why = machine_why_not(&borrowed->state);
  if (why == NULL && !machine_has_control_block(borrowed->memory, &borrowed->state.registers))
    why = "has a thread pointer that is not of the C library";
  if (why == NULL && dispatches_its_calls(borrowed))
    why = "handles its system calls itself, as Wine's do";
  why = why == NULL ? why_not_its_stack(borrowed) : why;
  if (why == NULL && is_in_restartable_sequence(borrowed))
    why = "was in a restartable sequence";
  return why == NULL ? places_why_not(places, borrowed->thread, machine_call(&borrowed->state.registers)) : why;
}

/* It says nothing about what the thread does. */
static const char too_slow[] = "did not stop in time";

static const char *try_thread(struct borrowed *borrowed, struct places *places, enum task_begins begins)
{
  tracing_end(0); /* what is to be released by now may be it */
  const char *why = task_why_not_for_now(borrowed->memory->pid, borrowed->thread, begins);
  if (why != NULL)
    return why;
  if (!tracing_seize(borrowed->thread))
    return errno == EBUSY ? too_slow : "can't be traced";
  uint64_t began = tracing_now_ns();
  if (!tracing_interrupt(borrowed->thread) || !tracing_wait_stopped(borrowed->thread, began + STOP_NS)) {
    tracing_release_later(borrowed->thread);
    return too_slow;
  }
  why = look_at(borrowed, places);
  borrowed->stood_ns = began;
  if (why != NULL)
    tracing_release(borrowed->thread);
  else
    tracing_end_watch(borrowed->thread);
  return why;
}

/* Not in step with what the thread does. */
static void pause_between(int round)
{
  unsigned us = 200 + (unsigned)(round * 7919 % 2000);
  tracing_pause(us * UINT64_C(1000));
}

/* It tells less than other reasons. */
static bool is_of_moment(const char *why)
{
  return why == too_slow || why == task_in_unknown_place || why == task_would_begin_anew;
}

/* True: one is held. */
static bool try_all(struct borrowed *borrowed, struct places *places, enum task_begins begins, struct reasons *reasons)
{
  g_autoptr(GArray) threads = task_threads(borrowed->memory->pid);
  reasons_begin_round(reasons);
  for (guint i = 0; i < threads->len; i++) {
    borrowed->thread = g_array_index(threads, pid_t, i);
    const char *why = try_thread(borrowed, places, begins);
    if (why == NULL)
      return true;
    reasons_note(reasons, borrowed->thread, why, is_of_moment(why));
  }
  return false;
}

/* A wait that begins anew is made longer by each attempt. */
static enum task_begins begins_in(struct borrowed *borrowed, int round)
{
  if (round % PATIENT_ROUNDS != PATIENT_ROUNDS - 1 || borrowed->rounds_anew == ROUNDS_ANEW)
    return TASK_GOES_ON;
  borrowed->rounds_anew++;
  return TASK_BEGINS_ANEW;
}

static bool try_until(struct borrowed *borrowed, struct places *places, uint64_t deadline_ns, struct reasons *reasons)
{
  borrowed->room = 0; /* one of an attempt before may be in use */
  for (int round = 0; tracing_now_ns() < deadline_ns && memory_refresh(borrowed->memory); round++) {
    if (try_all(borrowed, places, begins_in(borrowed, round), reasons))
      return true;
    if (moment_is_last_look(round + 1))
      break;
    pause_between(round);
  }
  return false;
}

bool borrowed_take(struct borrowed *borrowed, struct places *places, uint64_t deadline_ns, GError **error)
{
  struct reasons *reasons = reasons_new();
  bool is_taken = try_until(borrowed, places, deadline_ns, reasons);
  if (!is_taken) {
    g_autofree char *why = reasons_text(reasons);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                "process %d: none of its threads could be led away (%s); it is not sampled", borrowed->memory->pid,
                why);
  }
  reasons_free(reasons);
  return is_taken;
}

static bool await_call(struct borrowed *borrowed, const struct machine_call_request *request,
                       struct user_regs_struct *registers)
{
  uint64_t deadline_ns = moment_is_too_late() ? 0 : tracing_now_ns() + CALL_NS;
  do
    if (!tracing_go_on_to_call(borrowed->thread) || !tracing_wait_call(borrowed->thread, deadline_ns) ||
        ptrace(PTRACE_GETREGS, borrowed->thread, NULL, registers) != 0)
      return false;
  while (!machine_is_in_call(registers, request));
  return true;
}

static void forget(struct borrowed *borrowed)
{
  borrowed->thread = 0; /* its room stays, as it may be in use */
  borrowed->stood_ns = tracing_now_ns() - borrowed->stood_ns;
}

/* It comes to the end of whatever it does by itself, and back from there. Nobody else may set its registers: it
 * may have come back already, and gone on. */
static bool leave_it(struct borrowed *borrowed)
{
  if (tracing_interrupt(borrowed->thread) && tracing_wait_stopped(borrowed->thread, tracing_now_ns() + STOP_NS))
    tracing_release(borrowed->thread);
  else
    tracing_release_later(borrowed->thread);
  forget(borrowed);
  return false;
}

bool borrowed_call(struct borrowed *borrowed, long number, const uint64_t arguments[MACHINE_ARGUMENTS],
                   uint64_t *result)
{
  struct machine_call_request request = {.frame = borrowed->frame,
                                         .call_code = borrowed->call_code,
                                         .restore_code = borrowed->restore_code,
                                         .number = number};
  struct user_regs_struct registers;
  memcpy(request.arguments, arguments, sizeof request.arguments);
  if (borrowed->thread == 0)
    return false;
  moment_passes();
  if (!machine_write_frame(borrowed->memory, borrowed->frame, &borrowed->state))
    return leave_it(borrowed);
  moment_passes();
  if (!machine_begin_call(borrowed->thread, borrowed->memory, &borrowed->state, &request))
    return leave_it(borrowed);
  moment_passes();
  if (!await_call(borrowed, &request, &registers)) /* before it, and behind it */
    return leave_it(borrowed);
  moment_passes();
  if (!await_call(borrowed, &request, &registers))
    return leave_it(borrowed);
  moment_passes();
  *result = machine_result(&registers);
  return true;
}

static bool is_error(uint64_t result)
{
  enum { ERRORS = 4095 };
  return result > UINT64_MAX - ERRORS;
}

/* It was let go on in the middle of one, and comes to its end by itself. */
static bool lose(struct borrowed *borrowed, GError **error)
{
  return fail(error, borrowed, "it did not come to the end of a system call in time; nothing was changed");
}

/* The kernel writes a few bytes where the stack will be used up to: where that can't be, it is an error here, and not
 * the end of the process. */
static bool make_stack(struct borrowed *borrowed, GError **error)
{
  uint64_t result;
  if (!borrowed_call(borrowed, SYS_clock_getres,
                     (uint64_t[]){CLOCK_MONOTONIC, borrowed->frame - STACK_BYTES, 0, 0, 0, 0}, &result))
    return lose(borrowed, error);
  return !is_error(result) || fail(error, borrowed, "it has little room on its stack; it is as it was");
}

bool borrowed_map_room(struct borrowed *borrowed, GError **error)
{
  uint64_t room, result;
  if (!make_stack(borrowed, error))
    return false;
  if (!borrowed_call(borrowed, SYS_mmap,
                     (uint64_t[]){0, ROOM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                                  UINT64_MAX, 0},
                     &room))
    return lose(borrowed, error);
  if (is_error(room))
    return fail(error, borrowed, "it gets no memory; it is as it was");
  borrowed->room = room;
  if (!memory_write(borrowed->memory, room, machine_stub_code, (size_t)(machine_stub_end - machine_stub_code)))
    return fail(error, borrowed, "its memory can't be written; it is as it was");
  if (!borrowed_call(borrowed, SYS_mprotect, (uint64_t[]){room, ROOM_DATA_AT, PROT_READ | PROT_EXEC, 0, 0, 0}, &result))
    return lose(borrowed, error);
  return !is_error(result) || fail(error, borrowed, "it may not execute code in memory that it got; it is as it was");
}

static bool leave(struct borrowed *borrowed, GError **error)
{
  (void)leave_it(borrowed);
  return fail(error, borrowed,
              "it has ended meanwhile, or does not come to an end with opening the library; a thread that is still at "
              "that goes on with it");
}

static bool is_at_end(const struct borrowed *borrowed)
{
  uint64_t is = 0;
  uint64_t at = borrowed->room + ROOM_DATA_AT + offsetof(struct machine_stub, is_at_end);
  return memory_read(borrowed->memory, at, &is, sizeof is) && is != 0;
}

static bool get_mask(const struct borrowed *borrowed, uint64_t *mask)
{
  return ptrace(PTRACE_GETSIGMASK, borrowed->thread, (void *)sizeof *mask, mask) == 0;
}

/* From the room, which nobody else was in. A handler that it may still be in, and comes back to the room from, has more
 * signals blocked. */
static bool has_come_back(const struct borrowed *borrowed, const struct user_regs_struct *registers)
{
  uint64_t mask, blocked = machine_blocked(&borrowed->state);
  return machine_pc(registers) - borrowed->room >= ROOM_BYTES && (blocked & ~borrowed->state.mask) != 0 &&
         get_mask(borrowed, &mask) && mask == borrowed->state.mask;
}

/* It was late, and so were we: it has come back by itself, and was stopped anywhere. */
static bool let_it_be(struct borrowed *borrowed, const struct user_regs_struct *registers)
{
  borrowed->left = has_come_back(borrowed, registers) ? borrowed->room : 0;
  tracing_release(borrowed->thread);
  forget(borrowed);
  return true;
}

/* Until it stands at a system call, back from all handlers: where it stood when they came. */
static bool await_handlers(struct borrowed *borrowed, uint64_t sp, uint64_t deadline_ns)
{
  struct user_regs_struct registers;
  bool was_elsewhere = false;
  for (;;) {
    if (!tracing_go_on_to_call(borrowed->thread) || !tracing_wait_call(borrowed->thread, deadline_ns) ||
        ptrace(PTRACE_GETREGS, borrowed->thread, NULL, &registers) != 0)
      return false;
    if (machine_sp(&registers) == sp)
      break;
    was_elsewhere = true;
  }
  if (was_elsewhere)
    machine_note_handler(&borrowed->state, machine_would_restart(&registers));
  return true;
}

static bool set_mask(const struct borrowed *borrowed, uint64_t mask)
{
  return ptrace(PTRACE_SETSIGMASK, borrowed->thread, (void *)sizeof mask, &mask) == 0;
}

/* Its signals come, and are blocked again when it has handled them. */
static bool let_handle(struct borrowed *borrowed, uint64_t deadline_ns)
{
  struct user_regs_struct registers;
  uint64_t mask, blocked = machine_blocked(&borrowed->state);
  if (!tracing_interrupt(borrowed->thread) || !tracing_wait_stopped(borrowed->thread, deadline_ns) ||
      ptrace(PTRACE_GETREGS, borrowed->thread, NULL, &registers) != 0 || !get_mask(borrowed, &mask))
    return false;
  if (mask == blocked &&
      (!set_mask(borrowed, borrowed->state.mask) || !await_handlers(borrowed, machine_sp(&registers), deadline_ns) ||
       !set_mask(borrowed, blocked)))
    return false;
  return tracing_go_on(borrowed->thread);
}

/* Whoever has the lock that it waits for may wait for a handler of this thread: a collector that stops all threads has
 * stopped that one as well. Not before it has waited for a while: a handler that jumps away leaves what dlopen holds.
 */
static bool let_handle_if_held_up(struct borrowed *borrowed, uint64_t *since_ns, uint64_t deadline_ns)
{
  uint64_t now_ns = tracing_now_ns();
  if (!task_is_held_up(borrowed->memory->pid, borrowed->thread, borrowed->state.mask))
    *since_ns = now_ns;
  if (now_ns - *since_ns < HELD_UP_NS)
    return true;
  *since_ns = now_ns;
  return let_handle(borrowed, deadline_ns);
}

bool borrowed_run(struct borrowed *borrowed, GError **error)
{
  uint64_t held_up_since_ns = tracing_now_ns(), deadline_ns = held_up_since_ns + STUB_NS;
  struct user_regs_struct registers;
  moment_passes();
  if (!machine_write_frame(borrowed->memory, borrowed->frame, &borrowed->state) ||
      !machine_begin_stub(borrowed->thread, &borrowed->state, borrowed->room, borrowed->room + ROOM_DATA_AT,
                          borrowed->frame) ||
      !tracing_go_on(borrowed->thread))
    return leave(borrowed, error);
  moment_passes();
  while (!is_at_end(borrowed))
    if (tracing_now_ns() > deadline_ns || !tracing_let_run(borrowed->thread) ||
        !let_handle_if_held_up(borrowed, &held_up_since_ns, deadline_ns))
      return leave(borrowed, error);
  moment_passes();
  if (!tracing_interrupt(borrowed->thread) || !tracing_wait_stopped(borrowed->thread, deadline_ns) ||
      ptrace(PTRACE_GETREGS, borrowed->thread, NULL, &registers) != 0)
    return leave(borrowed, error);
  moment_passes();
  return machine_is_at_end(&registers, borrowed->room) || let_it_be(borrowed, &registers);
}

void borrowed_give_back(struct borrowed *borrowed)
{
  uint64_t result;
  if (borrowed->thread == 0)
    return;
  moment_passes();
  if (borrowed->room != 0 &&
      !borrowed_call(borrowed, SYS_munmap, (uint64_t[]){borrowed->room, ROOM_BYTES, 0, 0, 0, 0}, &result))
    return;
  moment_passes();
  if (!tracing_settle(borrowed->thread, tracing_now_ns() + CALL_NS)) {
    (void)leave_it(borrowed);
    return;
  }
  moment_passes();
  (void)machine_set(borrowed->thread, &borrowed->state);
  (void)ptrace(PTRACE_DETACH, borrowed->thread, NULL, NULL);
  moment_passes();
  borrowed->thread = 0;
  borrowed->room = 0;
  borrowed->stood_ns = tracing_now_ns() - borrowed->stood_ns;
}

void borrowed_take_for_room(struct borrowed *borrowed, struct places *places, uint64_t deadline_ns)
{
  uint64_t left = borrowed->left;
  borrowed->left = 0;
  if (left != 0 && borrowed_take(borrowed, places, deadline_ns, NULL))
    borrowed->room = left;
}

void borrowed_release(struct borrowed *borrowed)
{
  tracing_release(borrowed->thread);
  forget(borrowed);
}
