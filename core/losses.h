/* SPDX-License-Identifier: MIT */
/* The reasons for which samples and frames are lost. Counted in the region, shown in every profile. */
#ifndef HEAPPROF_LOSSES_H
#define HEAPPROF_LOSSES_H

enum loss {
#define HEAPPROF_LOSS(identifier, key, what) LOSS_##identifier,
#include "core/losses.def"
#undef HEAPPROF_LOSS
  LOSS_COUNT,
};

#endif
