/* SPDX-License-Identifier: MIT */
/* The function that a caller would have reached without us, where a look-up behind us finds none: the caller's object
 * may see libraries that ours does not, as a plug-in does that was opened with RTLD_LOCAL. It is looked for in the
 * caller's object, in what that was linked with, in all others.
 *
 * Threads: the loader's lock for its list is held while that is read, nothing of ours. Memory: none. Failure: NULL.
 */
#ifndef HEAPPROF_PROVIDER_H
#define HEAPPROF_PROVIDER_H

#include "core/compiler.h"

#include <stdint.h>

HIDDEN void *provider_find(uintptr_t caller, const char *symbol);

#endif
