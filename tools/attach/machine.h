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

uint64_t machine_pc(const struct user_regs_struct *registers);

uint64_t machine_sp(const struct user_regs_struct *registers);

uint64_t machine_thread_pointer(const struct user_regs_struct *registers);

/* The system call that the thread is in; -1: none. */
long machine_call(const struct user_regs_struct *registers);

/* What the kernel will take the state from; `address` is a multiple of 64, and MACHINE_FRAME_BYTES are there. */
bool machine_write_frame(const struct memory *memory, uint64_t address, const struct machine_state *state);

/* Code of the target's libc: a system call and a return; the call that restores. */
extern const uint8_t machine_call_code[3], machine_restore_code[9];

/* Leads the thread to a system call, which returns to the frame. Writes a word below that. */
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

/* The stub: calls dlopen if there is no function yet, then the function twice (core/attachment.h), and between them a
 * system call, the moment. It blocks signals, and keeps errno. */
struct machine_stub {
  uint64_t mask;
  uint64_t errno_location, dlopen, dlsym, dlerror;
  uint64_t path, flags, name; /* of the library, and of its function */
  uint64_t function, attachment;
  uint64_t handle, error; /* out: 0, and what dlerror said */
};

extern const uint8_t machine_stub_code[], machine_stub_end[];

/* All but those of faults: blocked, these would end the process. */
uint64_t machine_stub_mask(void);

/* The code lies at `code`, the structure at `data`; the frame is the end of its stack. */
bool machine_begin_stub(pid_t thread, const struct machine_state *state, uint64_t code, uint64_t data, uint64_t frame);
bool machine_is_at_moment(const struct user_regs_struct *registers, uint64_t code);
bool machine_is_at_end(const struct user_regs_struct *registers, uint64_t code);

/* The thread stands before a system call: it is not made. */
bool machine_skip_call(pid_t thread);

#endif
