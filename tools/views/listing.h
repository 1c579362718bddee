/* SPDX-License-Identifier: MIT */
/* Source text with what each line allocated beside it, as pprof -list shows it.
 *
 * Source files are read from where the profile says, which is input: regular ones, of limited size. Failure: a file
 * that cannot be read is named with the reason, and the others are shown.
 */
#ifndef HEAPPROF_LISTING_H
#define HEAPPROF_LISTING_H

#include "tools/views/rows.h"

/* Functions in whose name the expression matches, from the rows by line; `whole`: what percentages are of. False: there
 * is no such function. */
bool listing_append(GString *text, const struct rows *rows, const GRegex *expression, double whole);

#endif
