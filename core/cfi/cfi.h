/* SPDX-License-Identifier: MIT */
/* The frame-rule compiler: libunwind, used as a pure function from a pc to a rule.
 *
 * One unw_step() runs on synthetic registers. The memory accessor lets libunwind read the module's own bytes (its
 * .eh_frame) and answers every read of the synthetic stack with a tag, so the registers that come out spell where the
 * CFA, the saved bp and the return address are. No application memory is read, no loader lock is taken, libunwind's own
 * memory validation (a pipe on the lowest free descriptors, hazard U1) never runs.
 *
 * Threads: one compilation at a time, under modules_lock; a thread that finds it busy for too long goes on without the
 * rule. Signals: blocked meanwhile, so that neither the lock nor libunwind's own mutex can be left held or met by a
 * handler. Stack: a private one. Memory: libunwind's fixed pools. Fork: the fork handlers hold modules_lock; a child
 * that was forked without them while libunwind was at work may have inherited its mutex taken, and follows frame
 * pointers only. errno is kept.
 */
#ifndef HEAPPROF_CFI_CFI_H
#define HEAPPROF_CFI_CFI_H

#include "core/rules.h"

enum cfi_state {
  CFI_READY,
  CFI_NO_LIBRARY,     /* libunwind is not installed */
  CFI_NO_FIND_OBJECT, /* glibc before 2.35 */
  CFI_NO_MEMORY,
  CFI_NO_DESCRIPTOR, /* no descriptor was free, so libunwind's pipe could not be told from the program's own */
  CFI_ABANDONED,     /* in a child that was forked while another thread was compiling */
};

/* Loads libunwind (RTLD_LOCAL: its _Unwind_* must not shadow libgcc's) and closes the pipe its start-up leaves open.
 * From the constructor only: dlopen may not run in a hook. Without the library every rule is RULE_FRAME_POINTER. */
enum cfi_state cfi_init(void);
enum cfi_state cfi_state(void);

/* Compiles the rule for `pc`, which lies inside the calling instruction, and puts it into the cache. RULE_ABSENT:
 * another thread is compiling, so the rule is not known. */
packed_rule cfi_compile(uintptr_t pc);

#endif
