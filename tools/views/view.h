/* SPDX-License-Identifier: MIT */
/* views/: what is asked of a heap: rows, trees, differences, facts, the page. A view reads heaps and never changes
 * them; it owns its texts, so the heaps may go first, where its header says nothing else. One thread; what a *_new or
 * *_of function returns is freed by the *_free beside it.
 *
 * What the commands that show tables share: opening with messages, headers, names of places, cells.
 */
#ifndef HEAPPROF_VIEW_H
#define HEAPPROF_VIEW_H

#include "tools/filter/filter.h"
#include "tools/heap/heap.h"
#include "tools/terminal/table.h"
#include "tools/views/rows.h"

/* A source with names, inlined frames and lines, as the filter (NULL: nothing asked for) has it; NULL after a
 * message. That of a process is called after it: "shopd (4711)". Its default type is the peak if next to nothing is in
 * use: whoever freed all asks what held that. */
struct heap *view_open(const char *argument, const struct filter *filter);
/* The same of what the process mapped itself. */
struct heap *view_open_mapped(const char *argument, const struct filter *filter);
void view_prefer_peak_if_freed(struct heap *heap);
/* Back to what is in use. */
void view_prefer_in_use(struct heap *heap);
/* Two that are compared: the peak is the default of both or of none. */
void view_prefer_the_same(struct heap *heap, struct heap *base);
bool view_is_next_to_nothing(double in_use_bytes, double peak_bytes);

/* The sample type of that name, NULL for the default. False after a message that lists what there is. */
bool view_find_type(const struct heap *heap, const char *name, int *type);

/* Says that there is nothing of that type, or that filters left nothing of it. EXIT_FAILED. */
int view_tell_nothing(const struct heap *heap, int type);

/* What there is to say of a type of the peak, in whole lines: why it is shown, and what it is of. "": nothing. A new
 * text. */
char *view_peak_note(const struct heap *heap, int type);

/* Lines as pprof begins its reports with: File, Type, Time; and the note on the peak. */
void view_append_header(GString *text, const struct heap *heap, int type);

/* How far off the total of a type can be: one line. */
void view_append_certainty(GString *text, const struct heap *heap, int type, double total, double variance);

/* What share is in cut stacks, if it is worth a word: one line, after `what`. */
void view_append_cut(GString *text, const char *what, const struct cut_share *cut, const char *type_name);

/* Is there need for a column of errors? Not if all are exact, or nobody knows. */
bool view_has_errors(bool has_variances, double total_variance);

/* New texts. "shop::render app.cc:52 (inline)" */
char *view_place_name(const char *name, const char *file, int64_t line);
char *view_row_name(const struct row *row);

void view_put_quantity(struct table *table, double value, const char *unit);
/* "" if it is not wanted. */
void view_put_error(struct table *table, bool is_wanted, double value, double variance, const char *unit);
void view_put_percentage(struct table *table, double part, double whole);

#endif
