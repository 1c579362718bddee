/* SPDX-License-Identifier: MIT */
/* The labels of a series, by name: what the profile is, and whose.
 *
 * Memory: a tree owns its texts (g_tree_unref). Failure: false or NULL, and *error, of G_OPTION_ERROR.
 */
#ifndef HEAPPROF_LABELS_H
#define HEAPPROF_LABELS_H

#include "tools/state/targets.h"

enum { LABELS_GIVEN_MAX = 20 };

/* char * to char *, in the order of strcmp. */
GTree *labels_new(void);

/* "name=value", as a person gave it. */
bool labels_give(GTree *given, const char *text, GError **error);

/* Those of a process, with those that were given, which come first. */
GTree *labels_of(GTree *given, const struct target *target);

/* A line each, "name=value", and back. NULL: it is no such text. */
GString *labels_text(GTree *labels);
GTree *labels_of_text(const char *text);

#endif
