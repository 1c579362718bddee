/* SPDX-License-Identifier: MIT */
/* The peak of in-use bytes, and what every stack held then (docs/sampling.md, 9): at the cost of a few instructions a
 * sample.
 *
 * The highest of many noisy totals is too high, so the total that chooses the moment is not the one that is read there.
 * Samples are in two halves, independent of each other (sampler_choose_halves). Each half has its own moment, when what
 * it stands for was most; what the other half stood for then is the peak as that one sees it, and the mean of both is
 * the peak. Each half's sums are kept halved, so that what the stacks held at the two moments just adds up. With an
 * interval of 1 nothing is noisy, and all samples choose the moment at which they are read.
 *
 * A moment lasts until the next sample is freed: what is allocated in between belongs to it. The last sample of a half
 * is some way below the top.
 *
 * What is allocated for a moment only can be all that lifts a half over what it stood for before, so that it misses the
 * growth after that. So where both halves are next to their highest values now, and what is in use is more than what
 * was read, the peak is now.
 *
 * Whoever changes a half of a stack first keeps what it holds, stamped with the other half's peak, if that peak is over
 * and this was not done since. So what a stack held is what was kept under the stamp, and without that what it holds
 * now.
 *
 * One thread: the bytes of all stacks add up to those totals exactly. Several: a sample that is between its first step
 * and its last when the peak moves may be in the value of its stack or not; there is at most one such sample in each
 * thread and in each handler that interrupted it. A thread that finds a total above the peak moves the peak for the one
 * that was held up before it could. Nothing gets negative.
 *
 * A thread that stands still while it writes one slot of a stack holds that slot alone; the next peak goes to the
 * other. If the other is held too, the older is taken over, and may end as a mixture of two peaks. A writer that was
 * left by siglongjmp, or killed, leaves its slot unfinished: for that stack and this one peak, readers take what it
 * holds now.
 *
 * With an interval of 1, threads that meet (core/lanes/lanes.h) leave the total alone below the peak. A handler that
 * leaves by siglongjmp while its thread gives back what it had to spare, one of many frees, makes the total up to 16
 * KiB too low; else it is off by one sample, as without that.
 *
 * Threads, signals: lock-free, never waits. Fork: an adopted region starts with a peak of 0 and counts what it
 * inherits.
 */
#ifndef HEAPPROF_PEAK_H
#define HEAPPROF_PEAK_H

#include "core/compiler.h"
#include "core/tally.h"

#include <stdbool.h>

/* Before each change of a stack's tallies, and after it. */
SAMPLED void peak_keep_before_allocation(struct stack_record *stack, struct sample_weight weight);
SAMPLED void peak_keep_before_free(struct stack_record *stack, struct sample_weight weight);
SAMPLED void peak_count_allocation(struct stack_record *stack, struct sample_weight weight);
SAMPLED void peak_count_free(struct stack_record *stack, struct sample_weight weight);

/* The moments that are in force. */
struct peak_moments {
  uint64_t peaks[HALVES]; /* what each half stood for then */
  bool is_whole;          /* samples are not halved: there is one moment */
  bool is_near;           /* both halves are next to those values now */
};

struct peak_moments peak_moments(const struct region_header *header);

/* Is the peak now, as it must be read by what all stacks have in use? Of them all, `in_use` and what peak_read says. */
static inline bool peak_is_now(const struct peak_moments *moments, double in_use, double at_peak)
{
  return moments->is_near && in_use > at_peak;
}

/* What a stack held at the peak; if it has not changed since, that is what it has in use, to the last bit. `samples` is
 * 0: they are not kept. */
struct tally_sums peak_read(const struct stack_record *stack, const struct peak_moments *moments);

/* Its bytes alone, where there is little stack. */
uint64_t peak_read_bytes_q4(const struct stack_record *stack, const struct peak_moments *moments);

/* One half alone: now, and at the moment that the other one chose. With one moment: the whole. */
void peak_read_half(const struct stack_record *stack, unsigned half, const struct peak_moments *moments,
                    struct tally_sums *now, struct tally_sums *then);

/* A peak of its own for whoever measures a part of an exact run (interval 1): the highest total since the mark, the one
 * at that moment included. One at a time. */
void peak_set_mark(void);
uint64_t peak_since_mark_bytes(void);

#endif
