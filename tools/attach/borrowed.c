/* SPDX-License-Identifier: MIT */
#include "tools/attach/borrowed.h"

#include "tools/attach/moments.h"
#include "tools/attach/tracing.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

enum {
  RED_ZONE_BYTES = 128,
  FRAME_ALIGNMENT = 64,
  LEAST_STACK_BYTES = 24 << 10, /* that must be there below the thread's */
  ROUNDS = 400,
  MAIN_ROUNDS = 100, /* in which only the first thread is tried: it alone knows where its stack ends */
};

#define NS_PER_MS UINT64_C(1000000)
#define STOP_NS (50 * NS_PER_MS)
#define CALL_NS (2000 * NS_PER_MS)
#define STUB_NS (10000 * NS_PER_MS)

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
  if (strcmp(mapping->path, "[stack]") != 0 && !is_stack_of_thread(borrowed, mapping, sp))
    return "was on a stack that is not its own";
  borrowed->frame = (sp - RED_ZONE_BYTES - MACHINE_FRAME_BYTES) & ~(uint64_t)(FRAME_ALIGNMENT - 1);
  return sp - mapping->start >= LEAST_STACK_BYTES ? NULL : "has little room on its stack";
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

static const char *look_at(struct borrowed *borrowed, struct places *places)
{
  if (!memory_refresh(borrowed->memory) || !machine_get(borrowed->thread, &borrowed->state))
    return "can't be read";
  (void)machine_mend_interruption(&borrowed->state.registers);
  const char *why = machine_why_not(&borrowed->state);
  why = why == NULL ? why_not_its_stack(borrowed) : why;
  if (why == NULL && is_in_restartable_sequence(borrowed))
    why = "was in a restartable sequence";
  return why == NULL ? places_why_not(places, borrowed->thread, machine_call(&borrowed->state.registers)) : why;
}

static const char *try_thread(struct borrowed *borrowed, struct places *places)
{
  if (!tracing_seize(borrowed->thread))
    return "can't be traced";
  uint64_t began = tracing_now_ns();
  if (!tracing_interrupt(borrowed->thread) || !tracing_wait_stopped(borrowed->thread, began + STOP_NS)) {
    tracing_release_later(borrowed->thread);
    return "did not stop";
  }
  const char *why = look_at(borrowed, places);
  borrowed->stood_ns = began;
  if (why != NULL)
    tracing_release(borrowed->thread);
  return why;
}

static GArray *threads_of(int pid)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/task", pid);
  GArray *threads = g_array_new(FALSE, FALSE, sizeof(pid_t));
  GDir *folder = g_dir_open(path, 0, NULL);
  const char *name;
  while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
    pid_t thread = atoi(name);
    g_array_append_val(threads, thread);
  }
  if (folder != NULL)
    g_dir_close(folder);
  return threads;
}

/* Not in step with what the thread does. */
static void pause_between(int round)
{
  unsigned us = 200 + (unsigned)(round * 7919 % 2000);
  (void)nanosleep(&(struct timespec){0, us * 1000L}, NULL);
}

bool borrowed_take(struct borrowed *borrowed, struct places *places, GError **error)
{
  g_autofree char *last = NULL;
  for (int round = 0; round < ROUNDS; round++) {
    g_autoptr(GArray) threads = threads_of(borrowed->memory->pid);
    for (guint i = 0; i < threads->len; i++) {
      borrowed->thread = g_array_index(threads, pid_t, i);
      if (round < MAIN_ROUNDS && borrowed->thread != borrowed->memory->pid)
        continue;
      const char *why = try_thread(borrowed, places);
      if (why == NULL)
        return true;
      g_free(last);
      last = g_strdup(why);
    }
    pause_between(round);
  }
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
              "process %d: none of its threads could be led away in %d attempts, the last %s; it is as it was",
              borrowed->memory->pid, ROUNDS, last != NULL ? last : "was gone");
  return false;
}

