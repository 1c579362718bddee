/* SPDX-License-Identifier: MIT */
/* What the live table tells of a sampled object. */
#ifndef HEAPPROF_LIVE_ENTRY_H
#define HEAPPROF_LIVE_ENTRY_H

#include "core/live/live_node.h"

#include <stddef.h>
#include <stdint.h>

struct live_entry {
  uint32_t stack;
  uint8_t halves; /* that the sample is in (core/tally.h) */
  size_t size_bytes;
};

typedef void live_visitor(struct live_entry entry);

static inline struct live_entry live_entry_of(const struct live_node *node)
{
  return (struct live_entry){
      .stack = node->stack, .halves = (uint8_t)live_node_halves(node), .size_bytes = live_node_size_bytes(node)};
}

/* Fills a node that nobody else knows yet. `hash`: by which it is known to be of its pointer. */
static inline void live_entry_to(struct live_node *node, uint64_t hash, struct live_entry entry)
{
  live_node_set(node, hash, entry.size_bytes, entry.halves);
  node->stack = entry.stack;
}

#endif
