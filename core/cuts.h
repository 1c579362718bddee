/* SPDX-License-Identifier: MIT */
/* Why a stack was cut: kept in its flags, told by each sample's label and, as numbers of samples, among the losses.
 *
 * Threads, signals: pure functions.
 */
#ifndef HEAPPROF_CUTS_H
#define HEAPPROF_CUTS_H

#include "core/losses.h"
#include "core/region_format.h"

#define CUT_LABEL "truncated"

enum cut {
  CUT_unknown, /* by a library that kept no reasons */
#define HEAPPROF_CUT(identifier, label) CUT_##identifier,
#include "core/cuts.def"
#undef HEAPPROF_CUT
  CUT_COUNT,
};

_Static_assert(CUT_COUNT <= STACK_CUT_MASK >> STACK_CUT_SHIFT, "reasons fit the flags");

/* The flags of a stack that was cut for this reason. */
static inline uint32_t cut_flags(enum cut cut)
{
  return STACK_TRUNCATED | (uint32_t)cut << STACK_CUT_SHIFT;
}

/* Of a stack with STACK_TRUNCATED, whoever wrote it. */
static inline enum cut cut_of(uint32_t flags)
{
  uint32_t cut = (flags & STACK_CUT_MASK) >> STACK_CUT_SHIFT;
  return cut < CUT_COUNT ? (enum cut)cut : CUT_unknown;
}

static inline const char *cut_label(enum cut cut)
{
  static const char *const labels[] = {
      "unknown",
#define HEAPPROF_CUT(identifier, label) label,
#include "core/cuts.def"
#undef HEAPPROF_CUT
  };
  return labels[cut];
}

/* What counts the samples of such stacks, beside LOSS_truncated; that for none: LOSS_COUNT. */
static inline enum loss cut_loss(enum cut cut)
{
  switch (cut) {
  case CUT_no_cfi: return LOSS_truncated_no_cfi;
  case CUT_depth: return LOSS_truncated_depth;
  case CUT_unreadable: return LOSS_truncated_unreadable;
  case CUT_foreign_stack: return LOSS_truncated_foreign_stack;
  case CUT_no_memory: /* short_stack, stack_table */
  case CUT_unknown:
  case CUT_COUNT: break;
  }
  return LOSS_COUNT;
}

#endif