static bool await_call(struct borrowed *borrowed, const struct machine_call_request *request,
                       struct user_regs_struct *registers)
{
  uint64_t deadline_ns = tracing_now_ns() + CALL_NS;
  do
    if (!tracing_go_to_call(borrowed->thread, deadline_ns) ||
        ptrace(PTRACE_GETREGS, borrowed->thread, NULL, registers) != 0)
      return false;
  while (!machine_is_in_call(registers, request));
  return true;
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
  moment_passes();
  if (!machine_write_frame(borrowed->memory, borrowed->frame, &borrowed->state))
    return false;
  moment_passes();
  if (!machine_begin_call(borrowed->thread, borrowed->memory, &borrowed->state, &request))
    return false;
  moment_passes();
  if (!await_call(borrowed, &request, &registers))
    return false;
  moment_passes();
  if (!await_call(borrowed, &request, &registers))
    return false;
  moment_passes();
  *result = machine_result(&registers);
  return true;
}

static bool is_error(uint64_t result)
{
  enum { ERRORS = 4095 };
  return result > UINT64_MAX - ERRORS;
}

bool borrowed_map_room(struct borrowed *borrowed, GError **error)
{
  uint64_t room, result;
  if (!borrowed_call(borrowed, SYS_mmap,
                     (uint64_t[]){0, ROOM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                                  UINT64_MAX, 0},
                     &room) ||
      is_error(room))
    return fail(error, borrowed, "it gets no memory; it is as it was");
  borrowed->room = room;
  if (!memory_write(borrowed->memory, room, machine_stub_code, (size_t)(machine_stub_end - machine_stub_code)) ||
      !borrowed_call(borrowed, SYS_mprotect, (uint64_t[]){room, ROOM_DATA_AT, PROT_READ | PROT_EXEC, 0, 0, 0}, &result))
    return fail(error, borrowed, "its memory can't be written");
  return !is_error(result) || fail(error, borrowed, "it may not execute code in memory that it got; it is as it was");
}

/* The stub may wait for a lock of the loader. It will come to its end without us. */
static bool leave(struct borrowed *borrowed, GError **error)
{
  uint64_t deadline_ns = tracing_now_ns() + CALL_NS;
  if (tracing_interrupt(borrowed->thread) && tracing_wait_stopped(borrowed->thread, deadline_ns))
    tracing_release(borrowed->thread);
  else
    tracing_release_later(borrowed->thread);
  borrowed->thread = 0;
  return fail(error, borrowed,
              "it has ended meanwhile, or opens libraries and does not come to an end with that; nothing was changed");
}

bool borrowed_run(struct borrowed *borrowed, borrowed_moment *at_moment, void *context, GError **error)
{
  uint64_t code = borrowed->room, data = borrowed->room + ROOM_DATA_AT;
  uint64_t frame = borrowed->room + ROOM_BYTES - MACHINE_FRAME_BYTES, deadline_ns = tracing_now_ns() + STUB_NS;
  bool had_moment = false;
  moment_passes();
  if (!machine_write_frame(borrowed->memory, frame, &borrowed->state) ||
      !machine_begin_stub(borrowed->thread, &borrowed->state, code, data, frame))
    return leave(borrowed, error);
  moment_passes();
  for (;;) {
    struct user_regs_struct registers;
    if (!tracing_go_to_call(borrowed->thread, deadline_ns) ||
        ptrace(PTRACE_GETREGS, borrowed->thread, NULL, &registers) != 0)
      return leave(borrowed, error);
    if (machine_is_at_moment(&registers, code) && !had_moment) {
      had_moment = true;
      moment_passes();
      at_moment(context);
      moment_passes();
    }
    if (machine_is_at_end(&registers, code))
      return machine_skip_call(borrowed->thread);
  }
}

void borrowed_give_back(struct borrowed *borrowed)
{
  uint64_t result;
  if (borrowed->thread == 0)
    return;
  moment_passes();
  if (borrowed->room != 0)
    (void)borrowed_call(borrowed, SYS_munmap, (uint64_t[]){borrowed->room, ROOM_BYTES, 0, 0, 0, 0}, &result);
  moment_passes();
  if (tracing_settle(borrowed->thread, tracing_now_ns() + CALL_NS)) {
    moment_passes();
    (void)machine_set(borrowed->thread, &borrowed->state);
    tracing_release(borrowed->thread);
  } else {
    tracing_release_later(borrowed->thread);
  }
  moment_passes();
  borrowed->stood_ns = tracing_now_ns() - borrowed->stood_ns;
}
