/* SPDX-License-Identifier: MIT */
/* Limits that a person sets for a machine to check: "peak>100M", "growth>5%". One is broken by what is above it and
 * would not be there by chance: a command that checks limits fails wrongly at most once in 10,000 times, whatever the
 * number of its limits (docs/sampling.md, "Limits"). What is exact needs no such room.
 *
 * Memory: limits refer to the texts that they were read from.
 */
#ifndef HEAPPROF_LIMIT_H
#define HEAPPROF_LIMIT_H

#include <glib.h>
#include <stdbool.h>

/* What there may be a limit of. */
struct limit_kind {
  const char *name; /* NULL: the end of a list */
  bool is_of_bytes; /* else a plain number */
  bool takes_percentages;
};

struct limit {
  const char *text; /* as it was given */
  unsigned kind;    /* its position in the list */
  bool is_percentage;
  double bound;
};

/* struct limit, for all of `texts`, which ends with NULL. NULL after a message that says what is `accepted`. */
GArray *limits_read(const char *const *texts, const struct limit_kind *kinds, const char *accepted);

/* Is an estimate that far above its limit by more than chance, if so many are judged at once? */
bool limit_is_broken(double excess, double variance, unsigned judged);

/* What came of a limit. */
enum limit_verdict { LIMIT_HOLDS, LIMIT_BROKEN, LIMIT_UNKNOWN };

struct limit_outcome {
  const struct limit *limit;
  enum limit_verdict verdict;
  GPtrArray *lines; /* char *: by how much it is broken, or why it is not known */
};

/* struct limit_outcome: all hold. */
GArray *limits_outcomes_new(const GArray *limits);
/* One of `limits`. What is broken stays so. */
void limits_note(GArray *outcomes, const struct limit *limit, enum limit_verdict verdict, const char *line);
/* All that are not broken. */
void limits_note_unknown(GArray *outcomes, const char *why);
/* Says what does not hold. */
void limits_tell(const GArray *outcomes);
/* Broken, if one is; else unknown, if one is. */
enum limit_verdict limits_verdict(const GArray *outcomes);

/* Two profiles, of independent samples or of one process. */
struct growth {
  double old_total, new_total;
  double old_variance, new_variance, change_variance; /* the latter: of their difference (change.h) */
  double interval;                                    /* of the sampling of both */
  bool is_of_bytes;
};

/* By how much more it has grown than it may. */
double limit_growth_excess(const struct limit *limit, const struct growth *growth);
bool limit_growth_is_broken(const struct limit *limit, const struct growth *growth, unsigned judged);

#endif
