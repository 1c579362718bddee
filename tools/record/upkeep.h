/* SPDX-License-Identifier: MIT */
/* What keeps a recording small: of what is older than an hour a moment each minute stays, of what is older than a day
 * one every ten minutes, than a week one an hour; what is too old goes, and the oldest where the file is too large.
 *
 * Failure: false and *error; the file is whole.
 */
#ifndef HEAPPROF_UPKEEP_H
#define HEAPPROF_UPKEEP_H

#include "tools/record/store.h"

struct upkeep_time {
  int64_t real_ns, boot_ns; /* of the clock that can be set, and of the one that cannot */
};

struct upkeep {
  int64_t keep_ns;
  uint64_t size_bytes; /* of the file and what lies beside it */
  bool has_swept;      /* texts went: who holds some has to read them again */
  unsigned removed;    /* processes, since texts were swept last */
  int64_t looked_ns;   /* when ages were looked at last */
  bool has_begun;      /* the clocks were looked at */
  int64_t ahead_ns;    /* how far the one clock was ahead of the other */
  int64_t believed_ns; /* by the clock that cannot be set: ages count from then on */
};

/* Ages are looked at once a minute, the size each time. Where the clock was set forward, also before this began, all
 * seems old: that is believed when it has not been set back for an hour. */
bool upkeep_run(struct upkeep *upkeep, struct store *store, struct upkeep_time now, GError **error);

#endif
