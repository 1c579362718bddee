/* SPDX-License-Identifier: MIT */
/* Stacks by their labels, as pprof chooses them: "REGEX", "REGEX,REGEX" (all of them) of "key:text"; "key=REGEX" of the
 * text; a number or a range of numbers, "64kb", "4mb:", ":64kb", "12kb:64mb", of a label that is one, "key=4mb:".
 */
#ifndef HEAPPROF_TAG_FILTER_H
#define HEAPPROF_TAG_FILTER_H

#include "tools/heap/heap.h"

struct tag_filter;

/* NULL after a message. */
struct tag_filter *tag_filter_new(const char *text);
void tag_filter_free(struct tag_filter *filter);

bool tag_filter_matches(const struct tag_filter *filter, const struct heap *heap, const struct heap_sample *sample);

/* As it was given. */
const char *tag_filter_text(const struct tag_filter *filter);

#endif
