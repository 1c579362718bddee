/* SPDX-License-Identifier: MIT */
/* The peak of in-use bytes, and what every stack held then: exact, at the cost of a few instructions a sample.
 *
 * The region's header has the total of all stacks and the highest value that it ever had. Whoever changes the tallies
 * of a stack first keeps what the stack holds, stamped with the peak in force, unless that was done since the peak
 * moved. So the value of a stack at the peak is what was kept under its stamp, and without that it is what the stack
 * holds now.
 *
 * One thread: exact; the bytes of all stacks at the peak add up to the peak. Several: a sample that is between its
 * first step (peak_keep) and its last (the total) when the peak moves may be in the value of its stack or not; there is
 * at most one such sample in each thread and in each handler that interrupted it. The peak itself is the highest total,
 * always: a thread that finds a total above the peak moves the peak for the one that was held up before it could.
 * Nothing gets negative.
 *
 * A thread that stands still while it writes one slot of a stack holds that slot alone; the next peak goes to the
 * other. If the other is held too, the older is taken over, and may end as a mixture of two peaks. A writer that was
 * left by siglongjmp, or killed, leaves its slot unfinished: for that stack and this one peak, readers take what it
 * holds now.
 *
 * Threads, signals: lock-free, never waits. Fork: an adopted region starts with a peak of 0 and counts what it
 * inherits.
 */
#ifndef HEAPPROF_PEAK_H
#define HEAPPROF_PEAK_H

#include "core/compiler.h"
#include "core/tally.h"

/* Before each change of a stack's tallies. */
SAMPLED void peak_keep(struct stack_record *stack);

/* After it. */
SAMPLED void peak_count_allocation(uint64_t bytes_q4);
SAMPLED void peak_count_free(uint64_t bytes_q4);

/* The highest that the bytes in use have been so far, as estimated. */
uint64_t peak_bytes(void);

/* What a stack held when the total reached `peak_bytes_q4`, the header's. `samples` is 0: they are not kept. */
struct tally_sums peak_read(const struct stack_record *stack, uint64_t peak_bytes_q4);

#endif
