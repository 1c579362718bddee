/* SPDX-License-Identifier: MIT */
/* Text as a terminal shows it: what of it may be sent there, and how many columns it takes. */
#ifndef HEAPPROF_SHOWN_H
#define HEAPPROF_SHOWN_H

#include <stdbool.h>

/* Does the locale take UTF-8? */
bool shown_is_utf8(void);

/* A new text, valid UTF-8: control and formatting characters, and bytes that are not UTF-8, become \xNN or \u{NNNN};
 * where the locale is not UTF-8, signs of ours become ASCII: "+/-", "...", and lines of trees. */
char *shown_text(const char *text);

/* The same for the signs of ours alone: all else stays as it is. */
char *shown_signs(const char *text);

/* Columns of a shown text: two for a wide character, none for a combining one. */
int shown_width(const char *text);

/* A new text of at most `width` columns, by taking out the middle of a longer one. */
char *shown_cut_middle(const char *text, int width);

/* Its start, of at most `width` columns. */
char *shown_cut_end(const char *text, int width);

#endif
