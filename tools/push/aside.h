/* SPDX-License-Identifier: MIT */
/* What a server does not take, while it may take the rest: one profile that it stumbles over must not hold up all.
 *
 * A profile that failed alone is passed over, and so are others of its process, until one of that process is taken. The
 * entry of the queue that they are in waits apart; now and then one such entry is due, and its first profile is tried.
 * One that fails where all else goes well is given up after an hour.
 *
 * Memory: names are copied; those that are returned are the aside's, until the next call. Failure: none.
 */
#ifndef HEAPPROF_ASIDE_H
#define HEAPPROF_ASIDE_H

#include "tools/push/patience.h"

#include <glib.h>
#include <stdbool.h>

enum { ASIDE_SECONDS_MAX = 3600, ASIDE_TRIES_MIN = 3 };

struct aside {
  GHashTable *pids;         /* of processes whose profiles are passed over */
  GHashTable *entries;      /* name -> struct held */
  struct patience patience; /* when the next of those is due */
};

void aside_init(struct aside *aside);
void aside_clear(struct aside *aside);

/* A profile of this process was taken, or failed alone, perhaps over what is in it. */
void aside_take(struct aside *aside, int pid);
void aside_fail(struct aside *aside, int pid);
bool aside_has_process(const struct aside *aside, int pid);

/* Something was passed over in this entry. */
void aside_hold(struct aside *aside, const char *entry, gint64 now_us);
bool aside_has(const struct aside *aside, const char *entry);
guint aside_count(const struct aside *aside);

/* Of one that is held: it is done. */
void aside_forget(struct aside *aside, const char *entry);

/* Of one that was due: its first profile was taken, so others may be; or it failed. `is_well`: the request before was
 * not in vain. True: it has failed so often, and for so long, that it is to be given up. */
void aside_succeed(struct aside *aside);
bool aside_fail_again(struct aside *aside, const char *entry, bool is_well, gint64 now_us);

/* One that is to be tried now, each in turn; NULL: none. */
const char *aside_due(const struct aside *aside, gint64 now_us);

#endif
