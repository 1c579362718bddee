/* SPDX-License-Identifier: MIT */
/* What the environment tells the library in the program that `heapprof run` starts.
 *
 * Memory: new strings for the child, freed with it.
 */
#ifndef HEAPPROF_RUN_ENVIRONMENT_H
#define HEAPPROF_RUN_ENVIRONMENT_H

#include <stdbool.h>

struct run_environment {
  const char *preload;         /* value of LD_PRELOAD */
  const char *pattern;         /* of the names of profiles, absolute */
  const char *folder;          /* of state files; NULL: programs write their profiles themselves */
  const char *sample, *signal; /* NULL: as it was */
  bool follows;
};

/* Our own environment with that in it. To be freed. */
char **run_environment_make(const struct run_environment *settings);

/* The same number of bytes as the library reads it, which knows no fractions: 1572864 for "1.5M". A new text; what is
 * not accepted stays as it is. */
char *run_environment_interval(const char *text);

/* Says which variables called HEAPPROF_ the library does not know: they were misspelt. */
void run_environment_tell_unknown(void);

/* Is this a value that the library takes for its variable? */
bool run_environment_accepts(const char *variable, const char *value);

/* What it takes, for messages. */
const char *run_environment_accepted(const char *variable);

#endif
