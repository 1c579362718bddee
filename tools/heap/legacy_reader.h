/* SPDX-License-Identifier: MIT */
/* What the readers of text profiles share: the text, the heap that it becomes, and what is wrong with it. */
#ifndef HEAPPROF_LEGACY_READER_H
#define HEAPPROF_LEGACY_READER_H

#include "tools/heap/legacy_estimate.h"
#include "tools/heap/legacy_stacks.h"
#include "tools/heap/legacy_text.h"

struct legacy_reader {
  struct legacy_text text;
  struct heap *heap;
  struct legacy_stacks *stacks;
  struct legacy_sampling sampling;
  bool has_allocated;        /* counts of all allocations, besides those in use */
  bool has_unknown_variance; /* of some sample */
  char *problem;             /* NULL: none */
};

/* What "12: 3456" counts, twice: "in use [allocated]". */
struct legacy_counts {
  int64_t objects, bytes;
};
struct legacy_row {
  struct legacy_counts in_use, allocated;
};

/* The first problem stays; returns false. */
bool legacy_refuse(struct legacy_reader *reader, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The line taken last is not what it should be. */
bool legacy_refuse_line(struct legacy_reader *reader, const struct legacy_line *line, const char *expected);

/* The types of the heap, and where the variances go. */
void legacy_set_types(struct legacy_reader *reader, const char *objects, const char *space, const char *unit);

/* The frames added so far were allocated from so often. False: the counts contradict each other. */
bool legacy_add_sample(struct legacy_reader *reader, const struct legacy_row *row);

/* The rest of the line: "0x4012 0x4034 ...", return addresses, which become places of calls; `is_call`: they are that
 * already. */
bool legacy_add_frames(struct legacy_reader *reader, struct legacy_line line, bool is_call);

/* The whole text, of either format. */
bool legacy_read_rows(struct legacy_reader *reader);
bool legacy_read_java(struct legacy_reader *reader);

/* A line of Go's that names a frame of the row before; any other that begins with # tells nothing. */
void legacy_go_read_name(struct legacy_reader *reader, struct legacy_line line);
/* When all is read, for the frames that Go does not name. */
void legacy_go_finish(struct heap *heap);

#endif
