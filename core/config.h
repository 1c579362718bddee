/* SPDX-License-Identifier: MIT */
/* The settings of this process, read once from the environment (config.def has the list).
 *
 * A value that is not accepted costs one line on standard error, which names it and what is accepted; the default is
 * used.
 *
 * Threads: written by config_load before sampling starts, constant after. Memory: the caller's. Signals, fork: reading
 * is safe everywhere.
 */
#ifndef HEAPPROF_CONFIG_H
#define HEAPPROF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  CONFIG_DEPTH_MAX = 512,
  CONFIG_PATH_MAX = 1025, /* includes the terminator, like the next */
  CONFIG_NAMES_MAX = 256,
  CONFIG_SIGNAL_NONE = 0,
};

#define CONFIG_SAMPLE_MAX (64ull << 30)

struct config {
  uint64_t sample_interval_bytes;
  char out_pattern[CONFIG_PATH_MAX];
  int signal; /* CONFIG_SIGNAL_NONE: no signal asks for a dump */
  bool dump_at_exit;
  bool dump_on_signal;
  bool keep_at_exit; /* leave the state file behind */
  unsigned depth;
  char only[CONFIG_NAMES_MAX];       /* empty: every program */
  char state_dir[CONFIG_PATH_MAX];   /* empty: look for one */
  char runtime_dir[CONFIG_PATH_MAX]; /* $XDG_RUNTIME_DIR, where to look first; empty: unset */
  uint64_t seed;
  bool seed_given;
  unsigned verbose;
  bool sees_mappings; /* mmap and its like */
  bool follow;        /* programs that this one executes are profiled too */
};

/* Defaults, then the environment. Calls getenv: not for hooks or handlers. */
void config_load(struct config *config);

/* Sets one value by the name of its variable, as config_load does; false when the value is not accepted. Pure. */
bool config_set(struct config *config, const char *variable, const char *value);

void config_set_defaults(struct config *config);

/* Is `program` selected by HEAPPROF_ONLY? */
bool config_selects(const struct config *config, const char *program);

#endif
