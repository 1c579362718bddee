/* SPDX-License-Identifier: MIT */
/* What of a borrowed thread differs from machine to machine: its registers, how it comes back from a signal, and the
 * stub that it runs.
 *
 * A thread is led astray as by a signal: whatever it is made to do ends in the system call that restores, from a frame
 * in its memory, all registers and the signal mask. So it comes back also if nobody is there any more who could see to
 * it.
 *
 * Failure: false.
 */
#ifndef HEAPPROF_ATTACH_MACHINE_H
#define HEAPPROF_ATTACH_MACHINE_H

#include "tools/attach/memory.h"

#include <sys/types.h>
#include <sys/user.h>

enum {
  MACHINE_FRAME_BYTES = 16 << 10, /* at most */
  MACHINE_STATE_BYTES = 12 << 10,
  MACHINE_ARGUMENTS = 6,
  MACHINE_SP_OF_FRAME = 7, /* the stack pointer in tables for unwinding */
};

/* Everything of a thread that stands still. */
struct machine_state {
  struct user_regs_struct registers;
  size_t wide_bytes; /* floating point and vectors */
  _Alignas(64) uint8_t wide[MACHINE_STATE_BYTES];
  uint64_t mask; /* of signals */
};

bool machine_get(pid_t thread, struct machine_state *state);
/* The mask first: from then on the rest may be restored by the frame as well. */
bool machine_set(pid_t thread, const struct machine_state *state);

/* Why the thread can't be led away now; NULL: it can. */
const char *machine_why_not(const struct machine_state *state);

/* Makes a system call that was only interrupted because we came begin anew, where the kernel would not do so by itself;
 * true: the registers have changed. */
bool machine_mend_interruption(struct user_regs_struct *registers);

/* Handlers have run meanwhile, of signals for which calls begin anew by SA_RESTART, or do not: the call that the thread
 * was in ends as it would have done. `registers` are those of a thread that is just back from the first of them. */
void machine_note_handler(struct machine_state *state, bool restarts);
bool machine_would_restart(const struct user_regs_struct *registers);

uint64_t machine_pc(const struct user_regs_struct *registers);

uint64_t machine_sp(const struct user_regs_struct *registers);

uint64_t machine_thread_pointer(const struct user_regs_struct *registers);

/* Does the thread pointer lead to what libc has put there? */
bool machine_has_control_block(const struct memory *memory, const struct user_regs_struct *registers);

/* The system call that the thread is in; -1: none. */
long machine_call(const struct user_regs_struct *registers);

/* How much of the frame is used. */
size_t machine_frame_bytes(const struct machine_state *state);

/* What the kernel will take the state from; `address` is a multiple of 64, and MACHINE_FRAME_BYTES are there. */
bool machine_write_frame(const struct memory *memory, uint64_t address, const struct machine_state *state);

/* Code of the target's libc: a system call and a return; the call that restores. */
extern const uint8_t machine_call_code[3], machine_restore_code[9];

/* Leads the thread to a system call, which returns to the frame. Writes a word below that. From then on signals are
 * blocked (but those of faults: blocked, these would end the process; and the one by which glibc changes user IDs),
 * until the frame, or machine_set, brings the mask back: in this order, so that at no time a thread could be left with
 * all signals blocked. */
uint64_t machine_blocked(const struct machine_state *state);

struct machine_call_request {
  uint64_t frame, call_code, restore_code;
  long number;
  uint64_t arguments[MACHINE_ARGUMENTS];
};

bool machine_begin_call(pid_t thread, const struct memory *memory, const struct machine_state *state,
                        const struct machine_call_request *request);
/* Does the thread stand in that call, before or behind it? */
bool machine_is_in_call(const struct user_regs_struct *registers, const struct machine_call_request *request);
uint64_t machine_result(const struct user_regs_struct *registers);

/* The stub: takes the loader's lock, if there is one and nobody has it; goes on if nobody has the lock of walks;
 * calls dlopen if there is no function yet, then the function (core/attachment.h); gives the lock back; says that
 * it is at the end, and waits for a while to be taken back from there. It keeps errno. Signals are blocked by the
 * call that was made before. */
struct machine_stub {
  uint64_t errno_location, dlopen, dlsym, dlerror;
  uint64_t path, flags, name; /* of the library, and of its function */
  uint64_t function, attachment;
  uint64_t handle, error;         /* out: 0, and what dlerror said */
  uint64_t lock, trylock, unlock; /* `lock` may be 0 */
  uint64_t walks;
  uint64_t is_at_end; /* out */
  uint64_t limit[2];
};

extern const uint8_t machine_stub_code[], machine_stub_end[];

/* The code lies at `code`, the structure at `data`; the frame is the end of its stack. */
bool machine_begin_stub(pid_t thread, const struct machine_state *state, uint64_t code, uint64_t data, uint64_t frame);
/* Does it wait at the end? If not, it is on its way back, or there. */
bool machine_is_at_end(const struct user_regs_struct *registers, uint64_t code);

#endif
