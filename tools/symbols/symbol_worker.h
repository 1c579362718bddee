/* SPDX-License-Identifier: MIT */
/* Looks up places of one file in a process of its own: libdw reads what anybody may have written, and when that ends
 * it, goes on for ever or takes all memory, the rest of the profile is unharmed. What it answers is checked like any
 * input.
 *
 * Threads: forks, so from a process with one thread.
 */
#ifndef HEAPPROF_SYMBOL_WORKER_H
#define HEAPPROF_SYMBOL_WORKER_H

#include "tools/symbols/object_symbols.h"

struct symbol_reply {
  struct symbol_set *set; /* never NULL */
  bool has_debug, is_trusted;
  bool is_late;  /* it was ended when source.until_us had come */
  char *problem; /* why something is missing; NULL: nothing to say */
};

/* `progress` is called in this process. */
void symbol_worker_run(const struct object_source *source, bool may_download, const uint64_t *offsets, uint32_t count,
                       object_symbols_progress progress, void *context, struct symbol_reply *reply);
void symbol_reply_clear(struct symbol_reply *reply);

#endif
