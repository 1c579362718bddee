/* SPDX-License-Identifier: MIT */
/* A text, line by line, and what stands on a line, word by word. Input may be anything, NUL too.
 *
 * Memory: lines point into the text. Failure: false, and nothing is taken.
 */
#ifndef HEAPPROF_LEGACY_TEXT_H
#define HEAPPROF_LEGACY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct legacy_text {
  const char *position, *end; /* what is left of it */
  unsigned line_number;       /* of the line taken last, from 1 on */
};

/* What is left of a line; no blanks around it. */
struct legacy_line {
  const char *position, *end;
};

bool legacy_text_next(struct legacy_text *text, struct legacy_line *line);

/* Each takes what stands next, behind blanks. */
bool legacy_line_take(struct legacy_line *line, const char *what);
bool legacy_line_take_number(struct legacy_line *line, int64_t *number); /* decimal, perhaps negative */
bool legacy_line_take_hex(struct legacy_line *line, uint64_t *number);   /* with 0x or without */
/* All up to a blank or the end; at least one character. */
bool legacy_line_take_word(struct legacy_line *line, struct legacy_line *word);

bool legacy_line_is_empty(const struct legacy_line *line);
bool legacy_line_begins(const struct legacy_line *line, const char *start);

static inline size_t legacy_line_length(const struct legacy_line *line)
{
  return (size_t)(line->end - line->position);
}

#endif
