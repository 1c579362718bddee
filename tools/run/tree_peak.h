/* SPDX-License-Identifier: MIT */
/* The most that all processes of a run together held at a moment, from looks at their state files while they run.
 *
 * A look adds up what is in use in those that run, without what they inherited from each other. Between two looks
 * nobody knows who held what when; so each process counts with its own peak, if it reached that since the look before,
 * beside what the others hold at the look. No peak of a single process is missed, however short, nor one that came and
 * went. Of these moments each half of the samples chooses one, where the other half is read (tree_moments.h).
 *
 * Failure: a file that cannot be read counts as nothing. Memory: of the tree. Threads: one.
 */
#ifndef HEAPPROF_TREE_PEAK_H
#define HEAPPROF_TREE_PEAK_H

#include "tools/state/region_halves.h"

#include <glib.h>
#include <stdint.h>

enum { TREE_PEAK_LOOK_MS = 50 };

struct tree_peak;

/* Of the state files in the folder, NULL: there are none. */
struct tree_peak *tree_peak_new(const char *folder);
void tree_peak_free(struct tree_peak *tree);

/* About every TREE_PEAK_LOOK_MS, and once at the end. */
void tree_peak_look(struct tree_peak *tree);

/* The most so far, and how many processes have been seen. */
struct region_half tree_peak_of(const struct tree_peak *tree);
unsigned tree_peak_processes(const struct tree_peak *tree);

/* The most that the process had in memory when it was looked at; 0: it was not. */
uint64_t tree_peak_resident(const struct tree_peak *tree, int pid);

#endif
