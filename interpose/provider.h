/* SPDX-License-Identifier: MIT */
/* What a caller would have reached without us, where a look-up behind us finds nothing: the caller's object may see
 * libraries that ours does not, as a plug-in does that was opened with RTLD_LOCAL. It is looked for in the caller's
 * object, in what that was linked with, in all others.
 *
 * Threads: the loader's lock for its list is held while that is read, nothing of ours. Memory: none. Failure: NULL.
 */
#ifndef HEAPPROF_PROVIDER_H
#define HEAPPROF_PROVIDER_H

#include "interpose/object.h"

#include <stdint.h>

/* How near to the caller an object is. */
enum provider_rank { PROVIDER_NONE, PROVIDER_ANY, PROVIDER_NEEDED, PROVIDER_OWN };

struct provider_search {
  uintptr_t caller;
  struct object callers;   /* empty: it is in none */
  enum provider_rank rank; /* of the best so far; the searching visitor keeps it */
};

HIDDEN void provider_begin(struct provider_search *search, uintptr_t caller);
HIDDEN enum provider_rank provider_rank(const struct provider_search *search, const struct object *object);

/* The function of that name. */
HIDDEN void *provider_find(uintptr_t caller, const char *symbol);

#endif
